"""Somebody who wrote down what passed and says it again."""

import asyncio
from contextlib import suppress
from typing import Final

from amity.devices.settings import Ciphering
from amity.kernel.errors import AmityError
from amity.protocols.dlms.ciphered import CipherTag
from amity.protocols.wrapper.frame import Reader
from amity.simulation.campaign.field import FieldMeter
from amity.simulation.campaign.settings import PORT
from amity.simulation.campaign.wire import Wire
from amity.simulation.campaign.witness import Invariant, Witness

_REPLAYED_MAX: Final = 25
_PATIENCE_S: Final = 3.0
_CHUNK: Final = 4096
_GIVES: Final = frozenset(map(int, (CipherTag.GLO_GET_RESPONSE, CipherTag.GLO_SET_RESPONSE)))
"""Not what answers an action: so a meter that no longer knows our counters refuses the last step of HLS, ciphered."""


async def replay_pushes(wire: Wire, share: float) -> None:
    """Say recorded pushes to the head-end again, from another address."""
    first = int(len(wire.pushes) * share * share)
    for recorded in wire.pushes[first : first + _REPLAYED_MAX]:
        await _say(recorded.host, [recorded.octets])


async def replay_session(one: FieldMeter, wire: Wire, witness: Witness, *, forgot: bool) -> None:
    """Say what the head-end said to a meter, in its order; a ciphering meter must give nothing for it.

    One that answers anybody is not judged, nor one without a challenge of its own that `forgot` the counters it heard.
    """
    answers = await _say(one.host, wire.requests.get(one.host, [])[:_REPLAYED_MAX])
    association = one.meter.profile.association
    if association.ciphering is Ciphering.NONE or (forgot and not association.authentication.hls):
        return
    witness.checked(Invariant.NO_REPLAY)
    with suppress(AmityError):
        if any(frame.payload[:1] and frame.payload[0] in _GIVES for frame in Reader().feed(answers)):
            witness.violated(Invariant.NO_REPLAY, f"{one.meter_id} answered a recording")


async def _say(host: str, messages: list[bytes]) -> bytes:
    """Call, say one after the other with a pause for the answer, hang up; what was answered."""
    heard = b""
    with suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(host, PORT)
        for octets in messages:
            writer.write(octets)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    heard += await reader.read(_CHUNK)
        writer.close()
        await writer.wait_closed()
    return heard
