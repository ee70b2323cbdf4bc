"""HDLC addresses (IEC 62056-46, 6.4.2.2): one, two or four octets, the last of which is odd."""

from typing import NamedTuple

from amity.kernel.errors import LocalProtocolError

ALL_STATIONS_UPPER = frozenset((0x7F, 0x3FFF))
"""Logical device addresses that mean every logical device (6.4.2.3)."""

CALLED_LOWER = frozenset((0x7E, 0x3FFE, 0x7F, 0x3FFF))
"""Physical device addresses that a station hears beside its own: the CALLING device and all stations."""

_SHORT_MAX = 0x7F
_LONG_MAX = 0x3FFF
_WIDTHS = (1, 2, 4)
_PAIR, _PAIRS = 2, 4


class Address(NamedTuple):
    """`upper` is the client, or the logical device in a server; `lower` the physical device, None when not given.

    `octets` asks for a wider form than the shortest (some meters know only one): 2 or 4; None is the shortest.
    """

    upper: int
    lower: int | None = None
    octets: int | None = None

    @property
    def station(self) -> tuple[int, int | None]:
        """Who is meant, in whatever form it is written."""
        return self.upper, self.lower

    @property
    def width(self) -> int:
        """How many octets it has on the wire."""
        return self.octets or len(self.encode())

    def __str__(self) -> str:
        """`16`, or `1/17` with a physical device."""
        return str(self.upper) if self.lower is None else f"{self.upper}/{self.lower}"

    def encode(self) -> bytes:
        """The octets on the wire; raise LocalProtocolError when a part does not fit 14 bits or the form asked for."""
        lower = 0 if self.lower is None else self.lower
        if not (0 <= self.upper <= _LONG_MAX and 0 <= lower <= _LONG_MAX):
            raise LocalProtocolError(f"address {self} does not fit an HDLC address of 14 bits a part")
        short = self.upper <= _SHORT_MAX and lower <= _SHORT_MAX
        if self.lower is None:
            return self._checked(bytes([self.upper << 1 | 1]) if short else _pair(self.upper, last=True))
        if short and self.octets != _PAIRS:
            return self._checked(bytes([self.upper << 1, lower << 1 | 1]))
        return self._checked(_pair(self.upper, last=False) + _pair(lower, last=True))

    def _checked(self, octets: bytes) -> bytes:
        if self.octets not in {None, len(octets)}:
            raise LocalProtocolError(
                f"address {self} has no form of {self.octets} octets",
                next_step="give upper/lower for two or four octets, the upper address alone for one",
            )
        return octets


def _pair(value: int, *, last: bool) -> bytes:
    return bytes([(value >> 7) << 1, (value & _SHORT_MAX) << 1 | last])


def decode_address(octets: bytes, offset: int) -> tuple[Address, int] | None:
    """The address that starts at `offset` and the offset after it; None when none of the three forms stands there."""
    for width in _WIDTHS:
        end = offset + width
        if end > len(octets):
            return None
        if octets[end - 1] & 1 and not any(octet & 1 for octet in octets[offset : end - 1]):
            return _address([octet >> 1 for octet in octets[offset:end]]), end
    return None


def _address(sevens: list[int]) -> Address:
    if len(sevens) == 1:
        return Address(sevens[0])
    if len(sevens) == _PAIR:
        return Address(sevens[0], sevens[1])
    upper, lower = sevens[0] << 7 | sevens[1], sevens[2] << 7 | sevens[3]
    wider_than_needed = upper <= _SHORT_MAX and lower <= _SHORT_MAX
    return Address(upper, lower, _PAIRS if wider_than_needed else None)
