"""What head-end and collector say to each other; each message is a kind octet and its fields in order.

| stream       | collector says                   | head-end says                                  |
|--------------|----------------------------------|------------------------------------------------|
| control      | Hello, CalledIn, Quality         | Welcome, Refused, Confirmed, Kept, Open, Close |
| control      | Ping, Pong, Credit               | Ping, Pong, Credit                             |
| alarms, bulk | Push                             |                                                |
| channel      | Opened, Answer, Notice, Failed   | Ask                                            |

APDUs and pushes are octets here; nothing in this package looks into them.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, ClassVar, Final, NamedTuple, Self

from amity.protocols.relay.cursor import Cursor, varint
from amity.protocols.relay.errors import RelayError

VERSION: Final = 1
ALPN: Final = "amity-relay/1"
"""Both ends agree on the protocol while TLS is set up (RFC 7301)."""
PUSH_ID_OCTETS: Final = 16


class FailureKind(IntEnum):
    """What became of a request to a meter, in the terms that the head-end decides by."""

    REFUSED = 1  # nothing listens there
    SILENT = 2  # no way to it, or not one octet of an answer
    BROKEN = 3  # it began and broke off
    GARBLED = 4  # the meter broke the standard
    IMPOSSIBLE = 5  # the request has no form on that line
    NOT_ALLOWED = 6  # the collector's own rules forbid it
    BUSY = 7  # the collector has too much to do


class Number(NamedTuple):
    """An unsigned number of a fixed width."""

    octets: int

    def encode(self, value: int) -> bytes:
        """The highest octet first."""
        return value.to_bytes(self.octets, "big")

    def decode(self, cursor: Cursor) -> int:
        """The number."""
        return cursor.number(self.octets)


class Octets:
    """Octets with their count before them."""

    def encode(self, value: bytes) -> bytes:
        """Count, then octets."""
        return varint(len(value)) + value

    def decode(self, cursor: Cursor) -> bytes:
        """The octets."""
        return cursor.sized()


class Text:
    """A text in UTF-8 with the count of its octets before it."""

    def encode(self, value: str) -> bytes:
        """Count, then octets; a lone surrogate becomes a question mark."""
        octets = value.encode("utf-8", "replace")
        return varint(len(octets)) + octets

    def decode(self, cursor: Cursor) -> str:
        """The text; octets that are none are shown as such."""
        return cursor.sized().decode("utf-8", "replace")


class Ids:
    """Message ids, to the end of the message."""

    def encode(self, value: tuple[bytes, ...]) -> bytes:
        """One after the other."""
        return b"".join(value)

    def decode(self, cursor: Cursor) -> tuple[bytes, ...]:
        """All that are left."""
        ids = []
        while not cursor.at_end:
            ids.append(cursor.take(PUSH_ID_OCTETS))
        return tuple(ids)


class Flag:
    """One octet, 0 or 1."""

    def encode(self, value: bool) -> bytes:
        """0 or 1."""
        return bytes([value])

    def decode(self, cursor: Cursor) -> bool:
        """Raise RelayError for anything else."""
        octet = cursor.number(1)
        if octet > 1:
            raise RelayError(f"a flag is 0 or 1, not {octet}")
        return bool(octet)


class Failing:
    """A `FailureKind` in one octet; one that we do not know is BROKEN."""

    def encode(self, value: FailureKind) -> bytes:
        """Its number."""
        return bytes([value])

    def decode(self, cursor: Cursor) -> FailureKind:
        """The kind."""
        octet = cursor.number(1)
        return FailureKind(octet) if octet in list(FailureKind) else FailureKind.BROKEN


Field = Number | Octets | Text | Ids | Flag | Failing
_U16, _U32, _U64, _OCTETS, _TEXT = Number(2), Number(4), Number(8), Octets(), Text()
_ID = Number(PUSH_ID_OCTETS)


@dataclass(frozen=True, slots=True)
class Message:
    """The root: `KIND` and the forms of the fields, in their order."""

    KIND: ClassVar[int]
    FORMS: ClassVar[tuple[Field, ...]] = ()

    def encode(self) -> bytes:
        """The kind, then the fields."""
        encoders: list[Callable[[Any], bytes]] = [form.encode for form in self.FORMS]
        values = (getattr(self, field.name) for field in fields(self))
        return bytes([self.KIND]) + b"".join(put(value) for put, value in zip(encoders, values, strict=True))

    @classmethod
    def read(cls, cursor: Cursor) -> Self:
        """The fields; raise RelayError when they are not exactly these."""
        message = cls(*(form.decode(cursor) for form in cls.FORMS))
        cursor.end()
        return message


# ------------------------------------------------------------------ control
@dataclass(frozen=True, slots=True)
class Hello(Message):
    """The first message of a collector; who it is stands in its certificate. `held` pushes wait in it."""

    KIND = 1
    FORMS = (_U16, _TEXT, _U32)
    version: int
    software: str
    held: int


@dataclass(frozen=True, slots=True)
class Welcome(Message):
    """The head-end accepts the collector; it may push now."""

    KIND = 2


@dataclass(frozen=True, slots=True)
class Refused(Message):
    """The head-end does not, and says why; the collector comes again later."""

    KIND = 3
    FORMS = (_TEXT,)
    reason: str


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """Is somebody there? The other side repeats the number."""

    KIND = 4
    FORMS = (_U32,)
    number: int


@dataclass(frozen=True, slots=True)
class Pong(Message):
    """The answer to `Ping`."""

    KIND = 5
    FORMS = (_U32,)
    number: int


@dataclass(frozen=True, slots=True)
class Credit(Message):
    """So many octets of a stream were dealt with; as many more may come."""

    KIND = 6
    FORMS = (_U32, _U32)
    stream: int
    octets: int


@dataclass(frozen=True, slots=True)
class Quality(Message):
    """How the collector's links do, as JSON; see `docs/collectors.md`."""

    KIND = 7
    FORMS = (_TEXT,)
    document: str


@dataclass(frozen=True, slots=True)
class Kept(Message):
    """The head-end has these pushes on its disk, or will never want them: they may be deleted."""

    KIND = 8
    FORMS = (Ids(),)
    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Close(Message):
    """The head-end is done with a channel."""

    KIND = 9
    FORMS = (_U32,)
    stream: int


@dataclass(frozen=True, slots=True)
class Confirmed(Message):
    """The head-end has this push on its disk, and its meter wants to hear so: the APDU for it, protected in kind."""

    KIND = 10
    FORMS = (_ID, _OCTETS)
    number: int
    apdu: bytes


@dataclass(frozen=True, slots=True)
class CalledIn(Message):
    """Somebody opened a connection to the collector, to be read on it, and says this name."""

    KIND = 11
    FORMS = (_TEXT,)
    name: str


# ------------------------------------------------------------------ pushes
@dataclass(frozen=True, slots=True)
class Push(Message):
    """A wrapper frame that a meter sent unasked: when it came, from which address, and the frame as it was.

    The id is random and made when the push is stored: however often it is sent, it is the same push. `is_awaited` while
    the meter may still be on the line to hear that it was taken.
    """

    KIND = 20
    FORMS = (_ID, _U64, _TEXT, Flag(), _OCTETS)
    number: int
    at_ms: int
    peer: str
    is_awaited: bool
    frame: bytes

    @property
    def push_id(self) -> bytes:
        """The id as octets."""
        return self.number.to_bytes(PUSH_ID_OCTETS, "big")


# ------------------------------------------------------------------ channels
@dataclass(frozen=True, slots=True)
class Open(Message):
    """Open a channel to a meter: the route as the fleet document writes it, client and server address, patience.

    Channels are opened on the control stream, in the order of their numbers, and no number comes twice.
    """

    KIND = 30
    FORMS = (_U32, _TEXT, _U16, _U16, _U32)
    stream: int
    route: str
    client: int
    server: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Opened(Message):
    """The way stands."""

    KIND = 31


@dataclass(frozen=True, slots=True)
class Ask(Message):
    """Send an APDU, and bring what comes back within the time; `is_answered` false: nothing will, go on.

    Without an APDU the meter's next one is awaited, and silence brings an empty `Answer`.
    """

    KIND = 32
    FORMS = (_U32, Flag(), _OCTETS)
    timeout_ms: int
    is_answered: bool
    apdu: bytes


@dataclass(frozen=True, slots=True)
class Answer(Message):
    """What came back."""

    KIND = 33
    FORMS = (_OCTETS,)
    apdu: bytes


@dataclass(frozen=True, slots=True)
class Notice(Message):
    """What the meter said unasked, before the answer that follows."""

    KIND = 34
    FORMS = (_OCTETS,)
    apdu: bytes


@dataclass(frozen=True, slots=True)
class Failed(Message):
    """The channel has failed and is of no more use; the texts are those of the error as the collector met it."""

    KIND = 35
    FORMS = (Failing(), _TEXT, _TEXT, _TEXT, _TEXT)
    kind: FailureKind
    what: str
    tried: str
    answer: str
    next_step: str


_MESSAGES: Final[dict[int, type[Message]]] = {
    one.KIND: one
    for one in (
        Hello, Welcome, Refused, Ping, Pong, Credit, Quality, Kept, Close, Confirmed, CalledIn, Push,
        Open, Opened, Ask, Answer, Notice, Failed,
    )
}  # fmt: skip


def decode(octets: bytes) -> Message:
    """The message; raise RelayError for octets that are none."""
    cursor = Cursor(octets)
    kind = cursor.number(1)
    known = _MESSAGES.get(kind)
    if known is None:
        raise RelayError(f"there is no message of kind {kind}", next_step="update the older of both ends")
    return known.read(cursor)
