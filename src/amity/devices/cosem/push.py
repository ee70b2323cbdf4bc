"""Push set-up (class 40): what is sent, where to, when and how often (IEC 62056-6-2, 4.4.8)."""

from enum import IntEnum
from typing import NamedTuple, Self

from amity.devices.cosem import fields
from amity.devices.objects import CaptureObject
from amity.kernel.errors import ConfigurationError
from amity.protocols.dlms.data import Data, Tag, array, enum, long_unsigned, null, octet_string, structure
from amity.protocols.dlms.datetime import CosemDateTime

_OBJECT_PARTS = 4
_STEADY = 100
_WITH_GROWTH = 2
"""The version of the class from which on delays grow, and objects have restrictions and columns."""


class PushTransport(IntEnum):
    """transport_service_type of a destination; 200 and above belong to the maker."""

    TCP = 0
    UDP = 1
    FTP = 2
    SMTP = 3
    SMS = 4
    HDLC = 5
    MBUS = 6
    ZIGBEE = 7
    DLMS_GATEWAY = 8


class PushMessage(IntEnum):
    """message_type of a destination: what the push is wrapped in; 128 and above belong to the maker."""

    APDU = 0
    APDU_IN_XML = 1


class PushOperation(IntEnum):
    """push_operation_method (version 2): whether pushes ask for a confirmation, and what has them repeated."""

    UNCONFIRMED_UNLESS_SENDING_FAILS = 0
    UNCONFIRMED_UNLESS_CARRIER_CONFIRMS = 1
    CONFIRMED = 2


class RepetitionDelay(NamedTuple):
    """How long until a push that failed is sent again.

    Before repetition n it is `shortest_s * (growth_percent / 100) ** (n - 1)`, `longest_s` at most. Versions 0 and 1 of
    the class know one delay for all repetitions: 100 %.
    """

    shortest_s: int
    growth_percent: int = _STEADY
    longest_s: int = 0xFFFF

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one of any version; raise RemoteProtocolError when it is none."""
        if not data.is_sequence:
            return cls(fields.number(data, "repetition delay", Tag.LONG_UNSIGNED))
        numbers = fields.parts(data, 3, "repetition delay")
        return cls(*(fields.number(number, "repetition delay", Tag.LONG_UNSIGNED) for number in numbers))

    def to_data(self, version: int) -> Data:
        """As it travels in a version of the class; raise ConfigurationError for growth in one that has none."""
        if version >= _WITH_GROWTH:
            return structure(*map(long_unsigned, self))
        if self.growth_percent != _STEADY:
            raise ConfigurationError(
                f"in version {version} of a push set-up the delay between repetitions does not grow",
                next_step=f"leave growth_percent at {_STEADY}",
            )
        return long_unsigned(self.shortest_s)


class PushDestination(NamedTuple):
    """Where pushes go: for TCP and UDP `address` is `host:port`. Numbers beyond the enumerations are the maker's."""

    transport: int
    address: str
    message: int = PushMessage.APDU

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        transport, address, message = fields.parts(data, 3, "push destination")
        return cls(
            fields.number(transport, "transport service", Tag.ENUM),
            fields.octets(address, "push destination").decode("utf-8", "backslashreplace"),
            fields.number(message, "message type", Tag.ENUM),
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(enum(self.transport), octet_string(self.address.encode()), enum(self.message))


class PushWindow(NamedTuple):
    """When pushes may be sent; fields left open repeat (every day, every month)."""

    start: CosemDateTime
    end: CosemDateTime

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        start, end = fields.parts(data, 2, "communication window")
        return cls(fields.date_time(start, "window start"), fields.date_time(end, "window end"))

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(octet_string(self.start.to_octets()), octet_string(self.end.to_octets()))


def pushed_definition(pushed: CaptureObject, version: int) -> Data:
    """One entry of push_object_list as it travels in a version of the class: from 2 on unrestricted, all columns."""
    definition = pushed.definition()
    if version < _WITH_GROWTH:
        return definition
    return structure(*definition.items, structure(enum(0), null()), array(()))


def pushed_object(data: Data) -> CaptureObject:
    """One entry of push_object_list; version 2 appends restrictions and columns, which are passed over."""
    if not data.is_sequence or len(data.items) < _OBJECT_PARTS:
        raise fields.wrong("pushed object", data)
    class_id, obis, attribute, index = data.items[:_OBJECT_PARTS]
    return CaptureObject(
        fields.number(class_id, "class id", Tag.LONG_UNSIGNED),
        fields.obis(obis, "logical name"),
        fields.number(attribute, "attribute index", Tag.INTEGER),
        fields.number(index, "data index", Tag.LONG_UNSIGNED),
    )
