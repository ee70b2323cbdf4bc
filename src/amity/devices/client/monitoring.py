"""What a meter does at a level or at a time (classes 21 and 22; IEC 62056-6-2, 4.5.6 and 4.5.7)."""

from collections.abc import Sequence
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.limits import MonitoredValue, ScriptCall
from amity.devices.cosem.monitoring import (
    ACTION_SCHEDULE_OBIS,
    REGISTER_MONITOR_OBIS,
    ExecutionTime,
    ScheduleType,
    ThresholdActions,
)
from amity.devices.interface_classes import REGISTER_MONITOR, SINGLE_ACTION_SCHEDULE
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, enum


class MonitorReadout(NamedTuple):
    """What a register monitor watches: threshold i belongs to actions i, in the unit of the monitored value."""

    monitored: MonitoredValue
    thresholds: tuple[int, ...]
    actions: tuple[ThresholdActions, ...]


class ScheduleReadout(NamedTuple):
    """Which script a schedule runs, and when, by the meter's own clock."""

    script: ScriptCall
    kind: ScheduleType
    times: tuple[ExecutionTime, ...]


def read_monitor(session: Session, obis: Obis = REGISTER_MONITOR_OBIS) -> Conversation[MonitorReadout]:
    """What is watched and what is done."""
    thresholds, monitored, actions = yield from named.read(
        session, REGISTER_MONITOR, obis, "thresholds", "monitored_value", "actions"
    )
    return MonitorReadout(
        MonitoredValue.from_data(monitored),
        fields.elements(thresholds, lambda item: fields.number(item, "threshold"), "thresholds"),
        fields.elements(actions, ThresholdActions.from_data, "actions"),
    )


def set_monitor(
    session: Session,
    monitored: MonitoredValue,
    levels: Sequence[tuple[Data, ThresholdActions]],
    obis: Obis = REGISTER_MONITOR_OBIS,
) -> Conversation[None]:
    """Watch a value: each threshold, in the type of that value, with what is done when it is crossed.

    The thresholds are emptied first, so that nothing runs by a mixture of old and new. Raises WriteRefusedError.
    """
    yield from named.write(session, REGISTER_MONITOR, obis, "thresholds", array(()))
    yield from named.write(session, REGISTER_MONITOR, obis, "monitored_value", monitored.to_data())
    yield from named.write(session, REGISTER_MONITOR, obis, "actions", array(done.to_data() for _, done in levels))
    yield from named.write(session, REGISTER_MONITOR, obis, "thresholds", array(level for level, _ in levels))


def read_schedule(session: Session, obis: Obis = ACTION_SCHEDULE_OBIS) -> Conversation[ScheduleReadout]:
    """Which script runs, and when."""
    script, kind, times = yield from named.read(
        session, SINGLE_ACTION_SCHEDULE, obis, "executed_script", "type", "execution_time"
    )
    return ScheduleReadout(
        ScriptCall.from_data(script),
        fields.member(ScheduleType, kind, "schedule type"),
        fields.elements(times, ExecutionTime.from_data, "execution times"),
    )


def set_schedule(
    session: Session, script: ScriptCall, times: Sequence[ExecutionTime], obis: Obis = ACTION_SCHEDULE_OBIS
) -> Conversation[None]:
    """Run a script at these times of the meter's own clock; without times it never runs.

    Several times must share the time of day or, in the types that many meters do not have, may differ in it; which type
    is needed follows from the times. Raises ConfigurationError for a time that is there twice, and WriteRefusedError.
    """
    kind = _kind(times)
    yield from named.write(session, SINGLE_ACTION_SCHEDULE, obis, "execution_time", array(()))
    yield from named.write(session, SINGLE_ACTION_SCHEDULE, obis, "executed_script", script.to_data())
    yield from named.write(session, SINGLE_ACTION_SCHEDULE, obis, "type", enum(kind))
    listed = array(time.to_data() for time in times)
    yield from named.write(session, SINGLE_ACTION_SCHEDULE, obis, "execution_time", listed)


def _kind(times: Sequence[ExecutionTime]) -> ScheduleType:
    if len(times) <= 1:
        return ScheduleType.ONE_DATE_OPEN
    if len(set(times)) != len(times):
        raise ConfigurationError("a schedule names the same time twice", next_step="leave one of them out")
    is_open = any(None in time.on[:3] for time in times)
    if len({time.at for time in times}) == 1:
        return ScheduleType.ONE_TIME_MANY_DATES_OPEN if is_open else ScheduleType.ONE_TIME_MANY_DATES
    return ScheduleType.MANY_TIMES_MANY_DATES_OPEN if is_open else ScheduleType.MANY_TIMES_MANY_DATES
