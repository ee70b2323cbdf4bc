"""Tags and lengths, both of BER and of A-XDR: the few lines that the hand-made meter needs of them."""

from __future__ import annotations


def length(count: int, octets: int = 0) -> bytes:
    """A length; `octets` above 0 writes it in that many octets though fewer would do, as BER allows."""
    if octets == 0 and count < 0x80:
        return bytes([count])
    width = max(octets, (count.bit_length() + 7) // 8)
    return bytes([0x80 | width]) + count.to_bytes(width, "big")


def field(tag: int, content: bytes, octets: int = 0) -> bytes:
    """Tag, length, content."""
    return bytes([tag]) + length(len(content), octets) + content


def cut(octets: bytes, at: int = 0) -> tuple[int, bytes, int]:
    """Tag and content of the field at an offset, and the offset after it."""
    tag, count, at = octets[at], octets[at + 1], at + 2
    if count & 0x80:
        width = count & 0x7F
        count, at = int.from_bytes(octets[at : at + width], "big"), at + width
    assert at + count <= len(octets), "a field ends behind the end"
    return tag, octets[at : at + count], at + count


def fields(octets: bytes) -> dict[int, bytes]:
    """Every field by its tag."""
    found, at = {}, 0
    while at < len(octets):
        tag, content, at = cut(octets, at)
        found[tag] = content
    return found


def octet_string(content: bytes) -> bytes:
    """The A-XDR of an octet-string as COSEM data."""
    return field(0x09, content)
