"""Limiter (class 71): thresholds, how long they may be exceeded, and what is done then (IEC 62056-6-2, 4.5.9)."""

from datetime import datetime
from typing import NamedTuple, Self

from amity.devices.cosem import fields
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, Tag, double_long_unsigned, integer, long_unsigned, octet_string, structure
from amity.protocols.dlms.datetime import CosemDateTime

LIMITER_OBIS = Obis.parse("0.0.17.0.0.255")
UNSPECIFIED = CosemDateTime(None, None, None, status=None)


class MonitoredValue(NamedTuple):
    """The attribute that is watched; class 0 stands for none."""

    class_id: int
    obis: Obis
    attribute: int

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        class_id, obis, attribute = fields.parts(data, 3, "value definition")
        return cls(
            fields.number(class_id, "class id", Tag.LONG_UNSIGNED),
            fields.obis(obis, "logical name"),
            fields.number(attribute, "attribute index", Tag.INTEGER),
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(long_unsigned(self.class_id), octet_string(bytes(self.obis)), integer(self.attribute))


class EmergencyProfile(NamedTuple):
    """From `start` for `duration_s` the emergency threshold holds, in meters that belong to group `profile_id`."""

    profile_id: int
    start: CosemDateTime
    duration_s: int

    @classmethod
    def at(cls, profile_id: int, start: datetime, duration_s: int) -> Self:
        """From an aware instant on."""
        return cls(profile_id, CosemDateTime.from_utc(start, 0), duration_s)

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        profile_id, start, duration = fields.parts(data, 3, "emergency profile")
        return cls(
            fields.number(profile_id, "emergency profile id", Tag.LONG_UNSIGNED),
            fields.date_time(start, "emergency activation time"),
            fields.number(duration, "emergency duration", Tag.DOUBLE_LONG_UNSIGNED),
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(
            long_unsigned(self.profile_id),
            octet_string(self.start.to_octets()),
            double_long_unsigned(self.duration_s),
        )


class ScriptCall(NamedTuple):
    """A script of a script table (class 9); selector 0 is nothing."""

    table: Obis
    selector: int

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        table, selector = fields.parts(data, 2, "action item")
        return cls(fields.obis(table, "script table"), fields.number(selector, "script selector", Tag.LONG_UNSIGNED))

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(octet_string(bytes(self.table)), long_unsigned(self.selector))


NO_EMERGENCY = EmergencyProfile(0, UNSPECIFIED, 0)
NOTHING = ScriptCall(Obis(bytes(6)), 0)
