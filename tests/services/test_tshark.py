"""tshark reads our traffic: check sequences, the BER of associations, and DLMS itself where it has the dissector."""

import itertools
import json
import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amity.devices.client import AssociationSettings, Ports, associate, release
from amity.devices.client.conversation import Conversation
from amity.devices.readout import read_clock, read_logical_device_name
from amity.devices.server import PUBLIC_CLIENT
from amity.devices.settings import Authentication
from amity.protocols.dlms import acse
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.frame import FLAG
from amity.protocols.wrapper.frame import Reader
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.transports.hdlc_channel import HdlcChannel, HdlcRoute
from amity.transports.hdlc_listener import HdlcPlace, serve_hdlc_meter
from amity.transports.meter_listener import serve_meter
from amity.transports.wrapper_channel import WrapperChannel
from tests.services import tshark
from tests.services.tap import Tap

TIMEOUT_S = 5.0


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def session() -> Conversation[str]:
    opened = yield from associate(AssociationSettings(), Ports(secrets.token_bytes, itertools.count(1).__next__))
    name = yield from read_logical_device_name(opened)
    yield from read_clock(opened)
    yield from release(opened)
    return name


async def traffic(framing: str) -> list[bytes]:
    """What our client and our meter say to each other over TCP, piece by piece."""
    (meter,) = build_fleet(FleetSettings(1, 7, datetime.now(UTC), auth=Authentication.NONE)).meters
    now = datetime.now(UTC)
    server, _ = meter_server(
        meter,
        started=now,
        reservation=reservation_by_time(now),
        random_octets=secrets.token_bytes,
    )
    if framing == "wrapper":
        listener = await serve_meter(server, "127.0.0.1", 0, clock=Clock())
    else:
        listener = await serve_hdlc_meter(server, "127.0.0.1", 0, clock=Clock(), place=HdlcPlace())
    tap = Tap()
    async with tap.before(listener.port) as port:
        if framing == "wrapper":
            channel = await WrapperChannel.open("127.0.0.1", port, PUBLIC_CLIENT, 1, TIMEOUT_S)
        else:
            route = HdlcRoute(Address(PUBLIC_CLIENT), Address(1, 17))
            channel = await HdlcChannel.open_tcp("127.0.0.1", port, route, TIMEOUT_S)
        assert await channel.run(session(), TIMEOUT_S) == meter.meter_id
        await channel.close()
    await listener.close()
    return tap.pieces


async def apdus() -> list[bytes]:
    """The APDUs of a session, as the wrapper carried them."""
    return [frame.payload for piece in await traffic("wrapper") for frame in Reader().feed(piece)]


@pytest.fixture(autouse=True)
def _tshark_is_there() -> None:
    tshark.needed()


async def test_every_check_sequence_of_hdlc_is_good(tmp_path: Path):
    """Without flags an HDLC frame of ours is one of PPP with a 16-bit check sequence: the same polynomial."""
    frames = [bytes(piece).strip(bytes([FLAG])) for piece in await traffic("hdlc")]
    assert len(frames) >= 10  # SNRM, UA, an association, two values, a release, DISC
    layers = tshark.read(frames, tmp_path, link=tshark.PPP_HDLC, ppp__fcs_type="16-Bit")
    assert len(layers) == len(frames)
    assert [_good(one) for one in layers] == [True] * len(frames)


async def test_an_altered_frame_is_noticed_so_the_check_is_one(tmp_path: Path):
    frame = (await traffic("hdlc"))[2].strip(bytes([FLAG]))
    altered = bytes([*frame[:8], frame[8] ^ 1, *frame[9:]])
    sound, wrong = tshark.read([frame, altered], tmp_path, link=tshark.PPP_HDLC, ppp__fcs_type="16-Bit")
    assert (_good(sound), _good(wrong)) == (True, False)


def _good(layers: dict) -> bool:
    return layers["ppp"]["ppp.fcs.status"] == "1"


async def test_associations_are_sound_ber(tmp_path: Path):
    opening = [one for one in await apdus() if one[0] in {acse.AARQ_TAG, acse.AARE_TAG, acse.RLRQ_TAG, acse.RLRE_TAG}]
    assert [one[0] for one in opening] == [acse.AARQ_TAG, acse.AARE_TAG, acse.RLRQ_TAG, acse.RLRE_TAG]
    layers = tshark.read(opening, tmp_path, link=tshark.USER_0, payload="ber")
    texts = [json.dumps(one) for one in layers]
    assert not [text for text in texts if "_ws.malformed" in text]
    assert ["2.16.756.5.8.1.1" in text for text in texts] == [True, True, False, False]  # LN without ciphering


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_dlms_itself_is_read(framing: str, tmp_path: Path):
    if "dlms" not in tshark.protocols():
        pytest.skip(f"{tshark.version()} has no DLMS dissector")
    layers = tshark.read(await traffic(framing), tmp_path, link=tshark.USER_0, payload="dlms")
    assert all("dlms" in one for one in layers)
    assert not [one for one in layers if "_ws.malformed" in json.dumps(one)]
