"""The frame check sequence of HDLC (ISO/IEC 13239, 16 bits, polynomial x^16 + x^12 + x^5 + 1, low bit first).

`crc_hqx` is the same polynomial with the high bit first, so octets go in and come out mirrored: C speed for free.
"""

from binascii import crc_hqx

_START = 0xFFFF
_MIRRORED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_AFTER_A_CHECK = 0x1D0F
"""What the register holds behind any octets that end with their own check sequence (F0B8 mirrored)."""


def check_sequence(octets: bytes) -> bytes:
    """The two octets that follow these on the wire."""
    return _sequence(crc_hqx(octets.translate(_MIRRORED), _START))


def check_sequence_after_check(octets: bytes) -> bytes:
    """The same for octets that follow a part which ends with its own check: that part is not gone through again."""
    return _sequence(crc_hqx(octets.translate(_MIRRORED), _AFTER_A_CHECK))


def holds(octets: bytes) -> bool:
    """True when the last two octets are the check sequence of those before them."""
    return crc_hqx(octets.translate(_MIRRORED), _START) == _AFTER_A_CHECK


def holds_after_check(octets: bytes) -> bool:
    """The same for octets that follow a part which ends with its own, good check."""
    return crc_hqx(octets.translate(_MIRRORED), _AFTER_A_CHECK) == _AFTER_A_CHECK


def both_hold(octets: bytes, head_octets: int) -> bool:
    """True when a head of so many octets ends with its check sequence, and so does all of it: mirrored once."""
    mirrored = octets.translate(_MIRRORED)
    if crc_hqx(mirrored[:head_octets], _START) != _AFTER_A_CHECK:
        return False
    return crc_hqx(mirrored[head_octets:], _AFTER_A_CHECK) == _AFTER_A_CHECK


def _sequence(register: int) -> bytes:
    return (register ^ _START).to_bytes(2, "big").translate(_MIRRORED)
