"""Device profiles: how meter models differ, as data (TOML with `inherit`), read into frozen values."""

from amity.devices.profiles.loader import load_profile, packaged_keys, packaged_profile
from amity.devices.profiles.model import (
    CLOCK_COLUMN,
    CLOCK_OBIS,
    AssociationRules,
    ClockEncoding,
    ClockRules,
    DailyProfileRules,
    Deviation,
    DeviceProfile,
    EventLogRules,
    Form,
    LoadProfileRules,
    MeasuredObject,
    Quantity,
    Selector,
    Stamp,
    StatusBits,
)

__all__ = [
    "CLOCK_COLUMN",
    "CLOCK_OBIS",
    "AssociationRules",
    "ClockEncoding",
    "ClockRules",
    "DailyProfileRules",
    "Deviation",
    "DeviceProfile",
    "EventLogRules",
    "Form",
    "LoadProfileRules",
    "MeasuredObject",
    "Quantity",
    "Selector",
    "Stamp",
    "StatusBits",
    "load_profile",
    "packaged_keys",
    "packaged_profile",
]
