"""Device profiles: how meter models differ, as data (TOML with `inherit`), read into frozen values.

`field/` holds the models that real meters have, `fictional/` those that only the simulator builds; both inherit from
the files beside this one, which are no models.
"""

from amity.devices.profiles.catalogue import Catalogue, fictional_keys, field_keys, packaged_profile
from amity.devices.profiles.check import Mistake, mistakes_of
from amity.devices.profiles.loader import load_profile
from amity.devices.profiles.model import (
    CLOCK_COLUMN,
    CLOCK_OBIS,
    AssociationRules,
    Basis,
    ClockEncoding,
    ClockRules,
    DailyProfileRules,
    Deviation,
    DeviceProfile,
    EventLogRules,
    Form,
    Framing,
    LinkRules,
    LoadProfileRules,
    MeasuredObject,
    Quantity,
    Quirk,
    RangeDeviation,
    Recognition,
    Selector,
    SignOn,
    Stamp,
    StatusBits,
)

__all__ = [
    "CLOCK_COLUMN", "CLOCK_OBIS", "AssociationRules", "Basis", "Catalogue", "ClockEncoding", "ClockRules",
    "DailyProfileRules", "Deviation", "DeviceProfile", "EventLogRules", "Form", "Framing", "LinkRules",
    "LoadProfileRules", "MeasuredObject", "Mistake", "Quantity", "Quirk", "RangeDeviation", "Recognition", "Selector",
    "SignOn", "Stamp", "StatusBits", "fictional_keys", "field_keys", "load_profile", "mistakes_of", "packaged_profile",
]  # fmt: skip
