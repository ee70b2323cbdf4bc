"""Meters of the workload in one process, a port each, for the head-end's whole path.

Prints its ports as JSON; each line on standard input is an instant (ISO 8601) to which the meters' clocks are set.
With a number of seconds as second argument a meter thinks so long before each answer, as one behind a slow radio does.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from secrets import token_bytes
from typing import Any

from amity.devices import objects
from amity.devices.interface_classes import CLOCK
from amity.devices.objects import CaptureObject, ObjectTree
from amity.devices.profile_generic import ProfileGeneric
from amity.devices.readout import CLOCK_TIME, LOGICAL_DEVICE_NAME
from amity.devices.server import ClientAccess, MeterServer, MeterSettings
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.headend.plan import BILLING_PROFILE
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.data import Data, double_long_unsigned, long_unsigned, octet_string
from amity.protocols.dlms.datetime import CosemDateTime
from amity.runtime.roles import loops
from amity.transports.meter_listener import Deliver, serve_meter, write
from benchmarks import workload

DAYS = 16
EVENT_LOG = Obis.parse("0.0.99.98.0.255")
EVENT_CODE = Obis.parse("0.0.96.11.0.255")
INSTANTS = (("1.0.1.7.0.255", Unit.WATT), ("1.0.32.7.0.255", Unit.VOLT))


class SetClock:
    """It stands until it is set."""

    def __init__(self) -> None:
        self.instant = workload.START

    def now(self) -> datetime:
        """The instant it was set to."""
        return self.instant


class Days:
    """The rows of several days, made beforehand and shared by all meters."""

    def __init__(self, days: int, columns: int = len(workload.COLUMNS)) -> None:
        self._rows = tuple(workload.row(number, columns=columns) for number in range(workload.ROWS * days + 1))

    def count(self, now: datetime) -> int:
        """All of them, always."""
        del now
        return len(self._rows)

    def between(self, start: datetime | None, end: datetime | None, now: datetime) -> Sequence[bytes]:
        """By their stamps, both included."""
        first = _row_number(start or workload.START)
        return self._rows[max(first, 0) : _row_number(end or now) + 1]

    def entries(self, first: int, last: int, now: datetime) -> Sequence[bytes]:
        """By number, from 1."""
        del now
        return self._rows[first - 1 : last]


class Nothing:
    """An empty log."""

    def count(self, now: datetime) -> int:
        """None."""
        del now
        return 0

    def between(self, start: datetime | None, end: datetime | None, now: datetime) -> Sequence[bytes]:
        """None."""
        del start, end, now
        return ()

    def entries(self, first: int, last: int, now: datetime) -> Sequence[bytes]:
        """None."""
        del first, last, now
        return ()


def _row_number(instant: datetime) -> int:
    return (instant - workload.START) // timedelta(seconds=workload.INTERVAL_S)


def name_of(number: int) -> str:
    """The logical device name of a meter."""
    return f"AMY{number:013d}"


def build(number: int, rows: Days, captured: int = len(workload.COLUMNS)) -> MeterServer:
    """A meter that demands HLS-GMAC and authenticated encryption, with all that a head-end asks for."""
    columns = [
        CaptureObject(class_id, Obis.parse(obis), index) for class_id, obis, index in workload.COLUMNS[:captured]
    ]
    log = (columns[0], CaptureObject(1, EVENT_CODE, 2))
    tree = ObjectTree([
        objects.data_object(LOGICAL_DEVICE_NAME.obis, octet_string(name_of(number).encode())),
        objects.AttributeObject(CLOCK, CLOCK_TIME.obis, (_time,)),
        *(objects.register(column.obis, double_long_unsigned(workload.REGISTER_WH), 0, Unit.WATT_HOUR)
          for column in columns[1:]),
        *(objects.register(Obis.parse(obis), long_unsigned(230), 0, unit) for obis, unit in INSTANTS),
        ProfileGeneric(Obis.parse(workload.PROFILE), rows, tuple(columns), columns[0], 900, workload.ROWS * DAYS),
        ProfileGeneric(EVENT_LOG, Nothing(), log, log[0], 0, 100),
        ProfileGeneric(BILLING_PROFILE, Nothing(), tuple(columns[:2]), columns[0], 0, 100),
    ])  # fmt: skip
    client = ClientAccess(
        workload.CLIENT, Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED,
        protector=workload.keys(),
    )  # fmt: skip
    settings = MeterSettings(name_of(number), workload.METER_TITLE, (client,), max_pdu_octets=workload.MAX_PDU)
    counters = count(1)
    return MeterServer(settings, tree, random_octets=token_bytes, next_invocation_counter=lambda: next(counters))


def _time(now: datetime) -> Data:
    return octet_string(CosemDateTime.from_utc(now).to_octets())


class Meters:
    """The process of the meters as the one who measures holds it."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.ports: list[int] = json.loads(self._read())

    def set(self, instant: datetime) -> None:
        """Set every clock; returns when that is done."""
        assert self._child.stdin  # noqa: S101
        self._child.stdin.write(f"{instant.isoformat()}\n")
        self._child.stdin.flush()
        self._read()

    def _read(self) -> str:
        assert self._child.stdout  # noqa: S101
        return self._child.stdout.readline()


@contextmanager
def on_loopback(meters: int, *, captured: int = len(workload.COLUMNS), thinks_s: float = 0.0) -> Iterator[Meters]:
    """Serve so many meters while the block runs, in a process of their own; ended by its own process id.

    `captured` columns has their load profile, the clock's among them; `thinks_s` passes before each answer.
    """
    command = [sys.executable, "-m", "benchmarks.meters", str(meters), str(captured), str(thinks_s)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as child:  # noqa: S603 - this file
        try:
            yield Meters(child)
        finally:
            child.terminate()


def _after(thinks_s: float) -> Deliver:
    """What puts an answer on the line when the meter has thought, if anybody still waits for it."""

    def put(transport: asyncio.Transport, frame: bytes) -> None:
        if not transport.is_closing():
            write(transport, frame)

    def deliver(transport: asyncio.Transport, frame: bytes) -> None:
        asyncio.get_running_loop().call_later(thinks_s, put, transport, frame)

    return deliver


async def serve(meters: int, captured: int, thinks_s: float) -> None:
    """Print the ports and serve until standard input ends."""
    clock, rows = SetClock(), Days(DAYS, captured)
    servers = (build(number, rows, captured) for number in range(meters))
    deliver = _after(thinks_s) if thinks_s else write
    listeners = [await serve_meter(one, "127.0.0.1", 0, clock=clock, deliver=deliver) for one in servers]
    print(json.dumps([listener.port for listener in listeners]), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        clock.instant = datetime.fromisoformat(line.strip())
        print(line, end="", flush=True)


if __name__ == "__main__":
    loops.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
