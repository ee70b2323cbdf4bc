"""Which parameters of a meter were changed, and which are watched (class 65; IEC 62056-6-2, 4.5.10)."""

from datetime import datetime
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.limits import MonitoredValue
from amity.devices.interface_classes import PARAMETER_MONITOR
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, structure

PARAMETER_MONITOR_OBIS = Obis.parse("0.0.16.2.0.255")
_REFERENCE_PARTS = 3


class ParameterChange(NamedTuple):
    """The last change: which parameter, its value since then, and when (None: the meter's time names no moment)."""

    parameter: MonitoredValue
    value: Data
    at: datetime | None


def read_last_change(
    session: Session, obis: Obis = PARAMETER_MONITOR_OBIS, *, default_deviation_min: int = 0
) -> Conversation[ParameterChange]:
    """What was changed last of all that is watched; `default_deviation_min` is for a clock that leaves its own open."""
    changed, captured = yield from named.read(session, PARAMETER_MONITOR, obis, "changed_parameter", "capture_time")
    *reference, value = fields.parts(changed, _REFERENCE_PARTS + 1, "changed parameter")
    time = fields.date_time(captured, "capture time")
    at = None if time.year is None else time.to_utc(default_deviation_min)
    return ParameterChange(MonitoredValue.from_data(structure(*reference)), value, at)


def read_watched(session: Session, obis: Obis = PARAMETER_MONITOR_OBIS) -> Conversation[tuple[MonitoredValue, ...]]:
    """The parameters that are watched."""
    (listed,) = yield from named.read(session, PARAMETER_MONITOR, obis, "parameter_list")
    return fields.elements(listed, MonitoredValue.from_data, "parameter list")


def watch_parameter(
    session: Session, parameter: MonitoredValue, obis: Obis = PARAMETER_MONITOR_OBIS
) -> Conversation[Data | None]:
    """Watch one more; raise MethodRefusedError when the meter does not."""
    return named.call(session, PARAMETER_MONITOR, obis, "add_parameter", parameter.to_data())


def unwatch_parameter(
    session: Session, parameter: MonitoredValue, obis: Obis = PARAMETER_MONITOR_OBIS
) -> Conversation[Data | None]:
    """Watch one less; raise MethodRefusedError when it was not watched."""
    return named.call(session, PARAMETER_MONITOR, obis, "delete_parameter", parameter.to_data())
