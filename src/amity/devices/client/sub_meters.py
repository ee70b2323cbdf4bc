"""Sub-meters on a meter's M-Bus: who they are, capturing and reading their value (class 72; IEC 62056-6-2, 4.8.3)."""

from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.mbus import (
    MBusIdentity,
    manufacturer_letters,
    mbus_client_obis,
    mbus_value_obis,
    serial_from_bcd,
)
from amity.devices.interface_classes import EXTENDED_REGISTER, MBUS_CLIENT
from amity.devices.readout import RegisterReadout, read_registers
from amity.protocols.dlms.data import Data, unsigned


class SubMeterReadout(NamedTuple):
    """One channel: who is installed on it, and what the meter says of the bus. Address 0 is nobody."""

    identity: MBusIdentity
    primary_address: int
    access_number: int
    status: int
    alarm: int

    @property
    def installed(self) -> bool:
        """True when a sub-meter is bound to the channel."""
        return self.primary_address != 0


def read_sub_meter(session: Session, channel: int) -> Conversation[SubMeterReadout]:
    """Who hangs on a channel (1 to 4)."""
    address, serial, maker, version, kind, access, status, alarm = yield from named.read(
        session, MBUS_CLIENT, mbus_client_obis(channel),
        "primary_address", "identification_number", "manufacturer_id", "version", "device_type",
        "access_number", "status", "alarm",
    )  # fmt: skip
    return SubMeterReadout(
        MBusIdentity(
            serial_from_bcd(fields.number(serial, "identification number")),
            manufacturer_letters(fields.number(maker, "manufacturer id")),
            fields.number(version, "version"),
            fields.number(kind, "device type"),
        ),
        fields.number(address, "primary address"),
        fields.number(access, "access number"),
        fields.number(status, "status"),
        fields.number(alarm, "alarm"),
    )


def capture_sub_meter(session: Session, channel: int, value: int = 1) -> Conversation[RegisterReadout]:
    """Have the sub-meter read now, then read what was captured; raise MethodRefusedError when it does not answer."""
    yield from named.call(session, MBUS_CLIENT, mbus_client_obis(channel), "capture")
    register = EXTENDED_REGISTER.class_id, mbus_value_obis(channel, value)
    (readout,) = yield from read_registers(session, [register])
    return readout


def install_sub_meter(session: Session, channel: int, primary_address: int = 0) -> Conversation[Data | None]:
    """Bind the sub-meter that answers on the bus; address 0 lets the meter choose one."""
    return named.call(session, MBUS_CLIENT, mbus_client_obis(channel), "slave_install", unsigned(primary_address))


def remove_sub_meter(session: Session, channel: int) -> Conversation[Data | None]:
    """Forget the sub-meter of a channel."""
    return named.call(session, MBUS_CLIENT, mbus_client_obis(channel), "slave_deinstall")


def reset_sub_meter_alarm(session: Session, channel: int) -> Conversation[Data | None]:
    """Clear the alarm of a channel."""
    return named.call(session, MBUS_CLIENT, mbus_client_obis(channel), "reset_alarm")
