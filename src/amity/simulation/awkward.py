"""Awkward meters, one peculiarity each: what the connection doctor is tried on (`amity simulate --awkward NAME`)."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from types import MappingProxyType
from typing import Any

from amity.devices.interface_classes import ASSOCIATION_LN, Role
from amity.devices.objects import AttributeObject, ObjectTree
from amity.devices.server import PUBLIC_CLIENT, MeterAssociation, MeterServer, MeterSettings
from amity.devices.server.own_objects import security_setup_obis
from amity.devices.settings import Authentication
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import Clock
from amity.protocols.dlms import acse
from amity.protocols.dlms.acse import Aare
from amity.protocols.dlms.data import enum, integer, long_unsigned, octet_string, structure
from amity.protocols.dlms.results import DataAccessResult
from amity.protocols.iec62056_21.messages import Identification
from amity.protocols.iec62056_21.meter_sign_on import MeterSignOnSettings
from amity.runtime.system import random_octets
from amity.simulation.cosem_objects import cosem_objects
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.device import meter_settings
from amity.simulation.faults import FaultKind
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry
from amity.simulation.meter import SimulatedMeter
from amity.transports.hdlc_listener import HdlcPlace, serve_hdlc_meter, serve_meter_on_pty
from amity.transports.meter_listener import serve_meter

_ODD_CLIENT, _ODD_SERVER = 48, 100
_FAR_AHEAD = 3_000_000_000
_AHEAD: Mapping[Role, int] = MappingProxyType({Role.READING: _FAR_AHEAD})
_SMALLEST_PDU_OCTETS = 128
_CALLS_WHILE_BUSY = 1
_OID = bytes.fromhex("6085740508")  # the arc of DLMS UA: 1 for contexts, 2 for mechanisms
_HEAD = Identification("AMY", 9600, offers_hdlc=True, text="SIMULATED")


class _Busy(MeterServer):
    """Somebody else holds the meter when it is first asked."""

    _turned_away = 0

    def take(self, association: MeterAssociation, now: datetime) -> bool:
        """False for the first who asks."""
        if self._turned_away < _CALLS_WHILE_BUSY:
            self._turned_away += 1
            return False
        return super().take(association, now)


class _Deaf(MeterServer):
    """Clients it does not know are met with silence."""

    def open_association(self, client: int) -> MeterAssociation:
        """A stranger talks to nobody."""
        known = self.settings.access_of(client) is not None
        return super().open_association(client) if known else _Silence(self, client)


class _Silence(MeterAssociation):
    __slots__ = ()

    def receive(self, octets: bytes, now: datetime) -> bytes | None:  # noqa: ARG002 - whatever it is
        """Nothing comes back."""
        return None


class _Terse(MeterServer):
    """Its AARE does not say what it grants."""

    def open_association(self, client: int) -> MeterAssociation:
        """An association whose AARE has no user information."""
        return _TerseAssociation(self, client)


class _TerseAssociation(MeterAssociation):
    __slots__ = ()

    def receive(self, octets: bytes, now: datetime) -> bytes | None:
        """Every other answer is as it should be."""
        answer = super().receive(octets, now)
        if answer is None or answer[:1] != bytes([Aare.TAG]):
            return answer
        aare = acse.decode(answer)
        return replace(aare, user_information=None).encode() if isinstance(aare, Aare) else answer


def _as_it_is(settings: MeterSettings) -> MeterSettings:
    return settings


def _odd_addresses(settings: MeterSettings) -> MeterSettings:
    reader, *others = settings.clients
    return replace(settings, server=_ODD_SERVER, clients=(replace(reader, client=_ODD_CLIENT), *others))


def _reader_only(settings: MeterSettings) -> MeterSettings:
    return replace(settings, clients=settings.clients[:1])


def _reader_last(settings: MeterSettings) -> MeterSettings:
    reader, *others = settings.clients
    return replace(settings, clients=(*others, reader))


def _public_only(settings: MeterSettings) -> MeterSettings:
    return replace(settings, clients=tuple(access for access in settings.clients if access.client == PUBLIC_CLIENT))


@dataclass(frozen=True, slots=True)
class Awkward:
    """One peculiarity: `story` says it in a sentence, the rest is how the meter is built.

    `heard` are the invocation counters it has already seen, by the role of the client. `place` is where it stands on an
    HDLC line, None for the wrapper; `serial` puts that line on a pseudo-terminal instead of TCP. `lists_associations`:
    the public client is shown an association object for each of the others.
    """

    story: str
    auth: Authentication = Authentication.HLS_GMAC
    suite: int = 0
    reshaped: Callable[[MeterSettings], MeterSettings] = _as_it_is
    kind: type[MeterServer] = MeterServer
    heard: Mapping[Role, int] = field(default_factory=lambda: MappingProxyType({}))
    fault: FaultKind | None = None
    place: HdlcPlace | None = None
    serial: bool = False
    lists_associations: bool = False


AWKWARD = {
    "odd-addresses": Awkward("is logical device 100 and read as client 48", reshaped=_odd_addresses),
    "hdlc-tcp": Awkward(
        "speaks HDLC over TCP, its address one octet", place=HdlcPlace(physical=None, address_octets=1)
    ),
    "hdlc-long-address": Awkward(
        "speaks HDLC over TCP, logical 1, physical 17 in four octets", place=HdlcPlace(physical=17, address_octets=4)
    ),
    "serial": Awkward("speaks HDLC on a serial line", place=HdlcPlace(), serial=True),
    "serial-sign-on": Awkward(
        "wants to be called by IEC 62056-21 before it speaks HDLC on its serial line",
        place=HdlcPlace(sign_on=MeterSignOnSettings(_HEAD, parity_by_hand=True)), serial=True,
    ),
    "no-release": Awkward("ignores RLRQ", reshaped=lambda settings: replace(settings, answers_release=False)),
    "counter-ahead": Awkward("has heard an invocation counter of three thousand million", heard=_AHEAD),
    "counter-untold": Awkward(
        "has no public client to tell its invocation counter", heard=_AHEAD, reshaped=_reader_only
    ),
    "many-counters": Awkward(
        "has an invocation counter for each client, that of its reader last", reshaped=_reader_last,
        heard={Role.READING: 1000, Role.MANAGEMENT: _FAR_AHEAD, Role.CONTROL: _FAR_AHEAD}, lists_associations=True,
    ),
    "suite-1": Awkward("has security suite 1", suite=1),
    "suite-2": Awkward("has security suite 2, with keys of 32 octets", suite=2),
    "signature": Awkward(
        "wants its client to sign a challenge", auth=Authentication.HLS_ECDSA, suite=1, lists_associations=True
    ),
    "broken-digest": Awkward("knows no better proof than MD5", auth=Authentication.HLS_MD5, lists_associations=True),
    "public-only": Awkward("lets nobody in but the public client", reshaped=_public_only),
    "wrong-key": Awkward("holds another key than its papers say", fault=FaultKind.WRONG_KEY),
    "password": Awkward("wants a password and no keys", auth=Authentication.LLS),
    "hls-secret": Awkward("wants its secret by SHA-256 besides its keys", auth=Authentication.HLS_SHA256),
    "silent-to-strangers": Awkward("does not answer clients it does not know", kind=_Deaf, reshaped=_reader_only),
    "busy": Awkward("is in use by somebody else when first asked", kind=_Busy),
    "terse": Awkward("does not say in its AARE what it grants", auth=Authentication.LLS, kind=_Terse),
    "small-pdu": Awkward(
        "takes and sends no APDU above 128 octets",
        reshaped=lambda settings: replace(settings, max_pdu_octets=_SMALLEST_PDU_OCTETS),
    ),
}  # fmt: skip


def awkward_named(name: str) -> Awkward:
    """One of them; raise ConfigurationError that names them all."""
    if name not in AWKWARD:
        raise ConfigurationError(
            f"no awkward meter is called {name!r}", next_step=f"choose from {', '.join(sorted(AWKWARD))}"
        )
    return AWKWARD[name]


@contextlib.asynccontextmanager
async def serve_awkward(
    name: str, *, clock: Clock, seed: int = 1, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[list[dict[str, Any]]]:
    """Serve one awkward meter while the context is open; give its papers: the one entry of a fleet document.

    Its addresses and framing are not in the papers of a meter whose awkwardness they are: those are to be found out.
    """
    awkward = awkward_named(name)
    faults = {0: awkward.fault} if awkward.fault else {}
    fleet = build_fleet(
        FleetSettings(1, seed, clock.now(), auth=awkward.auth, suite=awkward.suite, fault_of=faults)
    )  # fmt: skip
    (meter,) = fleet.meters
    server = _server(awkward, meter, clock.now())
    async with _listening(awkward, server, clock, host, port) as where:
        yield [document_entry(meter, host, port) | {"awkward": name, "story": awkward.story} | where]


@contextlib.asynccontextmanager
async def _listening(
    awkward: Awkward, server: MeterServer, clock: Clock, host: str, port: int
) -> AsyncIterator[dict[str, Any]]:
    """Where it can be called: `host` and `port`, or `device`; `meter` is the one of them that a command line takes."""
    if awkward.serial and awkward.place is not None:
        line = await serve_meter_on_pty(server, clock=clock, place=awkward.place)
        try:
            yield {"device": line.device, "meter": line.device}
        finally:
            line.close()
        return
    if awkward.place is None:
        listener = await serve_meter(server, host, port, clock=clock)
    else:
        listener = await serve_hdlc_meter(server, host, port, clock=clock, place=awkward.place)
    try:
        yield {"port": listener.port, "meter": f"{host}:{listener.port}"}
    finally:
        await listener.close()


def _server(awkward: Awkward, meter: SimulatedMeter, now: datetime) -> MeterServer:
    settings = awkward.reshaped(meter_settings(meter, random_octets))
    listed = tuple(_associations(settings)) if awkward.lists_associations else ()
    settings = _shown_to_the_public(settings, [cosem.obis for cosem in listed])
    server = awkward.kind(
        settings,
        ObjectTree(chain(cosem_objects(meter, ""), listed)),
        random_octets=random_octets,
        next_invocation_counter=MeterCounter(reservation_by_time(now)),
    )
    for role, heard in awkward.heard.items():
        client = next(access.client for access in settings.clients if access.role is role and access.ciphered)
        server.received(client).counter = heard
    return server


def _shown_to_the_public(settings: MeterSettings, names: list[Obis]) -> MeterSettings:
    """The public client sees these objects too."""
    clients = (
        access if access.visible is None else replace(access, visible=access.visible.union(names))
        for access in settings.clients
    )
    return replace(settings, clients=tuple(clients))


def _associations(settings: MeterSettings) -> Iterator[AttributeObject]:
    """An association object for each client, the reader's first: whose it is, what it wants, which keys."""
    known = [access for access in settings.clients if access.client != PUBLIC_CLIENT]
    for number, access in enumerate(sorted(known, key=lambda one: one.role is not Role.READING), 1):
        groups = (at for at, clients in enumerate(settings.key_groups) if access.client in clients)
        setup = next((bytes(security_setup_obis(group)) for group in groups), b"")
        yield AttributeObject(
            ASSOCIATION_LN,
            Obis(bytes((0, 0, 40, 0, number, 255))),
            (
                DataAccessResult.READ_WRITE_DENIED,
                structure(integer(access.client), long_unsigned(settings.server)),
                octet_string(_OID + bytes((1, access.ciphering.context))),
                DataAccessResult.READ_WRITE_DENIED,
                octet_string(_OID + bytes((2, access.authentication.mechanism))),
                DataAccessResult.READ_WRITE_DENIED,
                enum(0),
                octet_string(setup),
            ),
        )
