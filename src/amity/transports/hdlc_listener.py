"""A meter that speaks HDLC, on a TCP port or on a pseudo-terminal: the shell around a `MeterServer`."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from amity.devices.server import MeterAssociation, MeterServer
from amity.kernel.time import Clock
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.events import Connected, Disconnected, Event, Send, WakeAt
from amity.protocols.hdlc.events import Deliver as Delivered
from amity.protocols.hdlc.parameters import Parameters
from amity.protocols.hdlc.secondary import Secondary
from amity.protocols.hdlc.station import LinkSettings
from amity.protocols.iec62056_21 import events as sign_on
from amity.protocols.iec62056_21.messages import without_parity
from amity.protocols.iec62056_21.meter_sign_on import MeterSignOn, MeterSignOnSettings
from amity.transports.alarm import Alarm
from amity.transports.meter_listener import Closable, Deliver, MeterListener, listen, write
from amity.transports.pty import PtyEnd, open_pty

_REQUEST = b"/?"
_GENEROUS = Parameters.both_ways(1024, 7)


@dataclass(frozen=True, slots=True)
class HdlcPlace:
    """Where a meter stands on its line: `physical` is its lower address, None when it is called by the upper one alone.

    `address_octets` is the one width of address it knows, None for all; `sign_on` is what it wants before HDLC, and
    again when the last link is down.
    """

    physical: int | None = 17
    address_octets: int | None = None
    settings: LinkSettings = field(default_factory=lambda: LinkSettings(_GENEROUS))
    sign_on: MeterSignOnSettings | None = None

    def address(self, server: int) -> Address:
        """The HDLC address of a logical device."""
        return Address(server, self.physical, self.address_octets)


async def serve_hdlc_meter(
    server: MeterServer, host: str, port: int, *, clock: Clock, place: HdlcPlace, deliver: Deliver = write
) -> MeterListener:
    """Serve one meter over TCP; port 0 takes a free one; raise TransportError when the port cannot be had."""
    links: set[Closable] = set()
    return MeterListener(await listen(lambda: HdlcMeter(server, clock, deliver, place, links), host, port), links)


async def serve_meter_on_pty(
    server: MeterServer, *, clock: Clock, place: HdlcPlace, deliver: Deliver = write
) -> PtyEnd:
    """Serve one meter on a new pseudo-terminal, whose `device` a client opens as it opens a serial port."""
    return await open_pty(lambda: HdlcMeter(server, clock, deliver, place, set()))


class HdlcMeter(asyncio.Protocol):
    """One line; each client address that speaks on it has its own link and association."""

    def __init__(
        self, server: MeterServer, clock: Clock, deliver: Deliver, place: HdlcPlace, links: set[Closable]
    ) -> None:
        self._server = server
        self._clock = clock
        self._deliver = deliver
        self._links = links
        self._station = Secondary(place.address(server.settings.server), place.settings)
        self._place = place
        self._clients: set[int] = set()
        self._sign_on: MeterSignOn | None = None
        self._sign_on_again()
        self._alarm = Alarm(self._wake)
        self._associations: dict[int, MeterAssociation] = {}
        self._transport: asyncio.Transport | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # other loops' transports do not inherit from it
        self._links.add(self)

    def data_received(self, data: bytes) -> None:
        """Answer what is for this meter; noise is stepped over."""
        if self._sign_on is None and not self._clients and without_parity(data).startswith(_REQUEST):
            self._sign_on_again()  # whoever signed on last has never set a link up
        if self._sign_on is not None:
            self._calling(self._sign_on.receive(data, self._alarm.now_s))
        else:
            self._act(self._station.receive(data, self._alarm.now_s))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended, the meter is free
        """Give the meter back."""
        self._links.discard(self)
        self._alarm.set(None)
        for association in self._associations.values():
            association.close()

    def _wake(self) -> None:
        if self._sign_on is not None:
            self._calling(self._sign_on.wake(self._alarm.now_s))
        else:
            self._act(self._station.wake(self._alarm.now_s))

    # -------------------------------------------------------------- signing on
    def _calling(self, events: list[sign_on.Event]) -> None:
        for event in events:
            match event:
                case sign_on.Send(octets) if self._transport is not None:
                    self._deliver(self._transport, octets)
                case sign_on.WakeAt(at_s):
                    self._alarm.set(at_s)
                case sign_on.SignedOn(rest=rest):
                    self._sign_on_is_over()
                    self._act(self._station.receive(rest, self._alarm.now_s))

    def _sign_on_again(self) -> None:
        """The line is as it was when nobody had signed on."""
        if self._place.sign_on is not None:
            self._sign_on = MeterSignOn(self._place.sign_on)

    def _sign_on_is_over(self) -> None:
        if self._sign_on is not None:
            self._sign_on = None
            self._alarm.set(None)

    # -------------------------------------------------------------- the link
    def _act(self, events: list[Event]) -> None:
        octets = b""
        for event in events:
            match event:
                case Send(frame):
                    octets += frame
                case WakeAt(at_s):
                    self._alarm.set(at_s)
                case Delivered(client, apdu):
                    self._act(self._answer(client, apdu))
                case Connected(client, _):
                    self._clients.add(client)
                case Disconnected(client, _, _):
                    self._forget(client)
        if octets and self._transport is not None:
            self._deliver(self._transport, octets)

    def _answer(self, client: int, apdu: bytes) -> list[Event]:
        association = self._associations.get(client)
        if association is None:
            association = self._associations[client] = self._server.open_association(client)
        answer = association.receive(apdu, self._clock.now())
        if answer is None:
            return self._station.pass_turn(client, self._alarm.now_s)
        events: list[Event] = []
        while answer is not None:
            following = association.following()
            events += self._station.send(client, answer, self._alarm.now_s, more=following is not None)
            answer = following
        return events

    def _forget(self, client: int) -> None:
        self._clients.discard(client)
        association = self._associations.pop(client, None)
        if association is not None:
            association.close()
        if not self._clients:
            self._sign_on_again()
