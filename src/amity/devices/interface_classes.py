"""The COSEM interface classes a meter reading needs, as tables (IEC 62056-6-2, clause 4)."""

from typing import NamedTuple

from amity.kernel.obis import Obis
from amity.protocols.dlms.attributes import Method

LOGICAL_NAME = 1
"""Attribute 1 of every class."""


class InterfaceClass(NamedTuple):
    """One version of one class; attributes and methods are numbered from 1 in the order given."""

    class_id: int
    version: int
    name: str
    attributes: tuple[str, ...]
    methods: tuple[str, ...] = ()

    def index_of(self, attribute: str) -> int:
        """The number of an attribute by its name."""
        return self.attributes.index(attribute) + 1


DATA = InterfaceClass(1, 0, "Data", ("logical_name", "value"))
REGISTER = InterfaceClass(3, 0, "Register", ("logical_name", "value", "scaler_unit"), ("reset",))
EXTENDED_REGISTER = InterfaceClass(
    4, 0, "Extended register", ("logical_name", "value", "scaler_unit", "status", "capture_time"), ("reset",)
)
PROFILE_GENERIC = InterfaceClass(
    7,
    1,
    "Profile generic",
    (
        "logical_name", "buffer", "capture_objects", "capture_period",
        "sort_method", "sort_object", "entries_in_use", "profile_entries",
    ),
    ("reset", "capture"),
)  # fmt: skip
CLOCK = InterfaceClass(
    8,
    0,
    "Clock",
    (
        "logical_name", "time", "time_zone", "status", "daylight_savings_begin", "daylight_savings_end",
        "daylight_savings_deviation", "daylight_savings_enabled", "clock_base",
    ),
    (
        "adjust_to_quarter", "adjust_to_measuring_period", "adjust_to_minute",
        "adjust_to_preset_time", "preset_adjusting_time", "shift_time",
    ),
)  # fmt: skip
ASSOCIATION_LN = InterfaceClass(
    15,
    1,
    "Association LN",
    (
        "logical_name", "object_list", "associated_partners_id", "application_context_name", "xdlms_context_info",
        "authentication_mechanism_name", "secret", "association_status", "security_setup_reference",
    ),
    ("reply_to_hls_authentication", "change_hls_secret", "add_object", "remove_object"),
)  # fmt: skip
PUSH_SETUP = InterfaceClass(
    40,
    0,
    "Push setup",
    (
        "logical_name", "push_object_list", "send_destination_and_method", "communication_window",
        "randomisation_start_interval", "number_of_retries", "repetition_delay",
    ),
    ("push",),
)  # fmt: skip
SECURITY_SETUP = InterfaceClass(
    64,
    0,
    "Security setup",
    ("logical_name", "security_policy", "security_suite", "client_system_title", "server_system_title"),
    ("security_activate", "global_key_transfer"),
)

INTERFACE_CLASSES = {
    (known.class_id, known.version): known
    for known in (
        DATA, REGISTER, EXTENDED_REGISTER, PROFILE_GENERIC, CLOCK, ASSOCIATION_LN, PUSH_SETUP, SECURITY_SETUP,
    )
}  # fmt: skip
"""By class id and version."""

CURRENT_ASSOCIATION = Obis.parse("0.0.40.0.0.255")
"""The Association LN object of whoever asks."""

REPLY_TO_HLS = Method(ASSOCIATION_LN.class_id, CURRENT_ASSOCIATION, 1)
"""The method that carries passes 3 and 4 of high level security."""
