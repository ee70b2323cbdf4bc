"""What tells a message from a recording of one heard before (IEC 62056-5-3, 5.3.4.7): counters, and keys used once."""

from dataclasses import dataclass, field

from amity.kernel.errors import SecurityError
from amity.protocols.dlms.apdu import (
    ConfirmedServiceError,
    ExceptionResponse,
    InitiateRequest,
    InitiateResponse,
    decode,
)

UNPROVED_JUMP_MAX = 1 << 24
"""How far a message without a tag may move a counter: as seconds, half a year of silence."""

_ERROR = ConfirmedServiceError | ExceptionResponse
_INITIATE = InitiateRequest | InitiateResponse | ConfirmedServiceError
_ONE_TIME_KEYS_MAX = 4096


class ReplayError(SecurityError):
    """A received invocation counter did not rise; `expected` is the lowest that would have been taken."""

    def __init__(self, what: str, number: int, last: int) -> None:
        super().__init__(
            f"a message with {what} {number} came after {last}",
            next_step="somebody may replay old messages; open a new association, and if the meter itself counts anew,"
            " give it a new encryption key",
        )
        self.expected = last + 1


@dataclass(slots=True)
class Received:
    """The highest numbers that a peer has used: invocation counters, and transaction ids where no counter tells.

    The broadcast key has an invocation counter of its own; a key of one message has none. Signatures are counted
    apart: whoever holds the symmetric keys may wrap a signed message anew. `one_time_keys` came with messages: answers
    of which each has a new one need no numbers, as long as there is room to remember them.
    """

    counter: int = -1
    broadcast: int = -1
    transaction: int = -1
    signed: int = -1
    one_time_keys: set[bytes] = field(default_factory=set)

    def is_new(self, one_time_key: bytes) -> bool:
        """True for a key that came with no message before, as far as that is remembered; none is not new."""
        heard = self.one_time_keys
        return bool(one_time_key) and len(heard) < _ONE_TIME_KEYS_MAX and one_time_key not in heard

    def remember(self, one_time_key: bytes) -> None:
        """From now on it is not new; when there are too many, only numbers tell."""
        if one_time_key and len(self.one_time_keys) < _ONE_TIME_KEYS_MAX:
            self.one_time_keys.add(one_time_key)


def check_rises(what: str, number: int, last: int) -> None:
    """Raise ReplayError unless the number is above the last one."""
    if number <= last:
        raise ReplayError(what, number, last)


def moves_unproved(plain: bytes, jump: int, *, initiate: bool, first: bool) -> bool:
    """Whether a message without a tag moves the counter: for its sense alone, and not far.

    Any octets decipher to something. An error is so short that chance soon hits it: it moves nothing. Raise
    RemoteProtocolError where there is no sense, SecurityError for no Initiate service, or too far a jump.
    """
    apdu = decode(plain)
    if initiate and not isinstance(apdu, _INITIATE):
        raise SecurityError("a message that opens an association does not hold that", next_step="wrong key likely")
    if isinstance(apdu, _ERROR):
        return False
    if jump > UNPROVED_JUMP_MAX and not first:
        raise SecurityError(
            f"a message without a tag is {jump} ahead of the invocation counter heard last",
            next_step="somebody may try to lock the sender out; choose a protection with authentication",
        )
    return True
