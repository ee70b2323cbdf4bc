"""A push set-up (class 40, version 0) that can be written and told to push."""

from collections.abc import Callable, Iterable
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.cosem.push import PushDestination, PushTransport, PushWindow, pushed_object
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import PUSH_SETUP
from amity.devices.objects import CaptureObject
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, long_unsigned, unsigned
from amity.protocols.dlms.results import ActionResult


class PushSetup:
    """What a meter pushes and where; `push` sends it now and says whether it went out."""

    def __init__(
        self,
        objects: Iterable[CaptureObject],
        destination: PushDestination,
        push: Callable[["PushSetup", datetime], bool] | None = None,
    ) -> None:
        self.objects = tuple(objects)
        self.destination = destination
        self.windows: tuple[PushWindow, ...] = ()
        self._push = push

    def push(self, now: datetime) -> ActionResult:
        """Send it; a meter that has no way out says temporary-failure."""
        sent = self._push is not None and self._push(self, now)
        return ActionResult.SUCCESS if sent else ActionResult.TEMPORARY_FAILURE


def to_tcp(objects: Iterable[CaptureObject], address: str) -> PushSetup:
    """A push over TCP to `host:port`, as it comes from the factory."""
    return PushSetup(objects, PushDestination(PushTransport.TCP, address))


def push_setup_object(setup: PushSetup, obis: Obis) -> StoredObject:
    """Class 40: the set-up as the head-end sees and writes it."""

    def take_objects(value: Data, _now: datetime) -> None:
        setup.objects = fields.elements(value, pushed_object, "push object list")

    def take_destination(value: Data, _now: datetime) -> None:
        setup.destination = PushDestination.from_data(value)

    def take_windows(value: Data, _now: datetime) -> None:
        setup.windows = fields.elements(value, PushWindow.from_data, "communication window")

    return StoredObject(
        PUSH_SETUP,
        obis,
        {
            "push_object_list": lambda _now: array(pushed.definition() for pushed in setup.objects),
            "send_destination_and_method": lambda _now: setup.destination.to_data(),
            "communication_window": lambda _now: array(window.to_data() for window in setup.windows),
            "randomisation_start_interval": long_unsigned(0),
            "number_of_retries": unsigned(0),
            "repetition_delay": long_unsigned(0),
        },
        accept={
            "push_object_list": take_objects,
            "send_destination_and_method": take_destination,
            "communication_window": take_windows,
        },
        methods={"push": lambda _, now: setup.push(now)},
    )
