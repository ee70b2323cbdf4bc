"""What `amity read` asks a meter for, and the answers as a person and a program want them."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from amity.cli.reading.profile import ProfileRequest, read_rows
from amity.cli.reading.values import printable, scaled, shown, symbol
from amity.devices.client import (
    AssociationSettings,
    AttributeRefusedError,
    Conversation,
    Ports,
    Session,
    get,
    release,
)
from amity.devices.client.counters import RisingCounter, associate_in_step
from amity.devices.interface_classes import ASSOCIATION_LN, CLOCK, DATA, EXTENDED_REGISTER, PROFILE_GENERIC, REGISTER
from amity.devices.profiles import CLOCK_OBIS
from amity.devices.readout import CLOCK_TIME, RegisterReadout, read_logical_device_name, read_registers
from amity.kernel.errors import ConfigurationError, TransportError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, DataAccessResult
from amity.protocols.dlms.data import Data
from amity.transports.channel import MeterChannel

Result = TypeVar("Result")

TOTAL_IMPORT = "1.0.1.8.0.255"
"""What is read where nothing is named."""

_VALUE = 2
_SCALED_CLASSES = frozenset({REGISTER.class_id, EXTENDED_REGISTER.class_id})
_CURRENT_ASSOCIATION = Obis.parse("0.0.40.0.0.255")
_REFERENCE_PARTS = 3
_CLASS_MAX = 0xFFFF
_INDEX_MIN, _INDEX_MAX = -0x80, 0x7F
_RELEASE_TIMEOUT_S = 2.0
_MISMATCHES = {DataAccessResult.OBJECT_UNDEFINED, DataAccessResult.OBJECT_CLASS_INCONSISTENT}


class Reference(NamedTuple):
    """An attribute as somebody names it; `guessed`: the class is ours, the meter may know better."""

    attribute: Attribute
    guessed: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What to read: attributes, and a profile."""

    references: tuple[Reference, ...]
    profile: ProfileRequest | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meter said; `rows` is None when no profile was asked for.

    A meter may have no name or no clock for this client: None then, and why stands in `missing`.
    """

    name: str | None
    clock: str | None
    missing: list[dict[str, Any]]
    values: list[dict[str, Any]]
    columns: list[str]
    rows: list[list[Any]] | None

    @property
    def refused(self) -> bool:
        """True when the meter did not give everything that was asked for."""
        return any("error" in value for value in self.values)

    def to_json(self) -> dict[str, Any]:
        """The whole reading as JSON values."""
        document: dict[str, Any] = {"logical_device_name": self.name, "clock": self.clock, "readings": self.values}
        if self.missing:
            document["missing"] = self.missing
        if self.rows is not None:
            document["profile"] = {"columns": self.columns, "rows": self.rows}
        return document


async def in_association(
    channel: MeterChannel,
    settings: AssociationSettings,
    ports: Ports,
    talk: Callable[[Session], Conversation[Result]],
    *,
    timeout_s: float,
) -> Result:
    """Associate, talk, release; a meter that waits for a higher invocation counter is given it once.

    The answer that names a counter is not authenticated: it may raise ours, never lower it.
    """
    counter = RisingCounter(ports.next_invocation_counter())
    session = await channel.run(associate_in_step(settings, ports, counter), timeout_s)
    result = await channel.run(talk(session), timeout_s)
    with contextlib.suppress(TransportError):  # many meters just close, or stay silent, when released
        await channel.run(release(session), min(timeout_s, _RELEASE_TIMEOUT_S))
    return result


def read_meter(session: Session, request: Request) -> Conversation[Reading]:
    """Read what is wanted in an open association; what single objects refuse stands in the reading."""
    missing: list[dict[str, Any]] = []
    name = yield from _unless_refused(read_logical_device_name(session), missing)
    time = yield from _unless_refused(get(session, CLOCK_TIME), missing)
    name, clock = name and printable(name), time and str(shown(time))
    values: list[dict[str, Any]] = []
    for reference in request.references:
        values += [(yield from _value(session, reference))]
    if request.profile is None:
        return Reading(name, clock, missing, values, [], None)
    columns, rows = yield from read_rows(session, request.profile, name or "")
    return Reading(name, clock, missing, values, columns, rows)


def _unless_refused(talk: Conversation[Result], missing: list[dict[str, Any]]) -> Conversation[Result | None]:
    """What a conversation gives; None where the meter refuses it, which is then told in `missing`."""
    try:
        return (yield from talk)
    except AttributeRefusedError as refusal:
        missing.append(_refusal(refusal.attribute, refusal))
        return None


# ------------------------------------------------------------------ single attributes
def _value(session: Session, reference: Reference) -> Conversation[dict[str, Any]]:
    """One attribute; when our guess of its class does not fit, the meter's object list says the class."""
    attribute, guessed = reference
    try:
        return (yield from _shown_attribute(session, attribute))
    except AttributeRefusedError as refusal:
        if not guessed or refusal.result not in _MISMATCHES:
            return _refusal(attribute, refusal)
    class_id = yield from _class_of(session, attribute.obis)
    listed = attribute._replace(class_id=class_id or attribute.class_id)
    try:
        return (yield from _shown_attribute(session, listed))
    except AttributeRefusedError as refusal:
        return _refusal(listed, refusal)


def _shown_attribute(session: Session, attribute: Attribute) -> Conversation[dict[str, Any]]:
    if attribute.index == _VALUE and attribute.class_id in _SCALED_CLASSES:
        (register,) = yield from read_registers(session, [(attribute.class_id, attribute.obis)])
        return _shown_register(register)
    data = yield from get(session, attribute)
    return {
        "obis": str(attribute.obis),
        "class_id": attribute.class_id,
        "attribute": attribute.index,
        "value": shown(data),
    }


def _shown_register(register: RegisterReadout) -> dict[str, Any]:
    attribute = register.attribute
    if isinstance(register.value, DataAccessResult):
        raise AttributeRefusedError(attribute, register.value)
    facts = {"obis": str(attribute.obis), "class_id": attribute.class_id, "attribute": attribute.index}
    raw, scale = register.value.value, register.scaler_unit
    if scale is None or not isinstance(raw, int):
        return facts | {"value": shown(register.value)}
    return facts | {"value": scaled(raw, scale), "unit": symbol(scale), "raw": raw, "scaler": scale.scaler}


def _class_of(session: Session, obis: Obis) -> Conversation[int | None]:
    objects = yield from get(session, Attribute(ASSOCIATION_LN.class_id, _CURRENT_ASSOCIATION, _VALUE))
    return next((class_id for class_id, name in _listed(objects) if name == obis), None)


def _listed(objects: Data) -> Iterator[tuple[int, bytes]]:
    """Class and logical name of each entry of an object_list."""
    for entry in objects.items if objects.is_sequence else ():
        match [field.value for field in entry.items] if entry.is_sequence else []:
            case [int(class_id), int(), bytes(name), _]:
                yield class_id, name


def reference_of(reference: str) -> Reference:
    """`OBIS` (class guessed) or `CLASS/OBIS/ATTRIBUTE`; raise ConfigurationError for anything else."""
    parts = reference.split("/")
    if len(parts) == 1:
        obis = Obis.parse(reference)
        return Reference(Attribute(_likely_class(obis), obis, _VALUE), guessed=True)
    if len(parts) != _REFERENCE_PARTS or not (parts[0].isdecimal() and parts[2].removeprefix("-").isdecimal()):
        raise ConfigurationError(
            f"--obis {reference!r} names no attribute", next_step="write 1.0.1.8.0.255, or 3/1.0.1.8.0.255/2"
        )
    attribute = Attribute(int(parts[0]), Obis.parse(parts[1]), int(parts[2]))
    if attribute.class_id > _CLASS_MAX or not _INDEX_MIN <= attribute.index <= _INDEX_MAX:
        raise ConfigurationError(
            f"--obis {reference!r} names no attribute",
            next_step=f"a class is a number up to {_CLASS_MAX}, an attribute one from {_INDEX_MIN} to {_INDEX_MAX}",
        )
    return Reference(attribute, guessed=False)


def _likely_class(obis: Obis) -> int:
    medium, _, group, *_ = obis
    if obis == CLOCK_OBIS:
        return CLOCK.class_id
    if group in {98, 99}:  # lists and profiles (IEC 62056-6-1, 7.3)
        return PROFILE_GENERIC.class_id
    return REGISTER.class_id if medium else DATA.class_id


def _refusal(attribute: Attribute, refusal: AttributeRefusedError) -> dict[str, Any]:
    return {
        "obis": str(attribute.obis), "class_id": attribute.class_id, "attribute": attribute.index,
        "error": refusal.what, "next": refusal.next_step,
    }  # fmt: skip
