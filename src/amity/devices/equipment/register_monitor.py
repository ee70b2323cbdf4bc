"""A register monitor that acts (class 21): scripts run when a value crosses a threshold."""

from collections.abc import Callable
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.cosem.limits import MonitoredValue
from amity.devices.cosem.monitoring import REGISTER_MONITOR_OBIS, ThresholdActions
from amity.devices.equipment.minutes import Minutes
from amity.devices.equipment.script_table import Run
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import REGISTER_MONITOR
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array

Measure = Callable[[MonitoredValue, datetime], int | None]
"""The watched value at an instant, None when there is none."""


class RegisterMonitor:
    """The value is looked at once a minute; a threshold that is new begins with the value of then."""

    def __init__(self, monitored: MonitoredValue, measure: Measure, run: Run, started: datetime) -> None:
        self.monitored = monitored
        self.thresholds: tuple[Data, ...] = ()
        self.actions: tuple[ThresholdActions, ...] = ()
        self._measure = measure
        self._run = run
        self._minutes = Minutes(started)
        self._last: int | None = None

    def advance(self, now: datetime) -> None:
        """Look at every minute until `now`; without thresholds there is nothing to look for."""
        if not self.thresholds or not self.actions:
            self._minutes.skip_to(now)
            return
        for minute in self._minutes.until(now):
            self._look(minute)

    def begin(self, now: datetime) -> None:
        """What is watched has changed: compare with the value that it has now."""
        self._minutes.skip_to(now)
        self._last = self._measure(self.monitored, now)

    def _look(self, at: datetime) -> None:
        before, value = self._last, self._measure(self.monitored, at)
        self._last = value
        if before is None or value is None:
            return
        for threshold, actions in zip(self.thresholds, self.actions, strict=False):
            level = fields.number(threshold, "threshold")
            if before <= level < value:
                self._run(actions.up, at)
            elif value < level <= before:
                self._run(actions.down, at)


def register_monitor(monitor: RegisterMonitor, obis: Obis = REGISTER_MONITOR_OBIS) -> StoredObject:
    """Class 21: the monitor as the head-end sees and sets it; thresholds keep the type they were written in."""

    def take_thresholds(value: Data, now: datetime) -> None:
        fields.elements(value, lambda item: fields.number(item, "threshold"), "thresholds")
        monitor.thresholds = value.items
        monitor.begin(now)

    def take_monitored(value: Data, now: datetime) -> None:
        monitor.monitored = MonitoredValue.from_data(value)
        monitor.begin(now)

    def take_actions(value: Data, _now: datetime) -> None:
        monitor.actions = fields.elements(value, ThresholdActions.from_data, "actions")

    return StoredObject(
        REGISTER_MONITOR,
        obis,
        {
            "thresholds": lambda _now: array(monitor.thresholds),
            "monitored_value": lambda _now: monitor.monitored.to_data(),
            "actions": lambda _now: array(actions.to_data() for actions in monitor.actions),
        },
        accept={"thresholds": take_thresholds, "monitored_value": take_monitored, "actions": take_actions},
    )
