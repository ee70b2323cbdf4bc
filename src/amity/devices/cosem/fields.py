"""Reading structures that a peer sent: the value, or one error that says which field of what is wrong."""

from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from typing import Any, TypeVar

from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, Tag, natural, octet_string
from amity.protocols.dlms.datetime import OCTETS as DATE_TIME_OCTETS
from amity.protocols.dlms.datetime import CosemDateTime

_Kind = TypeVar("_Kind", bound=IntEnum)
_Value = TypeVar("_Value")
_OBIS_OCTETS = 6
_SIGNED = {Tag.INTEGER: 1, Tag.LONG: 2, Tag.DOUBLE_LONG: 4, Tag.LONG64: 8}
_UNSIGNED = {Tag.UNSIGNED: 1, Tag.ENUM: 1, Tag.LONG_UNSIGNED: 2, Tag.DOUBLE_LONG_UNSIGNED: 4}
_BOUNDS = {tag: (-(1 << 8 * octets - 1), (1 << 8 * octets - 1) - 1) for tag, octets in _SIGNED.items()} | {
    tag: (0, (1 << 8 * octets) - 1) for tag, octets in _UNSIGNED.items()
}


def number(data: Data, what: str, form: Tag = Tag.LONG64) -> int:
    """An integer sent in any width that fits the type `form`."""
    value, (low, high) = data.value, _BOUNDS[form]
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise wrong(what, data)


def flag(data: Data, what: str) -> bool:
    """A boolean; some meters send a number."""
    if isinstance(data.value, int):
        return bool(data.value)
    raise wrong(what, data)


def octets(data: Data, what: str) -> bytes:
    """An octet string."""
    if isinstance(data.value, bytes):
        return data.value
    raise wrong(what, data)


def bits(data: Data, what: str) -> str:
    """A bit string as `0` and `1`."""
    shown = natural(data)
    if isinstance(shown, str) and not shown.strip("01"):
        return shown
    raise wrong(what, data)


def member(kind: type[_Kind], data: Data, what: str) -> _Kind:
    """One of an enumeration."""
    try:
        return kind(number(data, what))
    except ValueError:
        raise wrong(what, data) from None


def obis(data: Data, what: str) -> Obis:
    """A logical name."""
    name = octets(data, what)
    if len(name) != _OBIS_OCTETS:
        raise wrong(what, data)
    return Obis(name)


def parts(data: Data, count: int, what: str) -> tuple[Data, ...]:
    """The elements of a structure that must have `count` of them."""
    if not data.is_sequence or len(data.items) != count:
        raise wrong(what, data)
    return data.items


def elements(data: Data, read: Callable[[Data], _Value], what: str) -> tuple[_Value, ...]:
    """An array, each element read by `read`."""
    if not data.is_sequence:
        raise wrong(what, data)
    return tuple(read(item) for item in data.items)


def date_time(data: Data, what: str) -> CosemDateTime:
    """A date-time, as such or as twelve octets in an octet string."""
    shown = octets(data, what)
    if len(shown) != DATE_TIME_OCTETS:
        raise wrong(what, data)
    return CosemDateTime.from_octets(shown)


def instant(moment: datetime) -> Data:
    """An aware instant as most objects want it: a date-time of UTC, deviation 0, in an octet string."""
    return octet_string(CosemDateTime.from_utc(moment, 0).to_octets())


def wrong(what: str, data: Data) -> RemoteProtocolError:
    """The error for a field that is not what it should be."""
    shown: Any = natural(data)
    return RemoteProtocolError(f"this is no {what}: {data.tag.label} {shown!r:.60}")
