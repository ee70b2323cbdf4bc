"""Reading and changing what a meter pushes, and having it push now (class 40; IEC 62056-6-2, 4.4.8).

What is read says itself which version of the class it is of. What is written differs: `version` is that of the object
list; it matters for the objects and for the delay between repetitions.
"""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.refusals import MethodRefusedError
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.push import (
    PushDestination,
    PushOperation,
    PushWindow,
    RepetitionDelay,
    pushed_definition,
    pushed_object,
)
from amity.devices.interface_classes import CONFIRMED_PUSH_SETUP, PUSH_SETUP
from amity.devices.objects import CaptureObject
from amity.kernel.errors import RemoteProtocolError, RemoteRefusalError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, enum, long_unsigned, unsigned
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.results import ActionResult


class PushReadout(NamedTuple):
    """A push set-up, as far as all versions of the class have it."""

    objects: tuple[CaptureObject, ...]
    destination: PushDestination
    windows: tuple[PushWindow, ...]
    randomisation_s: int
    retries: int
    repetition: RepetitionDelay


class PushConfirmation(NamedTuple):
    """Whether pushes are confirmed, and when the last one was (version 2 of the class)."""

    operation: PushOperation
    last_at: CosemDateTime


def read_push(session: Session, obis: Obis) -> Conversation[PushReadout]:
    """What is pushed, where to and when."""
    objects, destination, windows, randomisation, retries, repetition = yield from named.read(
        session, PUSH_SETUP, obis,
        "push_object_list", "send_destination_and_method", "communication_window",
        "randomisation_start_interval", "number_of_retries", "repetition_delay",
    )  # fmt: skip
    return PushReadout(
        fields.elements(objects, pushed_object, "push object list"),
        PushDestination.from_data(destination),
        fields.elements(windows, PushWindow.from_data, "communication window"),
        fields.number(randomisation, "randomisation start interval"),
        fields.number(retries, "number of retries"),
        RepetitionDelay.from_data(repetition),
    )


def read_push_confirmation(session: Session, obis: Obis) -> Conversation[PushConfirmation]:
    """Whether pushes are confirmed; version 2 of the class."""
    operation, last_at = yield from named.read(
        session, CONFIRMED_PUSH_SETUP, obis, "push_operation_method", "last_confirmation_date_time"
    )
    return PushConfirmation(
        fields.member(PushOperation, operation, "push operation method"),
        fields.date_time(last_at, "last confirmation"),
    )


def set_push_objects(
    session: Session, obis: Obis, objects: Sequence[CaptureObject], *, version: int = 0
) -> Conversation[None]:
    """Say what is pushed."""
    listed = array(pushed_definition(pushed, version) for pushed in objects)
    return named.write(session, PUSH_SETUP, obis, "push_object_list", listed)


def set_push_destination(session: Session, obis: Obis, destination: PushDestination) -> Conversation[None]:
    """Say where pushes go."""
    return named.write(session, PUSH_SETUP, obis, "send_destination_and_method", destination.to_data())


def set_push_operation(session: Session, obis: Obis, operation: PushOperation) -> Conversation[None]:
    """Say whether pushes are confirmed; version 2 of the class."""
    return named.write(session, CONFIRMED_PUSH_SETUP, obis, "push_operation_method", enum(operation))


def set_push_timing(
    session: Session,
    obis: Obis,
    windows: Sequence[PushWindow],
    *,
    randomisation_s: int,
    retries: int,
    repetition: RepetitionDelay | None = None,
    version: int = 0,
) -> Conversation[None]:
    """Say when pushes go: windows, how far meters spread inside them, how often they try again and after how long.

    Without `repetition` the delay stays as it is. Raises ConfigurationError, before anything is written, for a delay
    that grows where the version knows none.
    """
    listed = array(window.to_data() for window in windows)
    delay = None if repetition is None else repetition.to_data(version)
    yield from named.write(session, PUSH_SETUP, obis, "communication_window", listed)
    yield from named.write(session, PUSH_SETUP, obis, "randomisation_start_interval", long_unsigned(randomisation_s))
    yield from named.write(session, PUSH_SETUP, obis, "number_of_retries", unsigned(retries))
    if delay is not None:
        yield from named.write(session, PUSH_SETUP, obis, "repetition_delay", delay)


def push_now(session: Session, obis: Obis) -> Conversation[Data | None]:
    """Have the meter push now; raise MethodRefusedError when it cannot."""
    try:
        return (yield from named.call(session, PUSH_SETUP, obis, "push"))
    except MethodRefusedError as refusal:
        if refusal.result is ActionResult.TEMPORARY_FAILURE:
            yield from _explain(refusal, session, obis)
        raise


def _explain(refusal: MethodRefusedError, session: Session, obis: Obis) -> Conversation[None]:
    """A meter that finds no way out may have been given none."""
    with contextlib.suppress(RemoteRefusalError, RemoteProtocolError):
        (written,) = yield from named.read(session, PUSH_SETUP, obis, "send_destination_and_method")
        address = PushDestination.from_data(written).address
        refusal.next_step = (
            f"see that the meter can reach {address!r}, where the push goes, then try again"
            if address
            else "the push set-up names no destination: write send_destination_and_method first"
        )
