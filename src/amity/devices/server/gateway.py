"""A meter that hands on: requests with a gateway prefix go to its neighbours, and their answers come back with one.

DLMS UA 1000-2, "gateway protocol": the prefix names the network behind the gateway and the physical device in it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from amity.devices.server.association import Meter, MeterAssociation
from amity.protocols.dlms.apdu import ExceptionResponse, ServiceError, StateError
from amity.protocols.gateway import prefix
from amity.protocols.gateway.prefix import GatewayError, Prefixed

_NOBODY_THERE = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE).encode()


class Neighbour(NamedTuple):
    """Where a meter stands behind a gateway."""

    network: int
    device: bytes


class Opens(Protocol):
    """A neighbour as the gateway needs it."""

    def open_association(self, client: int) -> MeterAssociation:
        """What a client talks to."""
        ...


class GatewayAssociation(MeterAssociation):
    """One client at a gateway: its association with the gateway itself, and one with each neighbour it has called.

    None of them ends because another one does.
    """

    __slots__ = ("_called", "_neighbours", "_own", "_speaking")

    def __init__(self, meter: Meter, client: int, neighbours: Mapping[Neighbour, Opens]) -> None:
        super().__init__(meter, client)
        self._own = MeterAssociation(meter, client)
        self._neighbours = neighbours
        self._called: dict[Neighbour, MeterAssociation] = {}
        self._speaking: Neighbour | None = None

    @property
    def begun(self) -> bool:
        """True while the client is in with anybody here."""
        return any(association.begun for association in (self._own, *self._called.values()))

    def receive(self, octets: bytes, now: datetime) -> bytes | None:
        """Answer what is for this meter, hand on what is for a neighbour; one that is not there is an exception.

        Behind one gateway there is no other: gateways that know each other would hand on for ever.
        """
        self.heard_at = now
        self._speaking = None
        if not prefix.is_prefixed(octets):
            return self._own.receive(octets, now)
        try:
            asked = prefix.decode(octets)
        except GatewayError:
            return _NOBODY_THERE
        where = Neighbour(asked.network, asked.device)
        association = self._association_of(where)
        if association is None or not asked.is_request or prefix.is_prefixed(asked.apdu):
            return _answered(where, _NOBODY_THERE)
        self._speaking = where
        return _answered(where, association.receive(asked.apdu, now))

    def following(self) -> bytes | None:
        """The next APDU of whoever was asked last."""
        if self._speaking is None:
            return self._own.following()
        return _answered(self._speaking, self._called[self._speaking].following())

    def close(self) -> None:
        """The client is gone: the gateway and its neighbours are free for the next."""
        for association in (self._own, *self._called.values()):
            association.close()

    def _association_of(self, where: Neighbour) -> MeterAssociation | None:
        if where not in self._called and where in self._neighbours:
            self._called[where] = self._neighbours[where].open_association(self.client)
        return self._called.get(where)


def _answered(where: Neighbour, apdu: bytes | None) -> bytes | None:
    return None if apdu is None else prefix.encode(Prefixed(where.network, where.device, apdu, is_request=False))
