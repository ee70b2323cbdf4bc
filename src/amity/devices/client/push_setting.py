"""Reading and changing what a meter pushes, and having it push now (class 40; IEC 62056-6-2, 4.4.8)."""

from collections.abc import Sequence
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.push import PushDestination, PushWindow, pushed_object
from amity.devices.interface_classes import PUSH_SETUP
from amity.devices.objects import CaptureObject
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, long_unsigned, unsigned


class PushReadout(NamedTuple):
    """A push set-up; these attributes are the same in versions 0 and 1 of the class."""

    objects: tuple[CaptureObject, ...]
    destination: PushDestination
    windows: tuple[PushWindow, ...]
    randomisation_s: int
    retries: int


def read_push(session: Session, obis: Obis) -> Conversation[PushReadout]:
    """What is pushed, where to and when."""
    objects, destination, windows, randomisation, retries = yield from named.read(
        session, PUSH_SETUP, obis,
        "push_object_list", "send_destination_and_method", "communication_window",
        "randomisation_start_interval", "number_of_retries",
    )  # fmt: skip
    return PushReadout(
        fields.elements(objects, pushed_object, "push object list"),
        PushDestination.from_data(destination),
        fields.elements(windows, PushWindow.from_data, "communication window"),
        fields.number(randomisation, "randomisation start interval"),
        fields.number(retries, "number of retries"),
    )


def set_push_objects(session: Session, obis: Obis, objects: Sequence[CaptureObject]) -> Conversation[None]:
    """Say what is pushed."""
    listed = array(pushed.definition() for pushed in objects)
    return named.write(session, PUSH_SETUP, obis, "push_object_list", listed)


def set_push_destination(session: Session, obis: Obis, destination: PushDestination) -> Conversation[None]:
    """Say where pushes go."""
    return named.write(session, PUSH_SETUP, obis, "send_destination_and_method", destination.to_data())


def set_push_timing(
    session: Session, obis: Obis, windows: Sequence[PushWindow], *, randomisation_s: int, retries: int
) -> Conversation[None]:
    """Say when pushes go: windows, how far meters spread inside them, how often they try again."""
    listed = array(window.to_data() for window in windows)
    yield from named.write(session, PUSH_SETUP, obis, "communication_window", listed)
    yield from named.write(session, PUSH_SETUP, obis, "randomisation_start_interval", long_unsigned(randomisation_s))
    yield from named.write(session, PUSH_SETUP, obis, "number_of_retries", unsigned(retries))


def push_now(session: Session, obis: Obis) -> Conversation[Data | None]:
    """Have the meter push now; raise MethodRefusedError when it cannot."""
    return named.call(session, PUSH_SETUP, obis, "push")
