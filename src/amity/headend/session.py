"""Associations with one meter, each from connect to close, with every octet that passed kept as evidence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple, Protocol, TypeVar

from amity.devices.client import (
    AssociationSettings,
    Authentication,
    Ciphering,
    Conversation,
    Ports,
    Protection,
    Session,
    associate,
    release,
)
from amity.devices.client.conversation import converse
from amity.devices.client.journal import Journal
from amity.devices.freshness import Received
from amity.devices.profiles import DeviceProfile, Quirk
from amity.devices.settings import CLIENT_CONFORMANCE
from amity.domain.collection import Exchange
from amity.headend.conversation import KnownLayouts, MeterConversation, MeterReadout
from amity.headend.counter_bank import CounterBank
from amity.headend.plan import Plan
from amity.headend.ports import Channel, Endpoint, MeterSecrets
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, ConfigurationError, RemoteProtocolError, TransportError
from amity.kernel.time import Clock
from amity.protocols.dlms.acse import AARQ_TAG
from amity.protocols.dlms.apdu import Conformance
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.key_ring import KeyRing, Keys

Choice = TypeVar("Choice", Authentication, Ciphering, Protection)

_IN_BLOCKS: Final = Conformance.GENERAL_BLOCK_TRANSFER
_COUNTERS_PER_SESSION: Final = 128
_RELEASE_TIMEOUT_S: Final = 1.0
ANSWER_OCTETS_MAX: Final = 3 * 1024 * 1024
"""What one session may bring: ninety days of quarter hours stay below 2 MiB, and all of it is held in memory."""


_LEGACY: Final = frozenset({Authentication.HLS2, Authentication.HLS_MD5, Authentication.HLS_SHA1})


def association_settings(
    endpoint: Endpoint, profile: DeviceProfile, secrets: MeterSecrets, system_title: bytes
) -> AssociationSettings:
    """How the association with this meter is opened: the endpoint's word, where it has one, before the profile's.

    Raise ConfigurationError for words that are none, keys that do not fit, or a mechanism that is not allowed.
    """
    authentication = _choice(endpoint, "auth", Authentication, profile.association.authentication)
    if authentication in _LEGACY and not endpoint.legacy_allowed:
        raise ConfigurationError(
            f"meter {endpoint.meter_id} is to be read by {authentication}, which proves next to nothing",
            next_step="set the meter to hls-gmac or hls-sha256; one without better ones needs legacy_allowed",
        )
    ciphering = _choice(endpoint, "ciphering", Ciphering, profile.association.ciphering)
    protection = _choice(endpoint, "protection", Protection, profile.association.protection)
    ciphered = ciphering is not Ciphering.NONE
    titled, keyed = ciphered or authentication.titled, ciphered or authentication.hls
    try:
        return AssociationSettings(
            authentication=authentication,
            ciphering=ciphering,
            protection=protection,
            client_title=system_title if titled else b"",
            server_title=endpoint.system_title if titled else b"",
            password=secrets.password if authentication is Authentication.LLS else b"",
            protector=_keys(_suite(endpoint, profile), secrets, needed=titled) if keyed else None,
            conformance=CLIENT_CONFORMANCE | (_IN_BLOCKS if endpoint.general_blocks else Conformance(0)),
            signed=endpoint.signed,
            server_keys=PublicKeys(signing=secrets.meter_signing),
            broken_digests_allowed=endpoint.legacy_allowed,
            bare_acceptance=Quirk.AARE_WITHOUT_USER_INFORMATION in profile.quirks,
        )
    except AmityError as error:
        raise ConfigurationError(
            f"meter {endpoint.meter_id} cannot be associated with: {error.what}", next_step=error.next_step
        ) from error


def _keys(suite: int, secrets: MeterSecrets, *, needed: bool) -> KeyRing:
    """All that is known; a missing encryption key is refused here where it will be needed."""
    guek = secrets.guek if needed else secrets.guek or None
    gak = secrets.gak if needed else None
    return KeyRing(suite, Keys(guek, gak, secret=secrets.password or None, signing=secrets.signing or None))


def _suite(endpoint: Endpoint, profile: DeviceProfile) -> int:
    return profile.association.suite if endpoint.suite is None else endpoint.suite


def _choice(endpoint: Endpoint, name: str, choices: type[Choice], otherwise: Choice) -> Choice:
    word = getattr(endpoint, name)
    if word and word not in list(choices):
        raise ConfigurationError(
            f"{name} of meter {endpoint.meter_id} is {word!r}", next_step=f"choose one of {', '.join(choices)}"
        )
    return choices(word) if word else otherwise


@dataclass(slots=True)
class _Passed:
    """One APDU on the line and what came back; `answer` is empty when nothing did.

    `exchange` is the number of the exchange it is part of: with general block transfer one has several.
    """

    exchange: int
    at: datetime
    request: bytes
    answer: bytes = b""


class SessionRecord:
    """Carries APDUs over a channel and keeps them as wire octets; `password` is kept as asterisks."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self.endpoint = endpoint
        self.password = b""
        self.journal = Journal()
        self._clock = clock
        self._passed: list[_Passed] = []
        self.answer_octets = 0
        self.unsolicited: tuple[bytes, ...] = ()

    async def exchange(self, channel: Channel, apdu: bytes, timeout_s: float) -> bytes:
        """One exchange; raise what the channel raises, and RemoteProtocolError when the meter does not stop talking."""
        passed = _Passed(len(self.journal.exchanges), self._clock.now(), self._masked(apdu))
        self._passed.append(passed)
        answer = await channel.exchange(apdu, timeout_s)
        self.answer_octets += len(answer)
        if self.answer_octets > ANSWER_OCTETS_MAX:
            raise RemoteProtocolError(
                f"the meter sent more than {ANSWER_OCTETS_MAX} octets in one session",
                next_step="read fewer days at once; if it sends this much for one day, look at the meter",
            )
        passed.answer = answer
        return answer

    def _masked(self, apdu: bytes) -> bytes:
        """Only the AARQ holds the password; elsewhere the same octets are chance."""
        if not self.password or apdu[:1] != bytes([AARQ_TAG]):
            return apdu
        return apdu.replace(self.password, b"*" * len(self.password))

    def at(self, position: int) -> datetime:
        """When the exchange at this position began."""
        return next(passed.at for passed in self._passed if passed.exchange == position)

    def exchanges(self) -> tuple[Exchange, ...]:
        """Everything that passed, as the route keeps it; the last one may have no answer."""
        opened = self.journal.exchanges
        return tuple(
            self._exchange(list(parts), opened[number].plain if number < len(opened) else b"")
            for number, parts in groupby(self._passed, attrgetter("exchange"))
        )

    def _exchange(self, parts: Sequence[_Passed], plain: bytes) -> Exchange:
        route, client, server = self.endpoint.route, self.endpoint.client, self.endpoint.server
        requests = (route.evidence(client, server, one.request, is_request=True) for one in parts if one.request)
        answers = (route.evidence(server, client, one.answer, is_request=False) for one in parts if one.answer)
        return Exchange(parts[0].at, b"".join(requests), b"".join(answers), plain)


class MeterMemory(NamedTuple):
    """What is carried from one session with a meter to the next."""

    counters: CounterBank
    received: Received
    layouts: KnownLayouts


class Step(Protocol):
    """What is done in a session once everything is read; however it ends, what was read is kept.

    A meter with a management association is changed in that alone: the step then comes a second time.
    """

    @property
    def unfinished(self) -> bool:
        """True when what it came to, or what it begins with, takes a client that may change something."""
        ...

    def talk(self, session: Session, *, may_change: bool) -> Conversation[None]:
        """The step, over the open association, in which nothing is to be changed unless it `may`."""
        ...

    def failed(self, error: AmityError) -> None:
        """This ended it."""
        ...


class _Open(NamedTuple):
    """An association that stands, and how something is asked in it."""

    session: Session
    exchange: Callable[[bytes], Awaitable[bytes]]


async def read_once(
    profile: DeviceProfile,
    plan: Plan,
    record: SessionRecord,
    *,
    settings: AssociationSettings,
    memory: MeterMemory,
    surroundings: Surroundings,
    step: Step | None = None,
) -> MeterReadout:
    """Connect, associate, carry out the plan and the step, release, close.

    Raises whatever AmityError ends the session early, the step's apart.
    """
    async with _associated(profile, record, settings=settings, memory=memory, surroundings=surroundings) as opened:
        spoken = MeterConversation(opened.session, profile, memory.layouts, surroundings.clock.now)
        readout = await converse(spoken.read(record.endpoint.meter_id, plan), opened.exchange)
        if step is not None:
            await _take(step, record.endpoint, opened)
    return readout


async def finish(
    step: Step,
    profile: DeviceProfile,
    record: SessionRecord,
    *,
    settings: AssociationSettings,
    memory: MeterMemory,
    surroundings: Surroundings,
) -> None:
    """The step once more, in an association of the client that may change something. Raises as `read_once`."""
    async with _associated(profile, record, settings=settings, memory=memory, surroundings=surroundings) as opened:
        await _take(step, record.endpoint, opened)


@asynccontextmanager
async def _associated(
    profile: DeviceProfile,
    record: SessionRecord,
    *,
    settings: AssociationSettings,
    memory: MeterMemory,
    surroundings: Surroundings,
) -> AsyncIterator[_Open]:
    """Connect and associate; release when all went well, and close."""
    endpoint, rules, counters = record.endpoint, surroundings.session, memory.counters
    record.password = settings.password
    if settings.protector is not None and not counters.has(_COUNTERS_PER_SESSION):
        await surroundings.disk(lambda: counters.ensure(_COUNTERS_PER_SESSION))
    channel = await surroundings.connector.connect(endpoint, rules.connect_timeout_s)
    try:
        async with asyncio.timeout(rules.session_timeout_s):
            exchange = partial(record.exchange, channel, timeout_s=rules.request_timeout_s)
            ports = Ports(surroundings.random_octets, counters.take, received=memory.received, journal=record.journal)
            session = await converse(associate(settings, ports), exchange)
            yield _Open(session, exchange)
        if profile.association.answers_release:
            await _release(session, channel, record)
    except TimeoutError as error:
        raise TransportError(
            f"the session did not end within {rules.session_timeout_s:g} s",
            tried=f"session with {endpoint.route}",
            next_step="read fewer days at once, or raise the session timeout if the meter is just slow",
        ) from error
    finally:
        record.unsolicited = (*channel.unsolicited, *record.journal.unasked)
        await channel.close()


async def _take(step: Step, endpoint: Endpoint, opened: _Open) -> None:
    """A client beside which there is one for management changes nothing."""
    try:
        await converse(step.talk(opened.session, may_change=endpoint.management is None), opened.exchange)
    except AmityError as error:
        step.failed(error)


async def _release(session: Session, channel: Channel, record: SessionRecord) -> None:
    """A courtesy: what was read is read, whatever the meter says to this."""
    with suppress(AmityError):
        await converse(release(session), partial(record.exchange, channel, timeout_s=_RELEASE_TIMEOUT_S))
