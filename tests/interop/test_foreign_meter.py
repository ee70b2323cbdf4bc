"""Amity's client reads a meter that nobody here wrote: the server side of gurux-dlms.

Of that server, release 1.0.203 answers neither a ciphered AARQ nor a range of rows nor a long answer in blocks (its own
code raises), so what is left is asked for: associations without and with a password, GET normal and with-list, release.
"""

import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from amity.devices.client import (
    AssociationRejectedError,
    AssociationSettings,
    Authentication,
    MethodRefusedError,
    Ports,
    Session,
    WriteRefusedError,
    act,
    associate,
    get,
    get_list,
    get_octets,
    release,
    set_attribute,
)
from amity.devices.client.conversation import Conversation
from amity.kernel.errors import RemoteRefusalError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, Method
from amity.protocols.dlms.data import Data, integer, natural, unsigned
from amity.protocols.dlms.profile_buffer import ClockReading, decode_columns
from amity.transports.wrapper_channel import WrapperChannel
from tests.interop import ledger
from tests.interop.foreign import interpreter_of

PUBLIC_CLIENT, TIMEOUT_S = 16, 10
NAME = Attribute(1, Obis.parse("0.0.42.0.0.255"), 2)
CLOCK = Attribute(8, Obis.parse("0.0.1.0.0.255"), 2)
REGISTER, SCALER_UNIT = (Attribute(3, Obis.parse("1.0.1.8.0.255"), index) for index in (2, 3))
NOTE = Attribute(1, Obis.parse("0.0.96.50.0.255"), 2)
RESET = Method(3, Obis.parse("1.0.1.8.0.255"), 1)
BUFFER = Attribute(7, Obis.parse("1.0.99.1.0.255"), 2)


@contextmanager
def foreign_meter(auth: Authentication) -> Iterator[dict[str, Any]]:
    script = Path(__file__).parent / "peers" / "gurux_meter.py"
    command = [interpreter_of("gurux-dlms"), script, auth.value]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own script
        try:
            assert child.stdout is not None
            yield json.loads(child.stdout.readline())
        finally:
            child.terminate()


async def talk(port: int, settings: AssociationSettings) -> dict[str, Any]:
    ledger.ran("gurux-dlms", role="meter", auth=settings.authentication.value, services="GET, list, release")
    channel = await WrapperChannel.open("127.0.0.1", port, PUBLIC_CLIENT, 1, TIMEOUT_S)
    try:
        return await channel.run(everything(settings), TIMEOUT_S)
    finally:
        await channel.close()


def everything(settings: AssociationSettings) -> Conversation[dict[str, Any]]:
    session: Session = yield from associate(settings, Ports(secrets.token_bytes, count(1).__next__))
    name = yield from get(session, NAME)
    listed = yield from get_list(session, [REGISTER, SCALER_UNIT, CLOCK])
    raw = yield from get_octets(session, BUFFER)
    released = yield from release(session)
    values = [natural(value) for value in listed if isinstance(value, Data)]
    return {"name": natural(name), "listed": values, "raw": raw, "released": released}


@pytest.mark.parametrize("auth", [Authentication.NONE, Authentication.LLS], ids=str)
async def test_amity_reads_a_gurux_meter(auth: Authentication):
    with foreign_meter(auth) as meter:
        settings = AssociationSettings(auth, password=meter["password"].encode())
        answer = await talk(meter["port"], settings)
    assert answer["name"] == meter["logical_device_name"].encode()
    register, (scaler, unit), _clock = answer["listed"]
    assert (register * 10**scaler, unit) == (meter["register_wh"], 30)
    columns = decode_columns(answer["raw"], ClockReading(default_deviation_min=0))
    first = datetime.fromisoformat(meter["first"])
    expected = [(first + timedelta(seconds=900 * row)).timestamp() for row in range(meter["rows"])]
    assert columns.timestamps_s.tolist() == expected
    assert list(columns.columns[1]) == [100 + row for row in range(meter["rows"])]
    assert answer["released"]


async def changing(conversation: Callable[[Session], Conversation[Any]]) -> Any:
    """What comes of a change in an association of its own."""

    def whole() -> Conversation[Any]:
        session: Session = yield from associate(AssociationSettings(), Ports(secrets.token_bytes, count(1).__next__))
        result = yield from conversation(session)
        yield from release(session)
        return result

    with foreign_meter(Authentication.NONE) as meter:
        channel = await WrapperChannel.open("127.0.0.1", meter["port"], PUBLIC_CLIENT, 1, TIMEOUT_S)
        try:
            return await channel.run(whole(), TIMEOUT_S)
        finally:
            await channel.close()


@pytest.mark.parametrize(
    ("service", "conversation", "refusal"),
    [
        ("SET", lambda session: set_attribute(session, NOTE, unsigned(200)), WriteRefusedError),
        ("ACTION", lambda session: act(session, RESET, integer(0)), MethodRefusedError),
    ],
)
async def test_a_gurux_meter_cannot_be_changed(
    service: str, conversation: Callable[[Session], Conversation[Any]], refusal: type[RemoteRefusalError]
):
    """Whatever is asked, the peer's own code raises (AttributeError) and it answers hardware-fault."""
    ledger.ran("gurux-dlms", role="meter", auth="none", services=service)
    with pytest.raises(refusal, match="hardware-fault"):
        await changing(conversation)
    ledger.defect(f"its own code raises at {service}")


async def test_a_wrong_password_is_named_as_the_cause():
    with foreign_meter(Authentication.LLS) as meter:
        settings = AssociationSettings(Authentication.LLS, password=b"guess")
        with pytest.raises(AssociationRejectedError, match=r"DLMS Association Rejected.*wrong password likely"):
            await talk(meter["port"], settings)
