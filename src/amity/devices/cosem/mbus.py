"""M-Bus client (class 72): which sub-meter hangs on a channel and what is captured from it (IEC 62056-6-2, 4.8.3)."""

from enum import IntEnum
from typing import NamedTuple, Self

from amity.devices.cosem import fields
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, octet_string, structure

_LETTER_BITS = 5
_LETTER_BASE = 64  # A is 1


class MBusMedium(IntEnum):
    """device_type: what the sub-meter measures (EN 13757-3, table of media); the ones that are met on a meter."""

    OTHER = 0x00
    ELECTRICITY = 0x02
    GAS = 0x03
    HEAT = 0x04
    WARM_WATER = 0x06
    WATER = 0x07
    HEAT_COST_ALLOCATOR = 0x08
    COOLING = 0x0A
    HOT_WATER = 0x15
    COLD_WATER = 0x16


class KeyStatus(IntEnum):
    """encryption_key_status: which of the two ends has a key, and whether it has been used."""

    NONE = 0
    SET = 1
    TRANSFERRED = 2
    SET_AND_TRANSFERRED = 3
    IN_USE = 4


class DataElement(NamedTuple):
    """Data for a sub-meter: the DIF and VIF octets that say what it is (EN 13757-3), and the value."""

    data_information: bytes
    value_information: bytes
    value: Data

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        data_information, value_information, value = fields.parts(data, 3, "data definition")
        return cls(
            fields.octets(data_information, "data information block"),
            fields.octets(value_information, "value information block"),
            value,
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(octet_string(self.data_information), octet_string(self.value_information), self.value)


class MBusIdentity(NamedTuple):
    """Who a sub-meter is: `serial` are the eight digits on its face, `manufacturer` the three letters (FLAG)."""

    serial: str
    manufacturer: str
    version: int
    device_type: int


def serial_from_bcd(number: int) -> str:
    """The identification number as digits; it travels as BCD in a number of four octets."""
    return f"{number:08x}"


def serial_to_bcd(serial: str) -> int:
    """The number that stands for eight digits; raise ValueError for anything else."""
    if len(serial) > 8 or not serial.isdecimal():  # noqa: PLR2004 - four octets of BCD
        raise ValueError(serial)
    return int(serial, 16)


def manufacturer_letters(code: int) -> str:
    """The three letters of a manufacturer code (EN 13757-3, 5.6)."""
    return "".join(chr((code >> shift & 0x1F) + _LETTER_BASE) for shift in (2 * _LETTER_BITS, _LETTER_BITS, 0))


def manufacturer_code(letters: str) -> int:
    """The code of three capital letters; raise ValueError for anything else."""
    if len(letters) != 3 or not letters.isascii() or not letters.isupper():  # noqa: PLR2004 - FLAG ids have three
        raise ValueError(letters)
    first, second, third = (ord(letter) - _LETTER_BASE for letter in letters)
    return first << 2 * _LETTER_BITS | second << _LETTER_BITS | third


def mbus_client_obis(channel: int) -> Obis:
    """The M-Bus client of channel 1 to 4."""
    return Obis(bytes((0, channel, 24, 1, 0, 255)))


def mbus_value_obis(channel: int, value: int = 1) -> Obis:
    """The extended register that keeps what was captured last."""
    return Obis(bytes((0, channel, 24, 2, value, 255)))
