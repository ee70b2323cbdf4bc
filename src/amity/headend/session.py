"""One association with one meter, from connect to close, with every octet that passed kept as evidence."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from amity.devices.client import (
    AssociationSettings,
    Authentication,
    Ciphering,
    Ports,
    Protection,
    Session,
    associate,
    release,
)
from amity.devices.client.conversation import converse
from amity.devices.profiles import DeviceProfile
from amity.domain.collection import Exchange
from amity.headend.conversation import KnownLayouts, MeterConversation, MeterReadout
from amity.headend.counter_bank import CounterBank
from amity.headend.plan import Plan
from amity.headend.ports import Channel, Endpoint, MeterSecrets
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, ConfigurationError, RemoteProtocolError, TransportError
from amity.kernel.time import Clock
from amity.protocols.dlms.acse import AARQ_TAG
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.wrapper.frame import encode

Choice = TypeVar("Choice", Authentication, Ciphering, Protection)

_COUNTERS_PER_SESSION: Final = 128
_RELEASE_TIMEOUT_S: Final = 1.0
ANSWER_OCTETS_MAX: Final = 3 * 1024 * 1024
"""What one session may bring: ninety days of quarter hours stay below 2 MiB, and all of it is held in memory."""


def association_settings(
    endpoint: Endpoint, profile: DeviceProfile, secrets: MeterSecrets, system_title: bytes
) -> AssociationSettings:
    """How the association with this meter is opened: the endpoint's word, where it has one, before the profile's.

    Raise ConfigurationError for words that are none, or keys that do not fit.
    """
    authentication = _choice(endpoint, "auth", Authentication, profile.association.authentication)
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
            protector=_keys(profile.association.suite, secrets, needed=titled) if keyed else None,
        )
    except AmityError as error:
        raise ConfigurationError(
            f"meter {endpoint.meter_id} cannot be associated with: {error.what}", next_step=error.next_step
        ) from error


def _keys(suite: int, secrets: MeterSecrets, *, needed: bool) -> KeyRing:
    """All that is known; a missing encryption key is refused here where it will be needed."""
    guek = secrets.guek if needed else secrets.guek or None
    return KeyRing(suite, Keys(guek, secrets.gak if needed else None, secret=secrets.password or None))


def _choice(endpoint: Endpoint, name: str, choices: type[Choice], otherwise: Choice) -> Choice:
    word = getattr(endpoint, name)
    if word and word not in list(choices):
        raise ConfigurationError(
            f"{name} of meter {endpoint.meter_id} is {word!r}", next_step=f"choose one of {', '.join(choices)}"
        )
    return choices(word) if word else otherwise


@dataclass(slots=True)
class _Passed:
    """One exchange on the line; `answer` is empty when none came."""

    at: datetime
    request: bytes
    answer: bytes = b""


class SessionRecord:
    """Carries APDUs over a channel and keeps them as wire octets; `password` is kept as asterisks."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self.endpoint = endpoint
        self.password = b""
        self.session: Session | None = None
        self._clock = clock
        self._passed: list[_Passed] = []
        self.answer_octets = 0
        self.unsolicited: tuple[bytes, ...] = ()

    async def exchange(self, channel: Channel, apdu: bytes, timeout_s: float) -> bytes:
        """One exchange; raise what the channel raises, and RemoteProtocolError when the meter does not stop talking."""
        passed = _Passed(self._clock.now(), self._masked(apdu))
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
        return self._passed[position].at

    def exchanges(self) -> tuple[Exchange, ...]:
        """Everything that passed, wrapper frames as they stood on the line."""
        client, server = self.endpoint.client, self.endpoint.server
        opened = self.session.exchanges if self.session is not None else []
        plains = [one.plain for one in opened] + [b""] * (len(self._passed) - len(opened))
        return tuple(
            Exchange(
                passed.at,
                encode(client, server, passed.request),
                encode(server, client, passed.answer) if passed.answer else b"",
                plain,
            )
            for passed, plain in zip(self._passed, plains, strict=True)
        )


async def read_once(
    profile: DeviceProfile,
    plan: Plan,
    record: SessionRecord,
    *,
    settings: AssociationSettings,
    counters: CounterBank,
    layouts: KnownLayouts,
    surroundings: Surroundings,
) -> MeterReadout:
    """Connect, associate, carry out the plan, release, close. Raises whatever AmityError ends the session early."""
    endpoint, rules = record.endpoint, surroundings.session
    record.password = settings.password
    if settings.protector is not None:
        await surroundings.disk(lambda: counters.ensure(_COUNTERS_PER_SESSION))
    channel = await surroundings.connector.connect(endpoint, rules.connect_timeout_s)
    try:
        async with asyncio.timeout(rules.session_timeout_s):

            async def exchange(apdu: bytes) -> bytes:
                return await record.exchange(channel, apdu, rules.request_timeout_s)

            ports = Ports(surroundings.random_octets, counters.take)
            session = record.session = await converse(associate(settings, ports), exchange)
            spoken = MeterConversation(session, profile, layouts, surroundings.clock.now)
            readout = await converse(spoken.read(endpoint.meter_id, plan), exchange)
        if profile.association.answers_release:
            await _release(session, channel, record)
    except TimeoutError as error:
        raise TransportError(
            f"the session did not end within {rules.session_timeout_s:g} s",
            tried=f"session with {endpoint.host}:{endpoint.port}",
            next_step="read fewer days at once, or raise the session timeout if the meter is just slow",
        ) from error
    else:
        return readout
    finally:
        record.unsolicited = tuple(channel.unsolicited)
        await channel.close()


async def _release(session: Session, channel: Channel, record: SessionRecord) -> None:
    """A courtesy: what was read is read, whatever the meter says to this."""
    with suppress(AmityError):
        await converse(release(session), lambda apdu: record.exchange(channel, apdu, _RELEASE_TIMEOUT_S))
