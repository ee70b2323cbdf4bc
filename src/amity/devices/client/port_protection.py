"""Whether a port of a meter is locked after wrong passwords, and unlocking it (class 124; IEC 62056-6-2)."""

from enum import IntEnum
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.interface_classes import PORT_PROTECTION
from amity.kernel.obis import Obis


class PortStatus(IntEnum):
    """Whether a port may be used; one that is temporarily locked unlocks itself."""

    UNLOCKED = 0
    TEMPORARILY_LOCKED = 1
    LOCKED = 2


class PortProtection(NamedTuple):
    """How a port stands and how many failed attempts there were, since it was last reset and ever."""

    port: Obis
    status: PortStatus
    failed: int
    failed_ever: int
    failed_allowed: int


def read_port_protection(session: Session, obis: Obis) -> Conversation[PortProtection]:
    """How a port stands."""
    port, status, failed, ever, allowed = yield from named.read(
        session, PORT_PROTECTION, obis,
        "port_reference", "protection_status", "failed_attempts", "cumulative_failed_attempts",
        "allowed_failed_attempts",
    )  # fmt: skip
    return PortProtection(
        fields.obis(port, "port reference"),
        fields.member(PortStatus, status, "protection status"),
        fields.number(failed, "failed attempts"),
        fields.number(ever, "cumulative failed attempts"),
        fields.number(allowed, "allowed failed attempts"),
    )


def unlock_port(session: Session, obis: Obis) -> Conversation[PortProtection]:
    """Forget the failed attempts; return how the port stands then."""
    yield from named.call(session, PORT_PROTECTION, obis, "reset")
    return (yield from read_port_protection(session, obis))
