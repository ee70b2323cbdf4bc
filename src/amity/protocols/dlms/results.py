"""Result codes that a server gives back (IEC 62056-5-3, Data-Access-Result and Action-Result)."""

from enum import IntEnum

from amity.protocols.dlms.data_types import DecodeError


class DataAccessResult(IntEnum):
    """How reading or writing an attribute went."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_GET_ABORTED = 15
    NO_LONG_GET_IN_PROGRESS = 16
    LONG_SET_ABORTED = 17
    NO_LONG_SET_IN_PROGRESS = 18
    DATA_BLOCK_NUMBER_INVALID = 19
    OTHER_REASON = 250

    @property
    def label(self) -> str:
        """`object-undefined` and so on."""
        return self.name.lower().replace("_", "-")


class ActionResult(IntEnum):
    """How calling a method went."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_ACTION_ABORTED = 15
    NO_LONG_ACTION_IN_PROGRESS = 16
    OTHER_REASON = 250

    @property
    def label(self) -> str:
        """`object-undefined` and so on."""
        return self.name.lower().replace("_", "-")


def access_result(code: int, offset: int) -> DataAccessResult:
    """The named result of a code; raise DecodeError for a code that the standard does not have."""
    try:
        return DataAccessResult(code)
    except ValueError:
        raise DecodeError(f"{code} is no data access result", offset) from None


def action_result(code: int, offset: int) -> ActionResult:
    """The named result of a code; raise DecodeError for a code that the standard does not have."""
    try:
        return ActionResult(code)
    except ValueError:
        raise DecodeError(f"{code} is no action result", offset) from None
