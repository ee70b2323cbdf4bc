"""Fragments of messages as they stand in the connection: of which stream, whether its message ends here, the octets.

Long messages are cut, so that an alarm never waits for more than one fragment of something else.
"""

from typing import Final, NamedTuple

from amity.protocols.relay.cursor import varint, varint_at
from amity.protocols.relay.errors import RelayError

FRAGMENT_OCTETS: Final = 1024
"""What we cut messages into: a quarter of a second at 32 kbit/s."""
FRAGMENT_OCTETS_MAX: Final = 4096
STREAM_MAX: Final = 0x7FF_FFFF


class Fragment(NamedTuple):
    """A piece of a message; `last` where the message ends with it."""

    stream: int
    last: bool
    octets: bytes

    def encode(self) -> bytes:
        """Two numbers, then the octets."""
        return varint(self.stream << 1 | self.last) + varint(len(self.octets)) + self.octets


class FragmentReader:
    """Collects octets as the connection delivers them and gives back the fragments that are complete."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes, most: int | None = None) -> list[Fragment]:
        """Take what arrived; return the fragments now complete, so many at most: the others wait for the next call.

        Raise RelayError when it is no relay link.
        """
        self._buffer += octets
        fragments: list[Fragment] = []
        at = 0
        while (most is None or len(fragments) < most) and (found := self._at(at)) is not None:
            fragment, at = found
            fragments.append(fragment)
        del self._buffer[:at]
        return fragments

    def _at(self, at: int) -> tuple[Fragment, int] | None:
        head = varint_at(self._buffer, at)
        size = None if head is None else varint_at(self._buffer, head[1])
        if head is None or size is None:
            return None
        count, start = size
        if not count:
            raise RelayError("a fragment comes without an octet")
        if count > FRAGMENT_OCTETS_MAX:
            raise RelayError(f"a fragment announces {count} octets; {FRAGMENT_OCTETS_MAX} is the most")
        if len(self._buffer) < start + count:
            return None
        octets = bytes(self._buffer[start : start + count])
        return Fragment(head[0] >> 1, bool(head[0] & 1), octets), start + count
