"""One simulated meter without a socket, visited by clients of each role: what the equipment tests share."""

import itertools
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

from amity.devices.client import (
    AssociationSettings,
    Authentication,
    Ciphering,
    Ports,
    Protection,
    Session,
    associate,
)
from amity.devices.cosem.push import PushDestination
from amity.devices.interface_classes import Role
from amity.devices.server import PUBLIC_CLIENT, MeterAssociation
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server, role_clients
from amity.simulation.fleet import FleetSettings, build_fleet
from tests.unit.devices.conversing import chance, lead

ANCHOR = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
Led = Callable[[Generator[bytes, bytes, Any]], Any]


class Installed:
    """One simulated meter, its clock in our hand; a visit ends when the next one begins."""

    def __init__(self, number: int = 0, suite: int = 0) -> None:
        self.meter = build_fleet(FleetSettings(meters=4, seed=7, anchor=ANCHOR, suite=suite)).meters[number]
        self.now = ANCHOR
        self.pushed: list[tuple[PushDestination, bytes]] = []
        self.server, self.pusher = meter_server(
            self.meter,
            started=ANCHOR,
            reservation=reservation_by_time(ANCHOR),
            random_octets=chance(3),
            send=self._send,
        )
        self._counters = itertools.count(1)
        self._association: MeterAssociation | None = None

    def visit(self, role: Role) -> tuple[Session, Led]:
        client, keys = role_clients(self.meter)[role]
        settings = AssociationSettings(
            authentication=Authentication.HLS_GMAC,
            ciphering=Ciphering.GLO,
            protection=Protection.AUTHENTICATED_ENCRYPTED,
            client_title=b"AMI" + bytes([0, 0, 0, 0, client]),
            protector=keys.held_by_meter(keys.guek, None),
        )
        return self._open(client, settings)

    def _send(self, destination: PushDestination, frame: bytes) -> bool:
        self.pushed.append((destination, frame))
        return bool(destination.address)

    def visit_as_anybody(self) -> tuple[Session, Led]:
        return self._open(PUBLIC_CLIENT, AssociationSettings())

    def _open(self, client: int, settings: AssociationSettings) -> tuple[Session, Led]:
        if self._association is not None:
            self._association.close()
        association = self._association = self.server.open_association(client)

        def answer(octets: bytes) -> bytes | None:
            return association.receive(octets, self.now) if octets else association.following()

        def led(conversation: Generator[bytes, bytes, Any]) -> Any:
            return lead(conversation, answer)

        return led(associate(settings, Ports(chance(1000), self._counters.__next__))), led
