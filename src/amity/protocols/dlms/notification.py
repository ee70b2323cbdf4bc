"""What a meter sends unasked (IEC 62056-5-3, Data-Notification and its confirm, Event-Notification-Request)."""

from dataclasses import dataclass
from typing import ClassVar

from amity.protocols.dlms import fields
from amity.protocols.dlms.attributes import Attribute, descriptor_octets
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import Data, DecodeError, Tag, decode_all, encode
from amity.protocols.dlms.datetime import OCTETS as DATE_TIME_OCTETS
from amity.protocols.dlms.datetime import CosemDateTime

DATA_TAG = 0x0F
CONFIRM_TAG = 0x10
EVENT_TAG = 0xC2
_TAGGED_DATE_TIME = bytes([Tag.OCTET_STRING, DATE_TIME_OCTETS])


@dataclass(frozen=True, slots=True, init=False)
class DataNotification:
    """A push: `raw` are the A-XDR octets of the body, decoded only when `body` is asked for.

    `date_time` is empty or twelve octets. `tagged_date_time` marks meters (Kaifa MA304 in Norway) that write the tag
    of an octet string before it, which the standard does not; it is kept so that encoding gives the same octets.
    """

    TAG: ClassVar[int] = DATA_TAG
    long_invoke_id_and_priority: int
    date_time: bytes
    raw: bytes
    tagged_date_time: bool

    def __init__(
        self,
        long_invoke_id_and_priority: int,
        date_time: bytes,
        body: Data | bytes,
        *,
        tagged_date_time: bool = False,
    ) -> None:
        object.__setattr__(self, "long_invoke_id_and_priority", long_invoke_id_and_priority)
        object.__setattr__(self, "date_time", date_time)
        object.__setattr__(self, "raw", body if isinstance(body, bytes) else encode(body))
        object.__setattr__(self, "tagged_date_time", tagged_date_time)

    @property
    def body(self) -> Data:
        """The pushed value; raise DecodeError when the octets are no Data (some meters push untagged parts)."""
        return decode_all(self.raw)

    @property
    def time(self) -> CosemDateTime | None:
        """When the meter sent it, None when it does not say; raise RemoteProtocolError when it is no date-time."""
        return CosemDateTime.from_octets(self.date_time) if self.date_time else None

    def encode(self) -> bytes:
        """The octets of the APDU."""
        mark = bytes([Tag.OCTET_STRING]) if self.tagged_date_time else b""
        invoke = fields.number(self.long_invoke_id_and_priority, 4)
        return bytes([DATA_TAG]) + invoke + mark + fields.octet_string(self.date_time) + self.raw


@dataclass(frozen=True, slots=True)
class DataNotificationConfirm:
    """The answer to a push whose long-invoke-id-and-priority asks for one; `date_time` is empty or twelve octets."""

    TAG: ClassVar[int] = CONFIRM_TAG
    long_invoke_id_and_priority: int
    date_time: bytes = b""

    def encode(self) -> bytes:
        """The octets of the APDU."""
        invoke = fields.number(self.long_invoke_id_and_priority, 4)
        return bytes([CONFIRM_TAG]) + invoke + fields.octet_string(self.date_time)


@dataclass(frozen=True, slots=True)
class EventNotification:
    """One attribute that changed; `time` are the octets as sent, None when absent."""

    TAG: ClassVar[int] = EVENT_TAG
    time: CosemDateTime | bytes | None
    attribute: Attribute
    value: Data

    def encode(self) -> bytes:
        """The octets of the APDU."""
        time = self.time.to_octets() if isinstance(self.time, CosemDateTime) else self.time
        reference = descriptor_octets(self.attribute)
        return bytes([EVENT_TAG]) + fields.optional_octets(time) + reference + encode(self.value)


def read_data_notification(cursor: Cursor) -> DataNotification:
    """What follows the tag of a Data-Notification."""
    invoke = cursor.unsigned(4)
    tagged = cursor.buffer.startswith(_TAGGED_DATE_TIME, cursor.offset)
    if tagged:
        cursor.take(1)
    date_time = cursor.octets()
    if len(date_time) not in {0, DATE_TIME_OCTETS}:
        raise DecodeError(f"a date-time has 0 or {DATE_TIME_OCTETS} octets, not {len(date_time)}", 5)
    return DataNotification(invoke, date_time, cursor.rest(), tagged_date_time=tagged)


def read_data_notification_confirm(cursor: Cursor) -> DataNotificationConfirm:
    """What follows the tag of a Data-Notification-Confirm."""
    return DataNotificationConfirm(cursor.unsigned(4), cursor.octets())


def read_event_notification(cursor: Cursor) -> EventNotification:
    """What follows the tag of an Event-Notification-Request."""
    octets = cursor.octets() if cursor.flag() else None
    time = CosemDateTime.from_octets(octets) if octets is not None and len(octets) == DATE_TIME_OCTETS else octets
    return EventNotification(time, fields.read_attribute(cursor), cursor.data())
