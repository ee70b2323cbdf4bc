"""A push set-up (class 40, versions 0 to 2) that can be written and told to push."""

from collections.abc import Callable, Iterable
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.cosem.push import (
    PushDestination,
    PushOperation,
    PushTransport,
    PushWindow,
    RepetitionDelay,
    pushed_definition,
    pushed_object,
)
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import INTERFACE_CLASSES, PUSH_SETUP
from amity.devices.objects import NOT_SPECIFIED_TIME, CaptureObject, Source
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import (
    Data,
    Tag,
    array,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from amity.protocols.dlms.results import ActionResult


class PushSetup:
    """What a meter pushes and where; `push` sends it now and says whether it went out."""

    def __init__(
        self,
        objects: Iterable[CaptureObject],
        destination: PushDestination,
        push: "Push | None" = None,
    ) -> None:
        self.objects = tuple(objects)
        self.destination = destination
        self.windows: tuple[PushWindow, ...] = ()
        self.repetition = RepetitionDelay(0)
        self.operation = PushOperation.UNCONFIRMED_UNLESS_SENDING_FAILS
        self._push = push

    def push(self, now: datetime) -> ActionResult:
        """Send it; a meter that has no way out says temporary-failure."""
        sent = self._push is not None and self._push(self, now)
        return ActionResult.SUCCESS if sent else ActionResult.TEMPORARY_FAILURE


Push = Callable[[PushSetup, datetime], bool]
"""Sends what a set-up says; False when there is no way out."""


def to_tcp(objects: Iterable[CaptureObject], address: str, push: Push | None = None) -> PushSetup:
    """A push over TCP to `host:port`, as it comes from the factory."""
    return PushSetup(objects, PushDestination(PushTransport.TCP, address), push)


def push_setup_object(setup: PushSetup, obis: Obis, version: int = PUSH_SETUP.version) -> StoredObject:
    """Class 40: the set-up as the head-end sees and writes it."""
    interface = INTERFACE_CLASSES[PUSH_SETUP.class_id, version]

    def pushed(entry: Data) -> CaptureObject:
        found = pushed_object(entry)
        if len(entry.items) != len(pushed_definition(found, version).items):
            raise fields.wrong("pushed object of this version", entry)
        return found

    def take_objects(value: Data, _now: datetime) -> None:
        setup.objects = fields.elements(value, pushed, "push object list")

    def take_destination(value: Data, _now: datetime) -> None:
        setup.destination = PushDestination.from_data(value)

    def take_windows(value: Data, _now: datetime) -> None:
        setup.windows = fields.elements(value, PushWindow.from_data, "communication window")

    def take_repetition(value: Data, _now: datetime) -> None:
        setup.repetition = RepetitionDelay.from_data(value)

    def take_operation(value: Data, _now: datetime) -> None:
        setup.operation = fields.member(PushOperation, value, "push operation method")

    known = {spec.name for spec in interface.attributes}
    accept = {
        "push_object_list": take_objects,
        "send_destination_and_method": take_destination,
        "communication_window": take_windows,
        "repetition_delay": take_repetition,
        "push_operation_method": take_operation,
    }
    return StoredObject(
        interface,
        obis,
        {name: value for name, value in _shown(setup, version).items() if name in known},
        accept={name: take for name, take in accept.items() if name in known},
        methods={"push": lambda _, now: setup.push(now)},
    )


def _shown(setup: PushSetup, version: int) -> dict[str, Source]:
    """Every attribute of any version."""
    never = Data(Tag.DATE_TIME, NOT_SPECIFIED_TIME)
    return {
        "push_object_list": lambda _now: array(pushed_definition(pushed, version) for pushed in setup.objects),
        "send_destination_and_method": lambda _now: setup.destination.to_data(),
        "communication_window": lambda _now: array(window.to_data() for window in setup.windows),
        "randomisation_start_interval": long_unsigned(0),
        "number_of_retries": unsigned(0),
        "repetition_delay": lambda _now: setup.repetition.to_data(version),
        "port_reference": octet_string(b""),
        "push_client_sap": integer(0),
        "push_protection_parameters": array(()),
        "push_operation_method": lambda _now: enum(setup.operation),
        "confirmation_parameters": structure(never, double_long_unsigned(0)),
        "last_confirmation_date_time": never,
    }
