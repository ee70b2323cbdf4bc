"""COSEM data as a tree that remembers which octets each part came from, so that a reader can be shown the place."""

from dataclasses import dataclass
from typing import NamedTuple

from amity.kernel.errors import AmityError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import CompactArray, Data, Tag, decode, decode_length
from amity.protocols.dlms.datetime import OCTETS as DATE_TIME_OCTETS
from amity.protocols.dlms.datetime import CosemDateTime

_OBIS_OCTETS = 6


class OctetRange(NamedTuple):
    """Octets [first, end) of a buffer."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class DataNode:
    """One value: its type in the words of the standard, its text, its octets and, for a sequence, its parts."""

    label: str
    text: str
    octets: OctetRange
    number: int | None = None
    moment: CosemDateTime | None = None
    children: tuple["DataNode", ...] = ()


def data_trees(buffer: bytes) -> list[DataNode]:
    """The trees of the Data that follow each other in the buffer; raise DecodeError when it holds anything else."""
    trees: list[DataNode] = []
    offset = 0
    while offset < len(buffer):
        decode(buffer, offset)  # bounds depth and counts before the walk below
        trees.append(_node(buffer, offset))
        offset = trees[-1].octets.end
    return trees


def _node(buffer: bytes, start: int) -> DataNode:
    tag = Tag(buffer[start])
    if tag is Tag.ARRAY or tag is Tag.STRUCTURE:
        return _sequence(buffer, start, tag)
    data, end = decode(buffer, start)
    number = data.value if isinstance(data.value, int) and not isinstance(data.value, bool) else None
    moment = _moment(data)
    return DataNode(tag.label, _text(data, moment), OctetRange(start, end), number, moment)


def _sequence(buffer: bytes, start: int, tag: Tag) -> DataNode:
    count, offset = decode_length(buffer, start + 1)
    children: list[DataNode] = []
    for _ in range(count):
        child = _node(buffer, offset)
        children.append(child)
        offset = child.octets.end
    return DataNode(tag.label, f"{count} elements", OctetRange(start, offset), children=tuple(children))


def _moment(data: Data) -> CosemDateTime | None:
    if not isinstance(data.value, bytes) or len(data.value) != DATE_TIME_OCTETS:
        return None
    moment = CosemDateTime.from_octets(data.value)
    try:
        moment.local()
    except AmityError:
        return None
    return moment


def _text(data: Data, moment: CosemDateTime | None) -> str:
    value = data.value
    if moment is not None:
        return str(moment)
    if isinstance(value, bytes):
        return str(Obis(value)) if len(value) == _OBIS_OCTETS else value.hex(" ")
    if isinstance(value, CompactArray):
        return f"{len(value.items)} elements"
    return "null" if value is None else str(value)
