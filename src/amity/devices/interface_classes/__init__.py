"""The COSEM interface classes as tables, one for each class and version, for client and meter alike (IEC 62056-6-2).

The tables are the TOML files beside this module; the names here are the classes that the code itself works with.
"""

from amity.devices.interface_classes.loader import packaged_classes
from amity.devices.interface_classes.model import (
    LOGICAL_NAME,
    AttributeSpec,
    InterfaceClass,
    MethodSpec,
    Right,
    Role,
)
from amity.kernel.obis import Obis
from amity.protocols.dlms.attributes import Method

__all__ = [
    "ACCOUNT", "ACTIVITY_CALENDAR", "ARBITRATOR", "ARRAY_MANAGER", "ASSOCIATION_LN", "CHARGE", "CLOCK", "COMPACT_DATA",
    "CONFIRMED_PUSH_SETUP", "CREDIT", "CURRENT_ASSOCIATION", "DATA", "DISCONNECT_CONTROL", "EXTENDED_REGISTER",
    "FUNCTION_CONTROL", "IMAGE_TRANSFER", "INTERFACE_CLASSES", "LIMITER", "LOGICAL_NAME", "MBUS_CLIENT",
    "PARAMETER_MONITOR", "PORT_PROTECTION", "PROFILE_GENERIC", "PUSH_SETUP", "REGISTER", "REGISTER_ACTIVATION",
    "REGISTER_MONITOR", "REPLY_TO_HLS", "SCRIPT_TABLE", "SECURITY_SETUP", "SINGLE_ACTION_SCHEDULE",
    "SPECIAL_DAYS_TABLE", "TOKEN_GATEWAY", "AttributeSpec", "InterfaceClass", "MethodSpec", "Right", "Role",
    "newest_version",
]  # fmt: skip

INTERFACE_CLASSES = packaged_classes()
"""By class id and version."""

DATA = INTERFACE_CLASSES[1, 0]
REGISTER = INTERFACE_CLASSES[3, 0]
EXTENDED_REGISTER = INTERFACE_CLASSES[4, 0]
REGISTER_ACTIVATION = INTERFACE_CLASSES[6, 0]
PROFILE_GENERIC = INTERFACE_CLASSES[7, 1]
CLOCK = INTERFACE_CLASSES[8, 0]
SCRIPT_TABLE = INTERFACE_CLASSES[9, 0]
SPECIAL_DAYS_TABLE = INTERFACE_CLASSES[11, 0]
ASSOCIATION_LN = INTERFACE_CLASSES[15, 1]
IMAGE_TRANSFER = INTERFACE_CLASSES[18, 0]
ACTIVITY_CALENDAR = INTERFACE_CLASSES[20, 0]
REGISTER_MONITOR = INTERFACE_CLASSES[21, 0]
SINGLE_ACTION_SCHEDULE = INTERFACE_CLASSES[22, 0]
PUSH_SETUP = INTERFACE_CLASSES[40, 0]
CONFIRMED_PUSH_SETUP = INTERFACE_CLASSES[40, 2]
COMPACT_DATA = INTERFACE_CLASSES[62, 0]
SECURITY_SETUP = INTERFACE_CLASSES[64, 0]
PARAMETER_MONITOR = INTERFACE_CLASSES[65, 0]
ARBITRATOR = INTERFACE_CLASSES[68, 0]
DISCONNECT_CONTROL = INTERFACE_CLASSES[70, 0]
LIMITER = INTERFACE_CLASSES[71, 0]
MBUS_CLIENT = INTERFACE_CLASSES[72, 1]
ACCOUNT = INTERFACE_CLASSES[111, 0]
CREDIT = INTERFACE_CLASSES[112, 0]
CHARGE = INTERFACE_CLASSES[113, 0]
TOKEN_GATEWAY = INTERFACE_CLASSES[115, 0]
FUNCTION_CONTROL = INTERFACE_CLASSES[122, 0]
ARRAY_MANAGER = INTERFACE_CLASSES[123, 0]
PORT_PROTECTION = INTERFACE_CLASSES[124, 0]

CURRENT_ASSOCIATION = Obis.parse("0.0.40.0.0.255")
"""The Association LN object of whoever asks."""

REPLY_TO_HLS = Method(ASSOCIATION_LN.class_id, CURRENT_ASSOCIATION, 1)
"""The method that carries passes 3 and 4 of high level security."""


def newest_version(class_id: int) -> InterfaceClass | None:
    """The newest version of a class that the tables hold, None for a class they do not."""
    versions = [version for known, version in INTERFACE_CLASSES if known == class_id]
    return INTERFACE_CLASSES[class_id, max(versions)] if versions else None
