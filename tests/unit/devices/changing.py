"""A meter that takes values and does things: a notebook that keeps whatever it is given, and an echo."""

from datetime import datetime
from typing import Any

from amity.devices.client import AssociationSettings, Authentication, Ciphering, Protection, Session
from amity.devices.interface_classes import INTERFACE_CLASSES, Role
from amity.devices.server import ClientAccess
from amity.devices.settings import CLIENT_CONFORMANCE, OPTIONAL_CONFORMANCE
from amity.kernel.obis import Obis
from amity.protocols.dlms.action_service import ActionOutcome
from amity.protocols.dlms.apdu import ActionResult, Attribute, Conformance, DataAccessResult, Method
from amity.protocols.dlms.data import Data, null
from amity.protocols.dlms.selective_access import Access
from tests.unit.devices.conversing import KEYS, PASSWORD, READER, Line, measured_objects, meter, ports, settings_for

NOTES = Obis.parse("0.0.96.50.0.255")
OTHER_NOTES = Obis.parse("0.0.96.50.1.255")
ECHO = Obis.parse("0.0.10.0.100.255")
NOTE, OTHER_NOTE = Attribute(1, NOTES, 2), Attribute(1, OTHER_NOTES, 2)
EXECUTE = Method(9, ECHO, 1)
SPECIFIC = CLIENT_CONFORMANCE
GENERAL = (CLIENT_CONFORMANCE | OPTIONAL_CONFORMANCE) & ~(
    Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
)
EVERYTHING = CLIENT_CONFORMANCE | OPTIONAL_CONFORMANCE


class Notebook:
    """A Data object that keeps any value but a text that says no."""

    interface = INTERFACE_CLASSES[1, 0]
    writable_attributes = frozenset({2})

    def __init__(self, obis: Obis) -> None:
        self.obis = obis
        self.value = null()
        self.writes = 0

    def attribute(self, _index: int, access: Access | None, _now: datetime) -> Data | DataAccessResult:
        return self.value if access is None else DataAccessResult.SCOPE_OF_ACCESS_VIOLATED

    def set_attribute(self, _index: int, access: Access | None, value: Data, _now: datetime) -> DataAccessResult:
        if access is not None or value.value == "no":
            return DataAccessResult.TYPE_UNMATCHED
        self.value = value
        self.writes += 1
        return DataAccessResult.SUCCESS


class Echo:
    """A Script table whose scripts return their parameter; the text `no` is refused."""

    interface = INTERFACE_CLASSES[9, 0]
    obis = ECHO
    offered_methods = frozenset({1})

    def __init__(self) -> None:
        self.calls = 0

    def attribute(self, _index: int, _access: Access | None, _now: datetime) -> Data | DataAccessResult:
        return DataAccessResult.READ_WRITE_DENIED

    def act(self, _index: int, parameters: Data | None, _now: datetime) -> ActionOutcome:
        if parameters is not None and parameters.value == "no":
            return ActionOutcome(ActionResult.TYPE_UNMATCHED)
        self.calls += 1
        return ActionOutcome(ActionResult.SUCCESS, parameters)


def managing(
    ciphering: Ciphering = Ciphering.NONE,
    protection: Protection = Protection.NONE,
    role: Role = Role.MANAGEMENT,
) -> ClientAccess:
    """A client that may change things."""
    return ClientAccess(READER, Authentication.NONE, ciphering, protection, PASSWORD, KEYS, role=role)


class Bench:
    """A managing client with an open association to a meter with notebooks and an echo."""

    def __init__(self, allowed: ClientAccess | None = None, *, limits: Any = None, **changes: Any) -> None:
        allowed = allowed or managing()
        self.notes, self.other_notes, self.echo = Notebook(NOTES), Notebook(OTHER_NOTES), Echo()
        objects = [*measured_objects(), self.notes, self.other_notes, self.echo]
        self.line = Line(meter(allowed, objects=objects, **(limits or {})))
        self.settings: AssociationSettings = settings_for(allowed, **({"conformance": EVERYTHING} | changes))
        self.session: Session = self.line.associate(self.settings, ports())

    def lead(self, conversation: Any) -> Any:
        return self.line.lead(conversation)
