"""Selective access to a profile buffer (IEC 62056-6-2, 4.3.6.2.3): range descriptor (1) and entry descriptor (2)."""

from typing import NamedTuple

from amity.protocols.dlms.data import Data, Tag, array, double_long_unsigned, long_unsigned, structure

RANGE_SELECTOR = 1
ENTRY_SELECTOR = 2
_RANGE_PARTS = 4
_ENTRY_TAGS = (Tag.DOUBLE_LONG_UNSIGNED, Tag.DOUBLE_LONG_UNSIGNED, Tag.LONG_UNSIGNED, Tag.LONG_UNSIGNED)


class RangeAccess(NamedTuple):
    """Rows whose restricting object lies from `start` to `end`; `restricting` is a capture_object_definition.

    `columns` are capture_object_definitions; none means every column.
    """

    restricting: Data
    start: Data
    end: Data
    columns: tuple[Data, ...] = ()

    @property
    def selector(self) -> int:
        """Selector 1."""
        return RANGE_SELECTOR

    def parameters(self) -> Data:
        """The access parameters as they travel."""
        return structure(self.restricting, self.start, self.end, array(self.columns))


class EntryAccess(NamedTuple):
    """Rows and columns by number, counted from 1; 0 as `to_` means the last one."""

    from_entry: int
    to_entry: int
    from_column: int = 1
    to_column: int = 0

    @property
    def selector(self) -> int:
        """Selector 2."""
        return ENTRY_SELECTOR

    def parameters(self) -> Data:
        """The access parameters as they travel."""
        return structure(
            double_long_unsigned(self.from_entry), double_long_unsigned(self.to_entry),
            long_unsigned(self.from_column), long_unsigned(self.to_column),
        )  # fmt: skip


class OtherAccess(NamedTuple):
    """Access by a selector that a class defines for itself (or one that we do not know): kept as it came."""

    selector: int
    data: Data

    def parameters(self) -> Data:
        """The access parameters as they travel."""
        return self.data


Access = RangeAccess | EntryAccess | OtherAccess


def parse_access(selector: int, parameters: Data) -> Access:
    """Name what the selector and its parameters mean; anything but a profile's two forms becomes OtherAccess."""
    parts = parameters.items if parameters.tag is Tag.STRUCTURE else ()
    if selector == RANGE_SELECTOR and len(parts) == _RANGE_PARTS and parts[3].tag is Tag.ARRAY:
        return RangeAccess(parts[0], parts[1], parts[2], parts[3].items)
    if selector == ENTRY_SELECTOR and tuple(part.tag for part in parts) == _ENTRY_TAGS:
        return EntryAccess(*(part.value for part in parts if isinstance(part.value, int)))
    return OtherAccess(selector, parameters)
