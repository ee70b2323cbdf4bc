"""Sub-meters on a meter's M-Bus: who they are, their keys, capturing their value (class 72; IEC 62056-6-2, 4.8.3)."""

from collections.abc import Sequence
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.mbus import (
    DataElement,
    KeyStatus,
    MBusIdentity,
    manufacturer_letters,
    mbus_client_obis,
    mbus_value_obis,
    serial_from_bcd,
)
from amity.devices.interface_classes import EXTENDED_REGISTER, MBUS_CLIENT
from amity.devices.readout import RegisterReadout, read_registers
from amity.protocols.dlms.data import Data, array, octet_string, unsigned


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


# ------------------------------------------------------------------ keys and data
def change_sub_meter_key(session: Session, channel: int, key: bytes, encrypted: bytes) -> Conversation[KeyStatus]:
    """Give both ends of a channel a new key: the sub-meter first, then the meter. Return where it stands after it.

    `encrypted` is the key as this sub-meter takes it (under the key that was delivered with it). Raises
    MethodRefusedError: by the sub-meter, then the old key still holds; by the meter, then it reads no more until
    `set_sub_meter_key` has been called with the new one.
    """
    yield from named.call(session, MBUS_CLIENT, mbus_client_obis(channel), "transfer_key", octet_string(encrypted))
    yield from set_sub_meter_key(session, channel, key)
    return (yield from read_key_status(session, channel))


def set_sub_meter_key(session: Session, channel: int, key: bytes) -> Conversation[Data | None]:
    """Tell the meter alone with which key it reads the sub-meter; an empty one ends encryption."""
    return named.call(session, MBUS_CLIENT, mbus_client_obis(channel), "set_encryption_key", octet_string(key))


def read_key_status(session: Session, channel: int) -> Conversation[KeyStatus]:
    """Where the encryption of a channel stands; version 1 of the class."""
    (status,) = yield from named.read(session, MBUS_CLIENT, mbus_client_obis(channel), "encryption_key_status")
    return fields.member(KeyStatus, status, "encryption key status")


def send_to_sub_meter(session: Session, channel: int, elements: Sequence[DataElement]) -> Conversation[Data | None]:
    """Have the meter send data to a sub-meter; raise MethodRefusedError when it does not take them."""
    listed = array(element.to_data() for element in elements)
    return named.call(session, MBUS_CLIENT, mbus_client_obis(channel), "data_send", listed)
