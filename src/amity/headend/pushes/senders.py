"""Who sent a push, and whether to believe it: known senders, their keys, numbers that are good once."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from amity.devices.freshness import Received
from amity.devices.message_security import MessageSecurity, sender_of
from amity.devices.notification_intake import confirmation
from amity.devices.settings import Ciphering, Protection
from amity.headend.calls.callers import Caller
from amity.headend.heard_counters import KEYS_MAX, HeardCounters
from amity.headend.hearing import key_name
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.pushes.known import Association, KnownSenders
from amity.headend.pushes.readings import Content, Notification, PushReader
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, ConfigurationError, RemoteProtocolError, SecurityError
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import (
    Ciphered,
    DataNotification,
    EventNotification,
    GeneralCiphering,
    GeneralSigning,
)

_WITH_HLS_ALONE: Final = Protection.AUTHENTICATED
"""A meter whose associations are not ciphered still has keys: what it pushes under them carries a tag."""
_NUMBER_MAX: Final = (1 << 63) - 1
_COUNTERS_PER_ANSWER: Final = 2
"""One for the signature, one for the ciphering."""

Protected = Ciphered | GeneralCiphering | GeneralSigning


class UnknownSenderError(RemoteProtocolError):
    """A push from somebody we do not know, or that does not say from whom it is."""


class Opened(NamedTuple):
    """A push that can be believed: from whom, the plain APDU and what it holds.

    `counter` is the number of a protected push, which may be taken once only under the key of `key_name`: its
    invocation counter, or its transaction id where no counter tells. It is as good as the tag or signature that covers
    it: without one, whoever stands in between can name any number. `conversation` seals what goes back, None where
    nothing is protected. `signed` is the number of its signature, which whoever has the symmetric keys could wrap anew,
    below 0 without one; `signing_key_name` tells the meter's signing key.
    `repeated`: these very octets came before, so whoever sends them now need not be whom they are from.
    """

    endpoint: Endpoint
    plain: bytes
    notification: Notification
    content: Content
    key_name: bytes = b""
    counter: int | None = None
    authenticated: bool = False
    conversation: "Conversation | None" = None
    signing_key_name: bytes = b""
    signed: int = -1
    repeated: bool = False


class Conversation(NamedTuple):
    """Who answers a protected push in kind, under the `numbers` that are put at hand."""

    security: MessageSecurity
    numbers: deque[int]


class _Signature(NamedTuple):
    meter_id: str
    key_name: bytes
    number: int


class Signatures:
    """The numbers that each meter has signed under a key, as long as this program runs: each is good once."""

    def __init__(self) -> None:
        self._heard: dict[str, dict[bytes, HeardCounters]] = {}
        self._now: set[_Signature] = set()

    @contextmanager
    def once(self, opened: Opened, heard_s: int, *, late: bool = False) -> Iterator[None]:
        """What is done within counts if it succeeds; raise SecurityError before it begins for an old signature.

        It was heard at `heard_s` (epoch seconds). One that came through a collector may be `late`.
        """
        signature = _Signature(opened.endpoint.meter_id, opened.signing_key_name, opened.signed)
        if signature.number < 0:
            yield
            return
        self._check(signature, heard_s, late=late)
        self._now.add(signature)
        try:
            yield
            self._keep(signature, heard_s, late=late)
        finally:
            self._now.discard(signature)

    def _check(self, signature: _Signature, heard_s: int, *, late: bool) -> None:
        meter_id, key, number = signature
        heard = self._heard.get(meter_id, {}).get(key)
        is_new = heard is None or heard.believes(number, heard_s, late=late)
        if not is_new or signature in self._now:
            raise SecurityError(
                f"what meter {meter_id} signed under number {number} was heard before",
                next_step="somebody with the symmetric keys may wrap old messages anew; look where it came from",
            )

    def _keep(self, signature: _Signature, heard_s: int, *, late: bool) -> None:
        meter_id, key, number = signature
        of_meter = self._heard.setdefault(meter_id, {})
        first = HeardCounters.first(number, heard_s, late=late)
        of_meter[key] = of_meter[key].having(number, heard_s) if key in of_meter else first
        if len(of_meter) > KEYS_MAX:
            del of_meter[next(iter(of_meter))]


class Senders:
    """Opens what the meters of the fleet push."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._reader = PushReader()
        self.known = KnownSenders(surroundings)

    async def open(self, payload: bytes, caller: Caller) -> Opened:
        """Open one APDU that this caller pushed.

        Raises:
            UnknownSenderError: nobody of the fleet, or not to be told who.
            SecurityError: it does not verify, or is protected less than agreed.
            RemoteProtocolError: it does not decode.
        """
        message = apdu.decode(payload)
        try:
            return await self._open(payload, message, caller)
        except (UnknownSenderError, SecurityError, ConfigurationError):
            if not await self.known.looked_again():
                raise
        return await self._open(payload, message, caller)

    async def confirmation(self, opened: Opened) -> bytes | None:
        """What goes back to the sender of a push that was kept, protected in kind; None where he wants nothing.

        Raises SecurityError when no key for it is at hand, StorageError when the disk gives no counter for it.
        """
        notification, conversation = opened.notification, opened.conversation
        plain = confirmation(notification) if isinstance(notification, DataNotification) else None
        if plain is None or conversation is None:
            return plain
        counters, meter_id = self._surroundings.counters, opened.endpoint.meter_id
        first = await self._surroundings.disk(lambda: counters.reserve(meter_id, _COUNTERS_PER_ANSWER))
        conversation.numbers.extend(range(first, first + _COUNTERS_PER_ANSWER))
        return conversation.security.seal(plain)

    async def _open(self, payload: bytes, message: object, caller: Caller) -> Opened:
        if isinstance(message, Protected):
            return await self._open_protected(payload, message)
        return await self._open_plain(payload, _notification(message), caller)

    async def _open_protected(self, payload: bytes, message: Protected) -> Opened:
        sender = sender_of(message)
        endpoint = await self.known.find(sender)
        if endpoint is None:
            title = sender.hex() or "none"
            raise UnknownSenderError(f"a push came from system title {title}, which no meter of the fleet has")
        received = Received()
        association = self.known.association(endpoint)
        conversation = self._conversation(association, message, received)
        plain = conversation.security.open(payload)
        notification = _notification(apdu.decode(plain))
        secrets = association.secrets
        key, number = _told_by(received, secrets)
        if number > _NUMBER_MAX:
            raise SecurityError(f"a push of meter {endpoint.meter_id} has the number {number}, beyond what is believed")
        tagged = isinstance(message, GeneralSigning) or Protection.AUTHENTICATED.satisfied_by(message.security_control)
        return Opened(
            endpoint,
            plain,
            notification,
            self._reader.read(notification),
            key_name=key_name(key),
            counter=number,
            authenticated=tagged,
            conversation=conversation,
            signing_key_name=key_name(secrets.meter_signing),
            signed=received.signed,
        )

    def _conversation(self, association: Association, message: Protected, received: Received) -> Conversation:
        endpoint, settings = association.endpoint, association.settings
        if settings.protector is None:
            raise UnknownSenderError(
                f"a protected push came in the name of meter {endpoint.meter_id}, which has no keys"
            )
        policy = settings.protection if settings.ciphered else _WITH_HLS_ALONE
        if isinstance(message, GeneralSigning) and not settings.ciphered:
            policy = Protection.NONE  # a signature proves as much as a tag
        numbers: deque[int] = deque()
        security = MessageSecurity(
            settings.protector,
            self._surroundings.system_title,
            numbers.popleft,
            ciphering=Ciphering.GENERAL_GLO,
            policy=policy,
            received=received,
            answers_in_kind=True,
        )
        security.peer_title, security.peer_keys = endpoint.system_title, settings.server_keys
        security.signs = settings.signed or policy is Protection.NONE
        security.demands_signature = settings.demands_signature
        return Conversation(security, numbers)

    async def _open_plain(self, payload: bytes, notification: Notification, caller: Caller) -> Opened:
        """A plain push proves nothing: it is taken only from meters without keys, and where they themselves speak."""
        content = self._reader.read(notification)
        name = content.meter_named or ""
        endpoint = await self.known.find(name)
        if endpoint is None:
            raise UnknownSenderError(f"a push came in the name of {name or 'nobody'}, which no meter of the fleet has")
        if self.known.association(endpoint).has_keys:
            raise SecurityError(
                f"an unprotected push came in the name of meter {endpoint.meter_id}, which has keys",
                next_step="somebody may be in between; look where it came from",
            )
        if not await caller.speaks_for(endpoint):
            raise UnknownSenderError(f"an unprotected push in the name of meter {endpoint.meter_id} came from {caller}")
        return Opened(endpoint, payload, notification, content)


def _told_by(received: Received, secrets: MeterSecrets) -> tuple[bytes, int]:
    """The number that tells a push from a recording of it, and the key under which it counts.

    Without a counter that is the signing key: of those that come with a message or are agreed on there is none here.
    """
    if received.counter >= 0:
        return secrets.guek, received.counter
    return secrets.meter_signing, received.transaction if received.transaction >= 0 else received.signed


def _notification(message: object) -> Notification:
    if isinstance(message, DataNotification | EventNotification):
        return message
    raise RemoteProtocolError(f"a push is a notification, not {type(message).__name__}")


def reason_of(error: AmityError) -> str:
    """In a word why a push was parked, for counting."""
    match error:
        case UnknownSenderError():
            return "unknown-sender"
        case SecurityError() | ConfigurationError():
            return "not-believed"
        case RemoteProtocolError():
            return "undecodable"
        case _:
            return "not-kept"
