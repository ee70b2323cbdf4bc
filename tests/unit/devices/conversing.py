"""A client and a meter in one process: what the device tests share."""

import itertools
from collections.abc import Callable, Generator, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from amity.devices.client import (
    AssociationSettings,
    Authentication,
    Ciphering,
    Conversation,
    Ports,
    Protection,
    Session,
    TraceLine,
    associate,
)
from amity.devices.equipment.clock import AdjustableClock, clock_object
from amity.devices.objects import (
    CaptureObject,
    CosemObject,
    ObjectTree,
    data_object,
    extended_register,
    register,
)
from amity.devices.profile_generic import ProfileGeneric
from amity.devices.profiles import CLOCK_OBIS
from amity.devices.server import ClientAccess, MeterAssociation, MeterServer, MeterSettings
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.ciphering import CipherKeys
from amity.protocols.dlms.data import double_long_unsigned, encode, octet_string, structure, unsigned
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.key_ring import KeyRing, Keys

Result = TypeVar("Result")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
CLIENT_TITLE, METER_TITLE = b"AMY\x00\x00\x00\x00\x01", b"XXX\x00\x00\x00\x00\x07"
PASSWORD = b"open sesame"
SECRET = b"a shared secret"
KEYS = KeyRing(0, Keys(bytes(range(16)), bytes(range(16, 32)), secret=SECRET))
OTHER_KEYS = KeyRing(0, Keys(bytes(range(1, 17)), bytes(range(16, 32)), secret=b"another secret"))
ALL_OTHER_KEYS = CipherKeys(0, bytes(range(1, 17)), bytes(range(17, 33)))
READER, PUBLIC = 1, 16

IMPORT = Obis.parse("1.0.1.8.0.255")
DEMAND = Obis.parse("1.0.1.6.0.255")
STATUS = Obis.parse("0.0.96.10.1.255")
SERIAL = Obis.parse("0.0.96.1.0.255")
LOAD_PROFILE = Obis.parse("1.0.99.1.0.255")
CLOCK = CaptureObject(8, CLOCK_OBIS, 2)
LOAD_COLUMNS = (CLOCK, CaptureObject(1, STATUS, 2), CaptureObject(3, IMPORT, 2))


def stamp(instant: datetime) -> bytes:
    """An instant as the test meters write it: UTC with its deviation said."""
    return CosemDateTime.from_utc(instant, 0).to_octets()


class QuarterHours:
    """Four days of rows that end at NOW; row i holds i as its total."""

    def __init__(self, count: int = 384) -> None:
        self.stamps = [NOW - QUARTER * (count - 1 - number) for number in range(count)]
        self.rows = [
            encode(structure(octet_string(stamp(at)), unsigned(0), double_long_unsigned(number)))
            for number, at in enumerate(self.stamps)
        ]

    def count(self, _now: datetime) -> int:
        return len(self.rows)

    def between(self, start: datetime | None, end: datetime | None, _now: datetime) -> list[bytes]:
        low, high = start or self.stamps[0], end or self.stamps[-1]
        return [row for at, row in zip(self.stamps, self.rows, strict=True) if low <= at <= high]

    def entries(self, first: int, last: int, _now: datetime) -> list[bytes]:
        return self.rows[first - 1 : last]


def measured_objects() -> list[CosemObject]:
    """What the test meter measures."""
    return [
        register(IMPORT, double_long_unsigned(4711), 0, Unit.WATT_HOUR),
        extended_register(
            DEMAND, double_long_unsigned(23), 2, Unit.WATT, status=unsigned(0), capture_time=octet_string(stamp(NOW))
        ),
        data_object(SERIAL, octet_string(b"4711")),
        clock_object(
            AdjustableClock(lambda now: now), CLOCK_OBIS, lambda shows, _: octet_string(stamp(shows)), deviation_min=0
        ),
        ProfileGeneric(LOAD_PROFILE, QuarterHours(), LOAD_COLUMNS, CLOCK, 900, 384),
    ]


def counter(first: int = 1) -> Callable[[], int]:
    """A counter that never gives a number twice."""
    return itertools.count(first).__next__


def chance(seed: int = 7) -> Callable[[int], bytes]:
    """Octets that differ at every call and repeat in every run."""
    numbers = itertools.count(seed)
    return lambda count: bytes((next(numbers) * 37 + place) % 256 for place in range(count))


def access(
    authentication: Authentication = Authentication.NONE,
    ciphering: Ciphering = Ciphering.NONE,
    protection: Protection = Protection.NONE,
    client: int = READER,
) -> ClientAccess:
    """What the meter lets a client do."""
    return ClientAccess(client, authentication, ciphering, protection, password=PASSWORD, protector=KEYS)


def meter(
    *clients: ClientAccess,
    public: ClientAccess | None = None,
    objects: Iterable[CosemObject] | None = None,
    **limits: object,
) -> MeterServer:
    """A meter with these clients and the public one."""
    everybody = (*clients, public or access(client=PUBLIC))
    settings = MeterSettings("XXX0000000000007", METER_TITLE, everybody, **limits)  # type: ignore[arg-type]
    tree = ObjectTree(measured_objects() if objects is None else objects)
    return MeterServer(settings, tree, random_octets=chance(99), next_invocation_counter=counter())


def settings_for(allowed: ClientAccess, **changes: object) -> AssociationSettings:
    """The client settings that fit an access."""
    fitting: dict[str, object] = {
        "authentication": allowed.authentication,
        "ciphering": allowed.ciphering,
        "protection": allowed.protection,
        "client_title": CLIENT_TITLE,
        "password": PASSWORD if allowed.authentication is Authentication.LLS else b"",
        "protector": KEYS,
        "broken_digests_allowed": allowed.authentication.broken,
    }
    return AssociationSettings(**(fitting | changes))  # type: ignore[arg-type]


def ports(first_counter: int = 1, trace: Callable[[TraceLine], None] | None = None) -> Ports:
    """Chance and counters of a client."""
    return Ports(chance(), counter(first_counter), trace)


def lead(conversation: Generator[bytes, bytes, Result], answer: Callable[[bytes], bytes | None]) -> Result:
    """Lead a conversation against whatever answers."""
    try:
        request = next(conversation)
        while True:
            request = conversation.send(answer(request) or b"")
    except StopIteration as finished:
        return finished.value


class Line:
    """A connection of one client to a meter; `spoil` may change what comes back."""

    def __init__(self, server: MeterServer, client: int = READER) -> None:
        self.association: MeterAssociation = server.open_association(client)
        self.requests: list[bytes] = []
        self.answers: list[bytes] = []
        self.spoil: Callable[[bytes], bytes] = lambda answer: answer

    def answer(self, request: bytes) -> bytes | None:
        if not request:
            return self._given(self.association.following())
        self.requests.append(request)
        return self._given(self.association.receive(request, NOW))

    def _given(self, answer: bytes | None) -> bytes | None:
        if answer is None:
            return None
        self.answers.append(answer)
        return self.spoil(answer)

    def lead(self, conversation: Conversation[Result]) -> Result:
        return lead(conversation, self.answer)

    def associate(self, settings: AssociationSettings, with_ports: Ports | None = None) -> Session:
        return self.lead(associate(settings, with_ports or ports()))
