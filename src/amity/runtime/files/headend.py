"""What the head-end watches of its folder: mapping, tables of event codes, schedules."""

from collections.abc import Mapping

from amity.headend.event_catalogue import EventTables
from amity.headend.mapping_file import MappingFile
from amity.kernel.errors import AmityError
from amity.runtime.files.schedules import ScheduleFile
from amity.runtime.files.watch import Sight


def look_at_mapping(mappings: MappingFile) -> Sight:
    """Take an edit over; a mapping is called by its version."""
    mappings.poll()
    version = mappings.mapping.version
    return Sight(version, version, _refusals({mappings.name: mappings.refusal}))


def look_at_event_tables(tables: EventTables) -> Sight:
    """Take edits over; the tables are called by their files."""
    tables.poll()
    return Sight(tables.own or None, [table.name for table in tables.own], _refusals(tables.refusals))


def look_at_schedules(schedules: ScheduleFile, otherwise: str) -> Sight:
    """Take an edit over; `otherwise` names what is done where there is no schedule."""
    schedules.poll()
    plan = schedules.plan
    names = [one.name for one in plan.schedules] or [otherwise]
    return Sight(plan, names, _refusals({schedules.name: schedules.refusal}))


def _refusals(of: Mapping[str, AmityError | None]) -> dict[str, str]:
    return {name: "; ".join(refusal.lines()) for name, refusal in of.items() if refusal is not None}
