"""The meter's side of a sub-meter on its M-Bus (class 72): who it is, and capturing its value into a register."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.cosem.mbus import (
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

_PORT = Obis.parse("0.0.24.6.0.255")
_NOBODY = MBusIdentity("00000000", "", 0, 0)
_NO_KEY = 0


@dataclass(frozen=True, slots=True)
class SubMeter:
    """What hangs on the bus: who it is and what it counts."""

    identity: MBusIdentity
    count: Callable[[datetime], int]
    scaler: int
    unit: Unit
    value_information: bytes
    """The VIF octets that name the value on the M-Bus."""


class MBusChannel:
    """One channel: the sub-meter that is installed on it, and what was captured last."""

    def __init__(self, channel: int, wired: SubMeter | None, *, installed: bool = True) -> None:
        self.channel = channel
        self.wired = wired
        self.installed = installed and wired is not None
        self.captured: tuple[int, datetime] | None = None
        self.primary_address = channel if self.installed else 0
        self.access_number = 0
        self.alarm = 0

    @property
    def identity(self) -> MBusIdentity:
        """Who is installed."""
        return self.wired.identity if self.wired is not None and self.installed else _NOBODY

    def install(self, primary_address: int) -> ActionResult:
        """Bind the sub-meter that answers; other-reason when none does or one is bound already."""
        if self.wired is None or self.installed:
            return ActionResult.OTHER_REASON
        self.installed, self.primary_address = True, primary_address
        return ActionResult.SUCCESS

    def deinstall(self) -> ActionResult:
        """Forget the sub-meter."""
        if not self.installed:
            return ActionResult.OTHER_REASON
        self.installed, self.primary_address, self.captured = False, 0, None
        return ActionResult.SUCCESS

    def capture(self, now: datetime) -> ActionResult:
        """Read the sub-meter; hardware-fault when there is none."""
        if self.wired is None or not self.installed:
            return ActionResult.HARDWARE_FAULT
        self.captured = self.wired.count(now), now
        self.access_number = (self.access_number + 1) & 0xFF
        return ActionResult.SUCCESS

    def reset_alarm(self) -> ActionResult:
        """Clear the alarm."""
        self.alarm = 0
        return ActionResult.SUCCESS


def mbus_client(channel: MBusChannel) -> StoredObject:
    """Class 72, version 1: the channel as the head-end sees it."""

    def install(value: Data, _now: datetime) -> ActionResult:
        return channel.install(fields.number(value, "primary address"))

    return StoredObject(
        MBUS_CLIENT,
        mbus_client_obis(channel.channel),
        _shown(channel),
        methods={
            "slave_install": install,
            "slave_deinstall": lambda _, _now: channel.deinstall(),
            "capture": lambda _, now: channel.capture(now),
            "reset_alarm": lambda _, _now: channel.reset_alarm(),
            "synchronize_clock": lambda _, _now: _reached(channel),
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


def _reached(channel: MBusChannel) -> ActionResult:
    return ActionResult.SUCCESS if channel.installed else ActionResult.HARDWARE_FAULT


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
        "encryption_key_status": enum(_NO_KEY),
    }


def _code(manufacturer: str) -> int:
    return manufacturer_code(manufacturer) if manufacturer else 0
