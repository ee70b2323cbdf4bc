"""A single action schedule that acts (class 22): one script at its times."""

from datetime import datetime, timedelta

from amity.devices.cosem import fields
from amity.devices.cosem.limits import NOTHING, ScriptCall
from amity.devices.cosem.monitoring import ACTION_SCHEDULE_OBIS, ExecutionTime, ScheduleType
from amity.devices.equipment.script_table import Run
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import SINGLE_ACTION_SCHEDULE, Role
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, enum

_CATCH_UP_MAX = timedelta(days=400)


class ActionSchedule:
    """One script and when it runs; `ahead` is by how much the meter's own time is before UTC."""

    def __init__(self, run: Run, started: datetime, *, ahead: timedelta = timedelta(0)) -> None:
        self.script = NOTHING
        self.kind = ScheduleType.ONE_DATE_OPEN
        self.times: tuple[ExecutionTime, ...] = ()
        self._run = run
        self._ahead = ahead
        self._done_until = started

    def advance(self, now: datetime) -> None:
        """Run the script as often as it fell due until `now`."""
        self._done_until = max(self._done_until, now - _CATCH_UP_MAX) if self.times else now
        while (at := self._next(now)) is not None:
            self._done_until = (at - self._ahead).replace(tzinfo=now.tzinfo)
            self._run(self.script, self._done_until)
        self._done_until = max(self._done_until, now)

    def _next(self, now: datetime) -> datetime | None:
        after, until = ((at + self._ahead).replace(tzinfo=None) for at in (self._done_until, now))
        found = [at for time in self.times if (at := time.next_between(after, until)) is not None]
        return min(found, default=None)


def single_action_schedule(
    schedule: ActionSchedule, obis: Obis = ACTION_SCHEDULE_OBIS, *, changed_by: Role = Role.MANAGEMENT
) -> StoredObject:
    """Class 22: the schedule as the head-end sees and sets it."""

    def take_script(value: Data, _now: datetime) -> None:
        schedule.script = ScriptCall.from_data(value)

    def take_kind(value: Data, _now: datetime) -> None:
        schedule.kind = fields.member(ScheduleType, value, "type")

    def take_times(value: Data, _now: datetime) -> None:
        schedule.times = fields.elements(value, ExecutionTime.from_data, "execution times")

    return StoredObject(
        SINGLE_ACTION_SCHEDULE._replace(changed_by=changed_by),
        obis,
        {
            "executed_script": lambda _now: schedule.script.to_data(),
            "type": lambda _now: enum(schedule.kind),
            "execution_time": lambda _now: array(time.to_data() for time in schedule.times),
        },
        accept={"executed_script": take_script, "type": take_kind, "execution_time": take_times},
    )
