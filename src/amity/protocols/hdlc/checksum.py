"""The frame check sequence of HDLC (ISO/IEC 13239, 16 bits, polynomial x^16 + x^12 + x^5 + 1, low bit first)."""

from binascii import crc_hqx

_START = 0xFFFF
_MIRRORED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def check_sequence(octets: bytes) -> bytes:
    """The two octets that follow these on the wire.

    `crc_hqx` is the same polynomial with the high bit first, so octets go in and come out mirrored: C speed for free.
    """
    value = crc_hqx(octets.translate(_MIRRORED), _START) ^ _START
    return value.to_bytes(2, "big").translate(_MIRRORED)
