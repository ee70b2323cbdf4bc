"""`amity read` of a meter that has registers and nothing else: no clock, or no name for this client."""

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.devices.objects import ObjectTree, register
from amity.devices.server import PUBLIC_CLIENT, ClientAccess, MeterServer, MeterSettings
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.data import double_long_unsigned
from amity.runtime.system import SystemClock
from amity.transports.meter_listener import serve_meter
from tests.unit.cli.in_a_thread import Document, serving

TOTAL = Obis.parse("1.0.1.8.0.255")
BARE = 2


@asynccontextmanager
async def sparse() -> AsyncIterator[Document]:
    """A meter without a clock; client 2 does not see its name either."""
    clients = (ClientAccess(PUBLIC_CLIENT), ClientAccess(BARE, visible=frozenset({TOTAL})))
    objects = ObjectTree([register(TOTAL, double_long_unsigned(4711), 0, Unit.WATT_HOUR)])
    meter = MeterServer(
        MeterSettings("XXX0000000000007", b"XXX\x00\x00\x00\x00\x07", clients), objects,
        random_octets=bytes, next_invocation_counter=itertools.count(1).__next__,
    )  # fmt: skip
    listener = await serve_meter(meter, "127.0.0.1", 0, clock=SystemClock())
    try:
        yield [{"port": listener.port}]
    finally:
        await listener.close()


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with serving(sparse) as document:
        yield f"127.0.0.1:{document[0]['port']}"


def read(place: str, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["read", place, *more], catch_exceptions=False)
    return result.exit_code, result.stdout


@pytest.mark.parametrize("asked", [(), ("--obis", "3/1.0.1.8.0.255/2")])
def test_a_meter_without_a_clock_is_read_all_the_same(place: str, asked: tuple[str, ...]):
    status, told = read(place, *asked, "--json")
    reading: dict[str, Any] = json.loads(told)
    assert (status, reading["logical_device_name"], reading["clock"]) == (0, "XXX0000000000007", None)
    assert [(gap["obis"], "object-undefined" in gap["error"]) for gap in reading["missing"]] == [
        ("0.0.1.0.0.255", True)
    ]
    assert [value["value"] for value in reading["readings"]] == [4711]


def test_what_is_missing_is_said_in_words(place: str):
    status, told = read(place, "--client", str(BARE))
    first, *rest = told.splitlines()
    assert (status, first) == (0, "no name  no clock")
    assert [line.split()[2] for line in rest] == ["0.0.42.0.0.255", "0.0.1.0.0.255", "1.0.1.8.0.255"]
    assert "4711 Wh" in rest[-1]


def test_a_clock_that_was_asked_for_and_is_not_there_shows_in_the_status(place: str):
    status, told = read(place, "--obis", "0.0.1.0.0.255")
    assert status == 4
    assert "object-undefined" in told
