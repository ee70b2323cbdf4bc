"""All tables of event codes together: the operator's before the makers', those before the standard's."""

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

from amity.domain.events import MEANING_OF, EventKind, EventMeaning
from amity.headend.event_catalogue.table import EventTable, parse_table
from amity.kernel.obis import Obis

_LOGS: Final = {0: "standard", 1: "fraud", 2: "disconnector", 3: "m-bus", 4: "power-quality", 5: "communication"}
"""Value group E of an event log 0.0.99.98.E.255 and of its code object 0.0.96.11.E.255, as IDIS uses them."""
_ALARM_REGISTERS: Final = {0: "alarm-1", 1: "alarm-2", 20: "alarm-1", 21: "alarm-2"}
"""Value group E of 0.0.97.98.E.255: alarm registers, and the alarm descriptors that are pushed with the same bits."""
_ALARMS: Final = bytes((0, 0, 97, 98))
_GROUP_E: Final = 4
STANDARD_TABLES: Final = ("idis.toml",)
"""Asked last, for every meter whose own tables do not say that they are complete."""


def log_of(obis: Obis) -> str:
    """The log in which this object's codes stand."""
    number = bytes(obis)[_GROUP_E]
    return _LOGS.get(number, f"log-{number}")


def alarm_register(obis: Obis) -> str | None:
    """The alarm register that this object is or describes, None when it is neither."""
    octets = bytes(obis)
    return _ALARM_REGISTERS.get(octets[_GROUP_E]) if octets[:_GROUP_E] == _ALARMS else None


class EventCatalogue:
    """The operator's and the makers' tables in the order in which they are asked, and after them the standard's."""

    def __init__(self, makers: Iterable[EventTable], standard: Iterable[EventTable]) -> None:
        self.makers = tuple(makers)
        self.standard = tuple(standard)
        self._of: dict[str, tuple[EventTable, ...]] = {}

    def with_own(self, tables: Iterable[EventTable]) -> "EventCatalogue":
        """The same with tables of the operator's own in front."""
        return EventCatalogue((*tables, *self.makers), self.standard)

    def meaning(self, profile: str, log: str, code: int, told: EventKind | None = None) -> EventMeaning | None:
        """What a code of a meter of this device profile means; None when no table knows.

        `told` is the kind of event that the device profile itself sees in the code: it goes before the standard's
        tables, but not before one that is about these meters.
        """
        makers = self.makers_of(profile)
        found = _first(makers, log, code)
        if found is not None or any(table.complete for table in makers):
            return found
        found = _first((table for table in self.standard if table.speaks_for(profile)), log, code)
        if told is None or (found is not None and found.kind is told):
            return found
        return MEANING_OF[told]

    def table_of(self, profile: str, log: str, code: int) -> EventTable | None:
        """The table that decides what a code of a meter of this device profile means; None when none knows it."""
        makers = self.makers_of(profile)
        standard = () if any(table.complete for table in makers) else self.standard
        asked = (*makers, *(table for table in standard if table.speaks_for(profile)))
        return next((table for table in asked if table.meaning(log, code) is not None), None)

    def makers_of(self, profile: str) -> tuple[EventTable, ...]:
        """The tables about meters of this device profile, up to the first that says it is complete."""
        if profile not in self._of:
            self._of[profile] = tuple(_up_to_complete(one for one in self.makers if one.speaks_for(profile)))
        return self._of[profile]


def _first(tables: Iterable[EventTable], log: str, code: int) -> EventMeaning | None:
    return next((found for table in tables if (found := table.meaning(log, code)) is not None), None)


def _up_to_complete(tables: Iterable[EventTable]) -> Iterable[EventTable]:
    for table in tables:
        yield table
        if table.complete:
            return


@cache
def packaged_catalogue() -> EventCatalogue:
    """The tables that come with Amity: the makers' by name, then the standard's."""
    folder = resources.files(__package__) / "tables"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    tables = {name: parse_table((folder / name).read_text(encoding="utf-8"), name) for name in names}
    standard = [tables.pop(name) for name in STANDARD_TABLES]
    return EventCatalogue(tables.values(), standard)
