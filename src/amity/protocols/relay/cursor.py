"""Reads the fields of one relay message in order; whatever is missing or too much is one RelayError."""

from collections.abc import Iterator

from amity.protocols.relay.errors import RelayError

_MORE, _BITS = 0x80, 7
_VARINT_OCTETS_MAX = 4
NUMBER_MAX = (1 << _BITS * _VARINT_OCTETS_MAX) - 1
"""The highest number with a variable length; instants and credits have fixed ones."""


def varint(number: int) -> bytes:
    """A number below 2^28 as 1 to 4 octets, seven bits each, the lowest first; all but the last have bit 7 set."""
    octets = bytearray()
    while number > _MORE - 1:
        octets.append(number & _MORE - 1 | _MORE)
        number >>= _BITS
    octets.append(number)
    return bytes(octets)


def varint_at(octets: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """A number and the position behind it, None when it is not whole yet; raise RelayError when it has no end."""
    number = 0
    for position, octet in zip(_positions(), octets[at : at + _VARINT_OCTETS_MAX], strict=False):
        number |= (octet & _MORE - 1) << _BITS * position
        if octet < _MORE:
            return number, at + position + 1
    if len(octets) - at >= _VARINT_OCTETS_MAX:
        raise RelayError("a number has more than four octets", answer=octets[at : at + 8].hex(" "))
    return None


def _positions() -> Iterator[int]:
    return iter(range(_VARINT_OCTETS_MAX))


class Cursor:
    """A place in one message."""

    __slots__ = ("_at", "_octets")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next octets; raise RelayError when there are not so many."""
        end = self._at + count
        if end > len(self._octets):
            raise RelayError(f"a message of {len(self._octets)} octets ends before octet {end}")
        taken = self._octets[self._at : end]
        self._at = end
        return taken

    def number(self, octets: int) -> int:
        """An unsigned number of a fixed width, the highest octet first."""
        return int.from_bytes(self.take(octets), "big")

    def sized(self) -> bytes:
        """Octets with their count before them."""
        found = varint_at(self._octets, self._at)
        if found is None:
            raise RelayError("a message ends within a count")
        count, self._at = found
        return self.take(count)

    def end(self) -> None:
        """Raise RelayError when something is left."""
        if self._at < len(self._octets):
            raise RelayError(f"{len(self._octets) - self._at} octets are left behind a message")

    @property
    def at_end(self) -> bool:
        """True when nothing is left."""
        return self._at == len(self._octets)
