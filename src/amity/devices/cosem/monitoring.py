"""Register monitors and action schedules (classes 21 and 22): what a meter does at a level or at a time.

IEC 62056-6-2, 4.5.6 and 4.5.7.
"""

from datetime import date, datetime, time, timedelta
from enum import IntEnum
from typing import NamedTuple, Self

from amity.devices.cosem import fields
from amity.devices.cosem.calendar import CosemDate, date_of, time_octets, time_of
from amity.devices.cosem.limits import ScriptCall
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, octet_string, structure

REGISTER_MONITOR_OBIS = Obis.parse("0.0.16.1.0.255")
ACTION_SCHEDULE_OBIS = Obis.parse("0.0.15.0.0.255")
DISCONNECT_SCHEDULE_OBIS = Obis.parse("0.0.15.0.1.255")


class ThresholdActions(NamedTuple):
    """What is done when a value rises above a threshold and when it falls below it."""

    up: ScriptCall
    down: ScriptCall

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        up, down = fields.parts(data, 2, "action set")
        return cls(ScriptCall.from_data(up), ScriptCall.from_data(down))

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(self.up.to_data(), self.down.to_data())


class ScheduleType(IntEnum):
    """How many execution times there are and what may be left open in them; 1 allows open fields in one date."""

    ONE_DATE_OPEN = 1
    ONE_TIME_MANY_DATES = 2
    ONE_TIME_MANY_DATES_OPEN = 3
    MANY_TIMES_MANY_DATES = 4
    MANY_TIMES_MANY_DATES_OPEN = 5


class ExecutionTime(NamedTuple):
    """A time of day on every day that the date covers."""

    at: time
    on: CosemDate

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        at, on = fields.parts(data, 2, "execution time")
        return cls(time_of(at, "time"), date_of(on, "date"))

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(octet_string(time_octets(self.at)), octet_string(self.on.to_octets()))

    def next_between(self, after: datetime, until: datetime) -> datetime | None:
        """The first instant in (after, until] of the meter's own, naive time; None when there is none."""
        day: date = after.date()
        while day <= until.date():
            at = datetime.combine(day, self.at)
            if after < at <= until and self.on.covers(day):
                return at
            day += timedelta(days=1)
        return None
