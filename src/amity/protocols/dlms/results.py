"""Result codes that a server gives back (IEC 62056-5-3, Data-Access-Result and Action-Result)."""

from enum import IntEnum
from typing import Self

_OCTET_MAX = 0xFF


class Code(IntEnum):
    """A code of one octet; one that the standard does not name keeps its number, and is a refusal all the same."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not 0 <= value <= _OCTET_MAX:
            return None
        unnamed = int.__new__(cls, value)
        unnamed._name_, unnamed._value_ = f"UNKNOWN_{value}", value
        return unnamed

    @property
    def named(self) -> bool:
        """True for a code that the standard names."""
        return self.name in type(self).__members__

    @property
    def label(self) -> str:
        """`object-undefined` and so on, `unknown-5` for a code without a name."""
        return self.name.lower().replace("_", "-")


class DataAccessResult(Code):
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


class ActionResult(Code):
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
