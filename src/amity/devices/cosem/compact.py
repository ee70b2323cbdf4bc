"""Compact data (class 62): values without their types, which are told once, in the template description.

The buffer is the template id and the values; the description is the template id and the types as a compact array
writes them (IEC 62056-6-2, 4.3.10).
"""

from enum import IntEnum

from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.data import (
    CompactArray,
    Data,
    Tag,
    TypeDescription,
    compact_array,
    decode_all,
    encode,
    encode_length,
    structure,
)

_SCALARS = frozenset(Tag) - {Tag.ARRAY, Tag.STRUCTURE, Tag.COMPACT_ARRAY}


class CaptureMethod(IntEnum):
    """When values are captured: when the method is called, or whenever the buffer is read."""

    INVOKED = 0
    IMPLICIT = 1


def decode_buffer(buffer: bytes, template_description: bytes) -> tuple[Data, ...]:
    """The values of a compact buffer, with their types.

    Raises RemoteProtocolError when buffer and description belong to different templates, and DecodeError for octets
    that are not what the description says.
    """
    if not buffer or not template_description or buffer[0] != template_description[0]:
        raise RemoteProtocolError(
            "this compact buffer was captured with another template than the one described",
            answer=f"buffer {buffer[:1].hex() or 'empty'}, description {template_description[:1].hex() or 'empty'}",
            next_step="read both again, in one request",
        )
    contents = buffer[1:]
    if not contents:
        return ()
    octets = bytes([Tag.COMPACT_ARRAY]) + template_description[1:] + encode_length(len(contents)) + contents
    captures = decode_all(octets).items
    if len(captures) != 1:
        raise RemoteProtocolError(f"a compact buffer holds one capture, this one {len(captures)}")
    return captures[0].items if captures[0].is_sequence else captures


def encode_buffer(template_id: int, values: tuple[Data, ...]) -> tuple[bytes, bytes]:
    """(compact buffer, template description) of values as they were captured."""
    capture = structure(*values)
    described = compact_array(description_of(capture), (capture,))
    compact = described.value
    contents = compact.contents if isinstance(compact, CompactArray) else b""
    head = bytes([template_id])
    written = encode(described)
    types = written[1 : len(written) - len(contents) - len(encode_length(len(contents)))]
    return head + contents, head + types


def description_of(data: Data) -> TypeDescription:
    """The types of a value; the elements of an array must all be of one type, that of the first."""
    if data.tag in _SCALARS:
        return TypeDescription(data.tag)
    items = data.items
    if data.tag is Tag.STRUCTURE:
        return TypeDescription(Tag.STRUCTURE, tuple(description_of(item) for item in items))
    element = description_of(items[0]) if items else TypeDescription(Tag.NULL)
    return TypeDescription(Tag.ARRAY, (element,), len(items))
