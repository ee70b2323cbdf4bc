"""Single entries of long arrays, without reading or writing them whole (class 123; IEC 62056-6-2)."""

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.limits import MonitoredValue
from amity.devices.interface_classes import ARRAY_MANAGER
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, long_unsigned, structure, unsigned

ARRAY_MANAGER_OBIS = Obis.parse("0.0.18.0.0.255")
ENTRIES_AT_ONCE = 16
"""How many entries are asked for in one request, so that small meters can answer it."""


def read_managed_arrays(session: Session, obis: Obis = ARRAY_MANAGER_OBIS) -> Conversation[dict[int, MonitoredValue]]:
    """The arrays that can be managed, by the number that the other functions take."""
    (listed,) = yield from named.read(session, ARRAY_MANAGER, obis, "array_object_list")
    return dict(fields.elements(listed, _managed, "array object list"))


def read_entries(session: Session, number: int, obis: Obis = ARRAY_MANAGER_OBIS) -> Conversation[tuple[Data, ...]]:
    """All entries of an array, some at a time."""
    answer = yield from named.call(session, ARRAY_MANAGER, obis, "retrieve_number_of_entries", unsigned(number))
    count = fields.number(_returned(answer), "number of entries")
    entries: list[Data] = []
    while len(entries) < count:
        last = min(len(entries) + ENTRIES_AT_ONCE, count)
        part = yield from named.call(
            session, ARRAY_MANAGER, obis, "retrieve_entries", _range(number, len(entries) + 1, last)
        )
        found = fields.elements(_returned(part), lambda entry: entry, "entries")
        if len(found) != last - len(entries):
            raise RemoteProtocolError(f"{last - len(entries)} entries were asked for and {len(found)} came")
        entries += found
    return tuple(entries)


def insert_entry(
    session: Session, number: int, before: int, entry: Data, obis: Obis = ARRAY_MANAGER_OBIS
) -> Conversation[Data | None]:
    """Put an entry before another one (from 1); one beyond the last appends."""
    return named.call(session, ARRAY_MANAGER, obis, "insert_entry", _entry(number, before, entry))


def update_entry(
    session: Session, number: int, place: int, entry: Data, obis: Obis = ARRAY_MANAGER_OBIS
) -> Conversation[Data | None]:
    """Replace an entry (from 1)."""
    return named.call(session, ARRAY_MANAGER, obis, "update_entry", _entry(number, place, entry))


def remove_entries(
    session: Session, number: int, first: int, last: int, obis: Obis = ARRAY_MANAGER_OBIS
) -> Conversation[Data | None]:
    """Take entries out, from `first` to `last`, both included."""
    return named.call(session, ARRAY_MANAGER, obis, "remove_entries", _range(number, first, last))


def _managed(data: Data) -> tuple[int, MonitoredValue]:
    number, target = fields.parts(data, 2, "managed array")
    return fields.number(number, "array number"), MonitoredValue.from_data(target)


def _range(number: int, first: int, last: int) -> Data:
    return structure(unsigned(number), structure(long_unsigned(first), long_unsigned(last)))


def _entry(number: int, place: int, entry: Data) -> Data:
    return structure(unsigned(number), structure(long_unsigned(place), entry))


def _returned(answer: Data | None) -> Data:
    if answer is None:
        raise RemoteProtocolError("the method returned nothing", tried="ACTION of an array manager")
    return answer
