"""Pushes and notifications as a flat list of readings, whatever shape the maker gave them.

Shapes met in the field: arrays of [name, value, [scaler, unit]]; the same flat, without inner structures; names and
values in turn; [class, name, attribute, value]; descriptors beside values; values whose names stand in a list of
objects in front; lists without any name, for which a layout is needed.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from amity.devices.push_layout import Knowledge, Layout, knowledge
from amity.devices.push_reading import NormalisedReading, ReadingValue, Scaling, unit_of
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import EventNotification
from amity.protocols.dlms.attributes import Attribute
from amity.protocols.dlms.data import BitString, Data, Tag
from amity.protocols.dlms.datetime import OCTETS as DATE_TIME_OCTETS
from amity.protocols.dlms.datetime import CosemDateTime

_NAME_OCTETS = 6
_MEDIUM_MAX = 15  # value group A; text never starts so
_ATTRIBUTE_PARTS = 3
_DEFINITION_PARTS = 4
_OBJECT_LIST_PLACE_MAX = 3
_PUSH_SETUP = 40
_LIST_VERSION = Obis.parse("1.1.0.2.129.255")
_DEVICE_NUMBER = Obis.parse("0.0.96.1.0.255")
_DEVICE_NUMBER_DIGITS_MIN = 8
_WHOLE_NUMBERS = frozenset({
    Tag.DOUBLE_LONG, Tag.DOUBLE_LONG_UNSIGNED, Tag.INTEGER, Tag.LONG, Tag.UNSIGNED, Tag.LONG_UNSIGNED, Tag.LONG64,
    Tag.LONG64_UNSIGNED, Tag.BCD, Tag.ENUM,
})  # fmt: skip
_LOGICAL_NAME = 1


class Push(NamedTuple):
    """The readings of one notification and who made the meter, where that can be known."""

    readings: tuple[NormalisedReading, ...]
    manufacturer: str | None


def normalise(body: Data, system_title: bytes = b"", known: Knowledge | None = None) -> Push:
    """The readings in the body of a push; whatever has no name is kept with `obis` None, nothing is dropped."""
    known = known or knowledge()
    layout = known.layout_of(body.items) if body.is_sequence else None
    if layout is not None:
        return Push(tuple(_by_layout(layout, body.items)), layout.manufacturer)
    readings = list(_walk(body))
    list_id = next((str(one.value) for one in readings if one.name == "list-version" or one.obis == _LIST_VERSION), "")
    annotated = (_annotated(one, list_id, system_title, known) for one in readings)
    return Push(tuple(annotated), known.manufacturer(list_id, system_title))


def normalise_event(event: EventNotification) -> tuple[NormalisedReading, ...]:
    """The one reading of an EventNotification."""
    time = event.time if isinstance(event.time, CosemDateTime) else None
    return (replace(_attribute_reading(event.attribute, event.value), time=time),)


def _by_layout(layout: Layout, items: tuple[Data, ...]) -> Iterator[NormalisedReading]:
    for element, item in zip(layout.elements, items, strict=True):
        yield NormalisedReading(element.obis, value_of(item), item.tag, element.scaling)


def _annotated(reading: NormalisedReading, list_id: str, system_title: bytes, known: Knowledge) -> NormalisedReading:
    if reading.obis is None or reading.scaling is not None or reading.tag not in _WHOLE_NUMBERS:
        return reading
    return replace(reading, assumed=known.assumed(reading.obis, list_id, system_title))


# ------------------------------------------------------------------ shapes
def _walk(data: Data) -> Iterator[NormalisedReading]:
    """The readings in any value, in the order they were sent."""
    if not data.is_sequence:
        yield _unnamed(data, first=True, last=True)
        return
    items = data.items
    listed = _object_list(items)
    if listed is not None:
        yield from listed
    elif data.tag is not Tag.ARRAY and (entry := _entry(items)) is not None:
        yield entry
    else:
        yield from _sequence(items)


def _entry(items: tuple[Data, ...]) -> NormalisedReading | None:
    """A structure that is one reading: named by OBIS code, by class, name and attribute, or by a descriptor."""
    attribute = _attribute_of(items[:_ATTRIBUTE_PARTS])
    if attribute is not None and len(items) > _ATTRIBUTE_PARTS:
        return _named(attribute, items[_ATTRIBUTE_PARTS:])
    name = _name_or_descriptor(items[0]) if 1 < len(items) <= _DEFINITION_PARTS else None
    if name is None or any(map(_name_or_descriptor, items[2:])):
        return None
    return _named(name, items[1:])


def _sequence(items: tuple[Data, ...]) -> Iterator[NormalisedReading]:
    """Names, values and scalers in turn, inner structures in between, and values without a name."""
    at = 0
    while at < len(items):
        name = _name_or_descriptor(items[at])
        if name is not None and at + 1 < len(items):
            count = _extent(items, at + 1)
            yield _named(name, items[at + 1 : at + 1 + count])
            at += 1 + count
            continue
        if items[at].is_sequence and _scaling_of(items[at]) is None:
            yield from _walk(items[at])
        else:
            yield _unnamed(items[at], first=at == 0, last=at == len(items) - 1)
        at += 1


def _extent(items: tuple[Data, ...], at: int) -> int:
    """How many elements after a name belong to it: the value, and a scaler with unit before or after it."""
    if _scaling_of(items[at]) is not None:
        return 2 if at + 1 < len(items) and items[at + 1].tag in _WHOLE_NUMBERS else 1
    return 2 if at + 1 < len(items) and _scaling_of(items[at + 1]) is not None else 1


def _object_list(items: tuple[Data, ...]) -> Iterator[NormalisedReading] | None:
    """Readings named by a push object list (class 40, attribute 2) among the first elements, None without one.

    The list names every element of the push, itself included, or only those that follow it.
    """
    for at, item in enumerate(items[:_OBJECT_LIST_PLACE_MAX]):
        objects = _definitions(item)
        if objects and len(objects) == len(items):
            return map(_attribute_reading, objects, items)
        if objects and len(objects) == len(items) - at - 1:
            return chain(_sequence(items[:at]), map(_attribute_reading, objects, items[at + 1 :]))
    return None


def _definitions(data: Data) -> list[Attribute]:
    """The attributes in an array of object definitions; empty when it is anything else.

    A value of 16 bits after class, name and attribute looks the same: but a data index is 0, or the push setup itself
    is among the objects.
    """
    if data.tag is not Tag.ARRAY:
        return []
    found = [_definition(item) for item in data.items]
    attributes = [attribute for attribute, _ in filter(None, found)]
    sure = all(index == 0 for _, index in filter(None, found)) or any(one.class_id == _PUSH_SETUP for one in attributes)
    return attributes if sure and len(attributes) == len(found) else []


def _definition(data: Data) -> tuple[Attribute, int] | None:
    """Class, name and attribute, with the data index that sets a definition apart from a value."""
    if data.tag is not Tag.STRUCTURE or len(data.items) < _DEFINITION_PARTS:
        return None
    attribute, index = _attribute_of(data.items[:_ATTRIBUTE_PARTS]), data.items[_ATTRIBUTE_PARTS]
    if attribute is None or index.tag is not Tag.LONG_UNSIGNED or not isinstance(index.value, int):
        return None
    return attribute, index.value


# ------------------------------------------------------------------ one reading
def _named(name: Obis | Attribute, parts: tuple[Data, ...]) -> NormalisedReading:
    """A reading from its name and what follows it: value, scaler with unit, capture time, in any order."""
    scaling = next((found for part in parts[:3] if (found := _scaling_of(part)) is not None), None)
    values = [part for part in parts if scaling is None or _scaling_of(part) is None] or list(parts[:1])
    value = values[0]
    times = [time for part in values[1:] if (time := date_time_of(part)) is not None]
    reading = _attribute_reading(name, value) if isinstance(name, Attribute) else _reading(name, value)
    return replace(
        reading,
        scaling=scaling if value.tag in _WHOLE_NUMBERS | _FLOATS else None,
        time=times[0] if times else None,
    )


_FLOATS = frozenset({Tag.FLOAT32, Tag.FLOAT64, Tag.FLOATING_POINT})


def _reading(obis: Obis | None, value: Data) -> NormalisedReading:
    return NormalisedReading(obis, value_of(value), value.tag)


def _attribute_reading(attribute: Attribute, value: Data) -> NormalisedReading:
    read = value_of(value)
    if attribute.index == _LOGICAL_NAME and isinstance(value.value, bytes) and len(value.value) == _NAME_OCTETS:
        read = str(Obis(value.value))
    return NormalisedReading(attribute.obis, read, value.tag, class_id=attribute.class_id, attribute=attribute.index)


def _unnamed(data: Data, *, first: bool, last: bool) -> NormalisedReading:
    """A value without a name; a text in front tells the list's version, digits at the end are the device's number."""
    value = value_of(data)
    if isinstance(value, CosemDateTime):
        return replace(_reading(None, data), name="date-time")
    if isinstance(value, str) and first:
        return replace(_reading(None, data), name="list-version")
    if isinstance(value, str) and last and value.isdigit() and len(value) >= _DEVICE_NUMBER_DIGITS_MIN:
        return replace(_reading(_DEVICE_NUMBER, data), name="device-number")
    return _reading(None, data)


# ------------------------------------------------------------------ parts
def name_of(data: Data) -> Obis | None:
    """The OBIS code that an octet string of six octets is, None for anything else."""
    octets = data.value
    if data.tag is not Tag.OCTET_STRING or not isinstance(octets, bytes) or len(octets) != _NAME_OCTETS:
        return None
    return Obis(octets) if octets[0] <= _MEDIUM_MAX else None


def _attribute_of(parts: tuple[Data, ...]) -> Attribute | None:
    """Class, name and attribute side by side."""
    if len(parts) != _ATTRIBUTE_PARTS or parts[0].tag is not Tag.LONG_UNSIGNED:
        return None
    class_id, name, index = parts[0].value, name_of(parts[1]), parts[2].value
    if name is None or parts[2].tag not in {Tag.INTEGER, Tag.UNSIGNED}:
        return None
    return Attribute(class_id, name, index) if isinstance(class_id, int) and isinstance(index, int) else None


def _descriptor_of(data: Data) -> Attribute | None:
    """A structure that is nothing but class, name and attribute."""
    return _attribute_of(data.items) if data.tag is Tag.STRUCTURE else None


def _name_or_descriptor(data: Data) -> Obis | Attribute | None:
    return name_of(data) or _descriptor_of(data)


def _scaling_of(data: Data) -> Scaling | None:
    """A structure of scaler and unit."""
    if data.tag is not Tag.STRUCTURE or [part.tag for part in data.items] != [Tag.INTEGER, Tag.ENUM]:
        return None
    scaler, unit = (part.value for part in data.items)
    return Scaling(scaler, unit_of(unit)) if isinstance(scaler, int) and isinstance(unit, int) else None


def date_time_of(data: Data) -> CosemDateTime | None:
    """The date-time that twelve octets are when their fields can be one, None for anything else."""
    octets = data.value
    if data.tag not in {Tag.OCTET_STRING, Tag.DATE_TIME} or not isinstance(octets, bytes):
        return None
    if len(octets) != DATE_TIME_OCTETS:
        return None
    time = CosemDateTime.from_octets(octets)
    try:
        time.local()
    except RemoteProtocolError:
        return time if data.tag is Tag.DATE_TIME else None
    return time if _century(time) or data.tag is Tag.DATE_TIME else None


def _century(time: CosemDateTime) -> bool:
    return time.year is not None and 1990 <= time.year < 2100  # noqa: PLR2004 - no meter lives outside; text often does


def value_of(data: Data) -> ReadingValue:
    """A number as sent, text, a date-time, octets, or the Data itself for a list."""
    value = data.value
    if data.is_sequence:
        return data
    if isinstance(value, BitString):
        return str(value)
    time = date_time_of(data)
    if time is not None:
        return time
    if isinstance(value, bytes):
        return text_of(value)
    if isinstance(value, str):
        return value.rstrip("\0")
    return None if isinstance(value, tuple) else value


def text_of(octets: bytes) -> str | bytes:
    """Octets as text when all of them print (zeros at the end are padding), else the octets."""
    plain = octets.rstrip(b"\0")
    if octets and not plain:
        return octets
    return plain.decode("ascii") if plain.isascii() and plain.decode("ascii").isprintable() else octets
