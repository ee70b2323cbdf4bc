"""The meter of the workload: Amity's own server, in memory for Amity's client, on a loopback socket for the peers."""

import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count

from amity.devices import objects
from amity.devices.objects import CaptureObject, ObjectTree
from amity.devices.profile_generic import ProfileGeneric
from amity.devices.server import ClientAccess, MeterServer, MeterSettings
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.wrapper import frame
from benchmarks import workload

NOW = workload.LAST


class Day:
    """The rows of one day, made beforehand: the meter costs the measurement nothing but the copy."""

    def __init__(self) -> None:
        self._rows = tuple(workload.row(number) for number in range(workload.ROWS))

    def count(self, now: datetime) -> int:
        """All of them, always."""
        del now
        return len(self._rows)

    def between(self, start: datetime | None, end: datetime | None, now: datetime) -> Sequence[bytes]:
        """All of them: the workload asks for the whole day."""
        del start, end, now
        return self._rows

    def entries(self, first: int, last: int, now: datetime) -> Sequence[bytes]:
        """By number, from 1."""
        del now
        return self._rows[first - 1 : last]


def build() -> MeterServer:
    """A meter that demands HLS-GMAC and authenticated encryption of its one client."""
    columns = [CaptureObject(class_id, Obis.parse(obis), index) for class_id, obis, index in workload.COLUMNS]
    tree = ObjectTree([
        objects.register(Obis.parse(workload.REGISTER), double_long_unsigned(workload.REGISTER_WH), 0, Unit.WATT_HOUR),
        ProfileGeneric(Obis.parse(workload.PROFILE), Day(), tuple(columns), columns[0], 900, workload.ROWS),
    ])  # fmt: skip
    client = ClientAccess(
        workload.CLIENT, Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED,
        protector=workload.keys(),
    )  # fmt: skip
    settings = MeterSettings("AMY0000001000000", workload.METER_TITLE, (client,), max_pdu_octets=workload.MAX_PDU)
    counters = count(1)
    return MeterServer(
        settings, tree, random_octets=secrets.token_bytes, next_invocation_counter=lambda: next(counters)
    )


@contextmanager
def on_loopback() -> Iterator[int]:
    """Serve the meter on a free port while the block runs, in a process of its own; ended by its own process id."""
    command = [sys.executable, "-m", "benchmarks.meter"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - this file
        try:
            yield int(child.stdout.readline() if child.stdout else 0)
        finally:
            child.terminate()


def main() -> None:
    """Print the port and serve, one connection at a time as a meter does, until ended."""
    meter = build()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _serve(connection, meter)


def _serve(connection: socket.socket, meter: MeterServer) -> None:
    association, reader = meter.open_association(workload.CLIENT), frame.Reader()
    while octets := connection.recv(65536):
        for request in reader.feed(octets):
            answer = association.receive(request.payload, NOW)
            if answer is not None:
                connection.sendall(frame.encode(request.destination, request.source, answer))
    association.close()


if __name__ == "__main__":
    main()
