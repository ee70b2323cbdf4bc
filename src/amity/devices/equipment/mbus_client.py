"""The meter's side of a sub-meter on its M-Bus (class 72): who it is, its keys, and capturing its value."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.cosem.mbus import (
    DataElement,
    KeyStatus,
    MBusIdentity,
    manufacturer_code,
    mbus_client_obis,
    mbus_value_obis,
    serial_to_bcd,
)
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import EXTENDED_REGISTER, MBUS_CLIENT
from amity.devices.objects import NOT_SPECIFIED_TIME, scaler_unit
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    enum,
    long_unsigned,
    null,
    octet_string,
    structure,
    unsigned,
)
from amity.protocols.dlms.results import ActionResult

KEY_OCTETS = 16
_ADDRESS_MAX = 250
"""The last primary address of a sub-meter (EN 13757-2); those above are for other ways of addressing."""

_PORT = Obis.parse("0.0.24.6.0.255")
_NOBODY = MBusIdentity("00000000", "", 0, 0)


def _takes_no_key(_transferred: bytes) -> bytes | None:
    return None


def takes_no_data(_element: DataElement) -> bool:
    """A sub-meter that understands nothing."""
    return False


@dataclass(frozen=True, slots=True)
class SubMeter:
    """What hangs on the bus: who it is, what it counts, and what it does with a key or with data that are sent to it.

    `takes_key` is given a key as it is transferred, encrypted for this sub-meter, and gives the key that it then uses,
    None when it does not take it. `takes_data` is True for data that it understands.
    """

    identity: MBusIdentity
    count: Callable[[datetime], int]
    scaler: int
    unit: Unit
    value_information: bytes
    """The VIF octets that name the value on the M-Bus."""
    takes_key: Callable[[bytes], bytes | None] = _takes_no_key
    takes_data: Callable[[DataElement], bool] = takes_no_data


class MBusChannel:
    """One channel: the sub-meter that is installed on it, the keys of both ends, and what was captured last."""

    def __init__(self, channel: int, wired: SubMeter | None, *, installed: bool = True) -> None:
        self.channel = channel
        self.wired = wired
        self.installed = installed and wired is not None
        self.captured: tuple[int, datetime] | None = None
        self.primary_address = channel if self.installed else 0
        self.access_number = 0
        self.alarm = 0
        self._own_key: bytes | None = None
        self._key_there: bytes | None = None
        self._key_used = False

    @property
    def identity(self) -> MBusIdentity:
        """Who is installed."""
        return self.wired.identity if self.wired is not None and self.installed else _NOBODY

    @property
    def key_status(self) -> KeyStatus:
        """Where the encryption of this channel stands."""
        if self._key_used:
            return KeyStatus.IN_USE
        if self._own_key is None:
            return KeyStatus.NONE if self._key_there is None else KeyStatus.TRANSFERRED
        return KeyStatus.SET if self._key_there is None else KeyStatus.SET_AND_TRANSFERRED

    def install(self, primary_address: int) -> ActionResult:
        """Bind the sub-meter that answers; it is given the number of the channel where 0 leaves the address to us.

        Other-reason when none answers, when one is bound already, and for an address that no sub-meter can have.
        """
        if self.wired is None or self.installed or not 0 <= primary_address <= _ADDRESS_MAX:
            return ActionResult.OTHER_REASON
        self.installed, self.primary_address = True, primary_address or self.channel
        return ActionResult.SUCCESS

    def deinstall(self) -> ActionResult:
        """Forget the sub-meter and our key for it."""
        if not self.installed:
            return ActionResult.OTHER_REASON
        self.installed, self.primary_address, self.captured = False, 0, None
        self._own_key, self._key_used = None, False
        return ActionResult.SUCCESS

    def capture(self, now: datetime) -> ActionResult:
        """Read the sub-meter; hardware-fault when there is none, or when the two ends hold different keys."""
        if self.wired is None or not self.installed or self._own_key != self._key_there:
            return ActionResult.HARDWARE_FAULT
        self.captured = self.wired.count(now), now
        self._key_used = self._own_key is not None
        self._reached()
        return ActionResult.SUCCESS

    def set_key(self, key: bytes) -> ActionResult:
        """The key with which we read from now on; none of the right length is other-reason, an empty one ends it."""
        if len(key) not in {0, KEY_OCTETS}:
            return ActionResult.OTHER_REASON
        self._own_key, self._key_used = key or None, False
        return ActionResult.SUCCESS

    def transfer_key(self, encrypted: bytes) -> ActionResult:
        """Hand the sub-meter a key that was encrypted for it; other-reason when it does not take it."""
        if self.wired is None or not self.installed:
            return ActionResult.HARDWARE_FAULT
        key = self.wired.takes_key(encrypted)
        if key is None:
            return ActionResult.OTHER_REASON
        self._key_there, self._key_used = key, False
        self._reached()
        return ActionResult.SUCCESS

    def send(self, elements: tuple[DataElement, ...]) -> ActionResult:
        """Send data to the sub-meter; other-reason when it does not understand one of them."""
        if self.wired is None or not self.installed:
            return ActionResult.HARDWARE_FAULT
        self._reached()
        return ActionResult.SUCCESS if all(map(self.wired.takes_data, elements)) else ActionResult.OTHER_REASON

    def reset_alarm(self) -> ActionResult:
        """Clear the alarm."""
        self.alarm = 0
        return ActionResult.SUCCESS

    def synchronise(self) -> ActionResult:
        """Give the sub-meter the time."""
        return ActionResult.SUCCESS if self.installed else ActionResult.HARDWARE_FAULT

    def _reached(self) -> None:
        self.access_number = (self.access_number + 1) & 0xFF


def mbus_client(channel: MBusChannel) -> StoredObject:
    """Class 72, version 1: the channel as the head-end sees it."""

    def install(value: Data, _now: datetime) -> ActionResult:
        return channel.install(fields.number(value, "primary address"))

    def send(value: Data, _now: datetime) -> ActionResult:
        return channel.send(fields.elements(value, DataElement.from_data, "data to send"))

    return StoredObject(
        MBUS_CLIENT,
        mbus_client_obis(channel.channel),
        _shown(channel),
        methods={
            "slave_install": install,
            "slave_deinstall": lambda _, _now: channel.deinstall(),
            "capture": lambda _, now: channel.capture(now),
            "reset_alarm": lambda _, _now: channel.reset_alarm(),
            "synchronize_clock": lambda _, _now: channel.synchronise(),
            "data_send": send,
            "set_encryption_key": lambda key, _now: channel.set_key(fields.octets(key, "key")),
            "transfer_key": lambda key, _now: channel.transfer_key(fields.octets(key, "key")),
        },
    )


def mbus_value(channel: MBusChannel) -> StoredObject:
    """Class 4: what was captured last from the channel, and when."""
    wired = channel.wired

    def value(_now: datetime) -> Data:
        return null() if channel.captured is None else double_long_unsigned(channel.captured[0])

    def captured_at(_now: datetime) -> Data:
        return octet_string(NOT_SPECIFIED_TIME) if channel.captured is None else fields.instant(channel.captured[1])

    return StoredObject(
        EXTENDED_REGISTER,
        mbus_value_obis(channel.channel),
        {
            "value": value,
            "scaler_unit": scaler_unit(wired.scaler, wired.unit) if wired else scaler_unit(0, Unit.COUNT),
            "status": unsigned(0),
            "capture_time": captured_at,
        },
    )


def _shown(channel: MBusChannel) -> dict[str, Data | Callable[[datetime], Data]]:
    def identity(show: Callable[[MBusIdentity], Data]) -> Callable[[datetime], Data]:
        return lambda _now: show(channel.identity)

    wired = channel.wired
    definition = structure(octet_string(b""), octet_string(wired.value_information if wired else b""))
    return {
        "mbus_port_reference": octet_string(bytes(_PORT)),
        "capture_definition": array((definition,)),
        "capture_period": double_long_unsigned(3600),
        "primary_address": lambda _now: unsigned(channel.primary_address),
        "identification_number": identity(lambda who: double_long_unsigned(serial_to_bcd(who.serial))),
        "manufacturer_id": identity(lambda who: long_unsigned(_code(who.manufacturer))),
        "version": identity(lambda who: unsigned(who.version)),
        "device_type": identity(lambda who: unsigned(who.device_type)),
        "access_number": lambda _now: unsigned(channel.access_number),
        "status": unsigned(0),
        "alarm": lambda _now: unsigned(channel.alarm),
        "configuration": long_unsigned(0),
        "encryption_key_status": lambda _now: enum(channel.key_status),
    }


def _code(manufacturer: str) -> int:
    return manufacturer_code(manufacturer) if manufacturer else 0
