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
from amity.headend.heard_counters import HeardCounters
from amity.headend.ports import Endpoint
from amity.headend.pushes.known import KnownSenders
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

    `counter` is the number of a protected push, which may be taken once only: its invocation counter, or its
    transaction id where no counter tells. It is as good as the tag or signature that covers it: without one, whoever
    stands in between can name any number. `conversation` seals what goes back, None where nothing is protected.
    `signed` is the number of its signature, which whoever has the symmetric keys could wrap anew; below 0 without one.
    `repeated`: these very octets came before, so whoever sends them now need not be whom they are from.
    """

    endpoint: Endpoint
    plain: bytes
    notification: Notification
    content: Content
    counter: int | None = None
    authenticated: bool = False
    conversation: "Conversation | None" = None
    signed: int = -1
    repeated: bool = False


class Conversation(NamedTuple):
    """Who answers a protected push in kind, under the `numbers` that are put at hand."""

    security: MessageSecurity
    numbers: deque[int]


class Signatures:
    """The numbers that each meter has signed, as long as this program runs: each is good once."""

    def __init__(self) -> None:
        self._heard: dict[str, HeardCounters] = {}
        self._now: set[tuple[str, int]] = set()

    @contextmanager
    def once(self, opened: Opened, heard_s: int, *, late: bool = False) -> Iterator[None]:
        """What is done within counts if it succeeds; raise SecurityError before it begins for an old signature.

        It was heard at `heard_s` (epoch seconds). One that came through a collector may be `late`.
        """
        meter_id, number = opened.endpoint.meter_id, opened.signed
        if number < 0:
            yield
            return
        self._check(meter_id, number, heard_s, late=late)
        self._now.add((meter_id, number))
        try:
            yield
            heard = self._heard.get(meter_id)
            first = HeardCounters.first(number, heard_s, late=late)
            self._heard[meter_id] = first if heard is None else heard.having(number, heard_s)
        finally:
            self._now.discard((meter_id, number))

    def _check(self, meter_id: str, number: int, heard_s: int, *, late: bool) -> None:
        heard = self._heard.get(meter_id)
        is_new = heard is None or heard.believes(number, heard_s, late=late)
        if not is_new or (meter_id, number) in self._now:
            raise SecurityError(
                f"what meter {meter_id} signed under number {number} was heard before",
                next_step="somebody with the symmetric keys may wrap old messages anew; look where it came from",
            )


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
        conversation = self._conversation(endpoint, message, received)
        plain = conversation.security.open(payload)
        notification = _notification(apdu.decode(plain))
        number = next(number for number in (received.counter, received.transaction, received.signed) if number >= 0)
        if number > _NUMBER_MAX:
            raise SecurityError(f"a push of meter {endpoint.meter_id} has the number {number}, beyond what is believed")
        tagged = isinstance(message, GeneralSigning) or Protection.AUTHENTICATED.satisfied_by(message.security_control)
        content = self._reader.read(notification)
        return Opened(endpoint, plain, notification, content, number, tagged, conversation, received.signed)

    def _conversation(self, endpoint: Endpoint, message: Protected, received: Received) -> Conversation:
        settings = self.known.association(endpoint).settings
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
