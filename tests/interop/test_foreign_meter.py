"""Amity's client reads a meter that nobody here wrote: the server side of gurux-dlms.

What release 1.0.203 of that server can: associations without and with a password, GET normal and with-list, release.
`test_foreign_meter_limits` has what it cannot.
"""

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from amity.devices.client import (
    AssociationRejectedError,
    AssociationSettings,
    Authentication,
    Ports,
    Session,
    associate,
    get,
    get_list,
    get_octets,
    release,
)
from amity.devices.client.conversation import Conversation
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, Method
from amity.protocols.dlms.data import Data, natural
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


@dataclass(frozen=True, slots=True)
class ForeignMeter:
    """The child process, and what it said of itself; `raised` is the next thing it says."""

    child: subprocess.Popen[str]
    document: dict[str, Any]

    @property
    def port(self) -> int:
        return self.document["port"]

    def raised(self) -> str:
        """What the peer's own code raised; before that it may have printed whatever it was at."""
        assert self.child.stdout is not None
        said = (line for line in self.child.stdout if line.startswith('{"raised"'))
        return json.loads(next(said))["raised"]


@contextmanager
def foreign_meter(auth: Authentication, *options: str, framing: str = "wrapper") -> Iterator[ForeignMeter]:
    script = Path(__file__).parent / "peers" / "gurux_meter.py"
    command = [interpreter_of("gurux-dlms"), script, auth.value, framing, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own script
        try:
            assert child.stdout is not None
            yield ForeignMeter(child, json.loads(child.stdout.readline()))
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
        told = meter.document
        answer = await talk(meter.port, AssociationSettings(auth, password=told["password"].encode()))
    assert answer["name"] == told["logical_device_name"].encode()
    register, (scaler, unit), _clock = answer["listed"]
    assert (register * 10**scaler, unit) == (told["register_wh"], 30)
    columns = decode_columns(answer["raw"], ClockReading(default_deviation_min=0))
    first = datetime.fromisoformat(told["first"])
    expected = [(first + timedelta(seconds=900 * row)).timestamp() for row in range(told["rows"])]
    assert columns.timestamps_s.tolist() == expected
    assert list(columns.columns[1]) == [100 + row for row in range(told["rows"])]
    assert answer["released"]


async def test_a_wrong_password_is_named_as_the_cause():
    with foreign_meter(Authentication.LLS) as meter:
        settings = AssociationSettings(Authentication.LLS, password=b"guess")
        with pytest.raises(AssociationRejectedError, match=r"DLMS Association Rejected.*wrong password likely"):
            await talk(meter.port, settings)
