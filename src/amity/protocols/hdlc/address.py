"""HDLC addresses (IEC 62056-46, 6.4.2.2): one, two or four octets, the last of which is odd."""

from typing import NamedTuple

from amity.kernel.errors import LocalProtocolError

_SHORT_MAX = 0x7F
_LONG_MAX = 0x3FFF
_WIDTHS = (1, 2, 4)


class Address(NamedTuple):
    """`upper` is the client, or the logical device in a server; `lower` the physical device, None when not given."""

    upper: int
    lower: int | None = None

    def encode(self) -> bytes:
        """The shortest of the three forms; raise LocalProtocolError when a part does not fit 14 bits."""
        parts = (self.upper,) if self.lower is None else self
        if any(part is None or not 0 <= part <= _LONG_MAX for part in parts):
            raise LocalProtocolError(f"{self} does not fit an HDLC address of 14 bits a part")
        if self.lower is None:
            return bytes([self.upper << 1 | 1]) if self.upper <= _SHORT_MAX else _pair(self.upper, last=True)
        if self.upper <= _SHORT_MAX and self.lower <= _SHORT_MAX:
            return bytes([self.upper << 1, self.lower << 1 | 1])
        return _pair(self.upper, last=False) + _pair(self.lower, last=True)


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
    if len(sevens) == 2:  # noqa: PLR2004 - the middle form
        return Address(sevens[0], sevens[1])
    return Address(sevens[0] << 7 | sevens[1], sevens[2] << 7 | sevens[3])
