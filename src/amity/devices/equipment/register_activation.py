"""Which registers count (class 6): masks by name, one of them active (IEC 62056-6-2, 4.3.5)."""

from collections.abc import Callable, Mapping
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import REGISTER, REGISTER_ACTIVATION
from amity.kernel.errors import LocalProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import array, long_unsigned, octet_string, structure, unsigned

REGISTER_ACTIVATION_OBIS = Obis.parse("0.0.14.0.0.255")


class ActiveRegisters:
    """One register for each mask; `activated` is told which one counts from an instant on."""

    def __init__(
        self, registers: Mapping[bytes, Obis], active: bytes, activated: Callable[[bytes, datetime], None]
    ) -> None:
        self.registers = dict(registers)
        self.active = active
        self._activated = activated

    def activate(self, mask: bytes, now: datetime) -> None:
        """Let the registers of a mask count; raise LocalProtocolError for a mask that is not there."""
        if mask not in self.registers:
            raise LocalProtocolError(f"there is no mask {mask!r}")
        self.active = mask
        self._activated(mask, now)


def register_activation(active: ActiveRegisters, obis: Obis = REGISTER_ACTIVATION_OBIS) -> StoredObject:
    """Class 6: the masks, and the active one, which may be written."""
    assigned = array(
        structure(long_unsigned(REGISTER.class_id), octet_string(bytes(register)))
        for register in active.registers.values()
    )
    masks = array(
        structure(octet_string(mask), array([unsigned(place)])) for place, mask in enumerate(active.registers, 1)
    )
    return StoredObject(
        REGISTER_ACTIVATION,
        obis,
        {
            "register_assignment": lambda _now: assigned,
            "mask_list": lambda _now: masks,
            "active_mask": lambda _now: octet_string(active.active),
        },
        accept={"active_mask": lambda value, now: active.activate(fields.octets(value, "mask"), now)},
    )
