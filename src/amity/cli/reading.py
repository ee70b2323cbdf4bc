"""What `amity read` asks a meter for, and the answers as a person and a program want them."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

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
from amity.devices.interface_classes import ASSOCIATION_LN, CLOCK, DATA, PROFILE_GENERIC, REGISTER
from amity.devices.profiles import CLOCK_OBIS, ClockEncoding, ClockRules, Deviation, DeviceProfile, Selector
from amity.devices.readout import (
    ProfileLayout,
    RegisterReadout,
    ScalerUnit,
    read_logical_device_name,
    read_profile,
    read_profile_layout,
    read_registers,
)
from amity.kernel.errors import ConfigurationError, RemoteProtocolError, TransportError
from amity.kernel.obis import Obis
from amity.kernel.time import from_epoch_s, isoformat
from amity.kernel.units import Unit
from amity.protocols.dlms.apdu import Attribute, DataAccessResult
from amity.protocols.dlms.data import Data, to_json
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.profile_columns import ProfileColumns
from amity.transports.channel import MeterChannel

Result = TypeVar("Result")

_TOTAL_IMPORT = "1.0.1.8.0.255"
_VALUE = 2
_CURRENT_ASSOCIATION = Obis.parse("0.0.40.0.0.255")
_REFERENCE_PARTS = 3
_RELEASE_TIMEOUT_S = 2.0
_MISMATCHES = {DataAccessResult.OBJECT_UNDEFINED, DataAccessResult.OBJECT_CLASS_INCONSISTENT}


class ModelRules(NamedTuple):
    """What must be known of a model to read its profiles; `null_timestamps` None: whenever the profile has a period."""

    load_profile: Obis
    clock: ClockRules
    access: tuple[Selector, ...]
    null_timestamps: bool | None

    @classmethod
    def of(cls, profile: DeviceProfile) -> "ModelRules":
        """As a device profile has it."""
        rules = profile.load_profile
        return cls(rules.obis, profile.clock, rules.access, rules.null_timestamps)


PLAIN_METER = ModelRules(
    Obis.parse("1.0.99.1.0.255"),
    ClockRules(ClockEncoding.OCTET_STRING, Deviation.SPECIFIED, 0, deviation_inverted=False),
    (Selector.RANGE,),
    None,
)
"""Of a meter whose model is not known: times as the standard has them; where the deviation is left open, UTC."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to read: references as typed, and a profile with its span when `start` is given."""

    references: tuple[str, ...]
    profile: Obis
    start: datetime | None
    end: datetime
    model: ModelRules = PLAIN_METER


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meter said; `rows` is None when no profile was asked for."""

    name: str
    clock: str
    values: list[dict[str, Any]]
    columns: list[str]
    rows: list[list[Any]] | None

    @property
    def refused(self) -> bool:
        """True when the meter did not give everything."""
        return any("error" in value for value in self.values)

    def to_json(self) -> dict[str, Any]:
        """The whole reading as JSON values."""
        document: dict[str, Any] = {"logical_device_name": self.name, "clock": self.clock, "readings": self.values}
        if self.rows is not None:
            document["profile"] = {"columns": self.columns, "rows": self.rows}
        return document


async def read_meter(
    channel: MeterChannel, settings: AssociationSettings, ports: Ports, request: Request, *, timeout_s: float
) -> Reading:
    """Associate, read, release."""
    return await in_association(
        channel, settings, ports, lambda session: _read(session, request), timeout_s=timeout_s
    )  # fmt: skip


async def in_association(
    channel: MeterChannel,
    settings: AssociationSettings,
    ports: Ports,
    talk: Callable[[Session], Conversation[Result]],
    *,
    timeout_s: float,
) -> Result:
    """Associate, talk, release; a meter that waits for a higher invocation counter is given it once."""
    counter = RisingCounter(ports.next_invocation_counter())
    session = await channel.run(associate_in_step(settings, ports, counter), timeout_s)
    result = await channel.run(talk(session), timeout_s)
    with contextlib.suppress(TransportError):  # many meters just close, or stay silent, when released
        await channel.run(release(session), min(timeout_s, _RELEASE_TIMEOUT_S))
    return result


def _read(session: Session, request: Request) -> Conversation[Reading]:
    name = yield from read_logical_device_name(session)
    clock = yield from get(session, Attribute(CLOCK.class_id, CLOCK_OBIS, _VALUE))
    values: list[dict[str, Any]] = []
    for reference in request.references or (_TOTAL_IMPORT,):
        values += [(yield from _value(session, reference))]
    if request.start is None:
        return Reading(name, str(_shown(clock)), values, [], None)
    columns, rows = yield from _profile(session, request, request.start)
    return Reading(name, str(_shown(clock)), values, columns, rows)


# ------------------------------------------------------------------ single attributes
def _value(session: Session, reference: str) -> Conversation[dict[str, Any]]:
    """One attribute; when our guess of its class does not fit, the meter's object list says the class."""
    attribute, guessed = _parse_reference(reference)
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
    if attribute.index == _VALUE and attribute.class_id == REGISTER.class_id:
        (register,) = yield from read_registers(session, [(attribute.class_id, attribute.obis)])
        return _shown_register(register)
    data = yield from get(session, attribute)
    return {
        "obis": str(attribute.obis),
        "class_id": attribute.class_id,
        "attribute": attribute.index,
        "value": _shown(data),
    }


def _shown_register(register: RegisterReadout) -> dict[str, Any]:
    attribute = register.attribute
    if isinstance(register.value, DataAccessResult):
        raise AttributeRefusedError(attribute, register.value)
    shown = {"obis": str(attribute.obis), "class_id": attribute.class_id, "attribute": attribute.index}
    raw, scale = register.value.value, register.scaler_unit
    if scale is None or not isinstance(raw, int):
        return shown | {"value": _shown(register.value)}
    return shown | {"value": _scaled(raw, scale), "unit": _symbol(scale), "raw": raw, "scaler": scale.scaler}


def _class_of(session: Session, obis: Obis) -> Conversation[int | None]:
    objects = yield from get(session, Attribute(ASSOCIATION_LN.class_id, _CURRENT_ASSOCIATION, _VALUE))
    return next((class_id for class_id, name in _listed(objects) if name == obis), None)


def _listed(objects: Data) -> Iterator[tuple[int, bytes]]:
    """Class and logical name of each entry of an object_list."""
    for entry in objects.value if isinstance(objects.value, tuple) else ():
        match [field.value for field in entry.value] if isinstance(entry.value, tuple) else []:
            case [int(class_id), int(), bytes(name), _]:
                yield class_id, name


def _parse_reference(reference: str) -> tuple[Attribute, bool]:
    """`OBIS` (class guessed) or `CLASS/OBIS/ATTRIBUTE`; raise ConfigurationError for anything else."""
    parts = reference.split("/")
    if len(parts) == 1:
        obis = Obis.parse(reference)
        return Attribute(_likely_class(obis), obis, _VALUE), True
    if len(parts) != _REFERENCE_PARTS or not (parts[0].isdecimal() and parts[2].removeprefix("-").isdecimal()):
        raise ConfigurationError(
            f"--obis {reference!r} names no attribute", next_step="write 1.0.1.8.0.255, or 3/1.0.1.8.0.255/2"
        )
    return Attribute(int(parts[0]), Obis.parse(parts[1]), int(parts[2])), False


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


# ------------------------------------------------------------------ profile
def _profile(session: Session, request: Request, start: datetime) -> Conversation[tuple[list[str], list[list[Any]]]]:
    model = request.model
    layout = yield from read_profile_layout(session, request.profile)
    readout = yield from read_profile(
        session, layout, start, request.end, clock=model.clock, access=model.access, now=request.end
    )
    nulls = layout.capture_period_s > 0 if model.null_timestamps is None else model.null_timestamps
    columns = readout.columns(model.clock, null_timestamps=nulls)
    return _titles(layout), _rows(layout, columns)


def _titles(layout: ProfileLayout) -> list[str]:
    units = (f" {_symbol(scale)}".rstrip() if scale else "" for scale in layout.scaler_units)
    return [f"{capture.obis}{unit}" for capture, unit in zip(layout.capture_objects, units, strict=True)]


def _rows(layout: ProfileLayout, columns: ProfileColumns) -> list[list[Any]]:
    shown = [_column(number, layout, columns) for number in range(len(columns.columns))]
    return [list(row) for row in zip(*shown, strict=True)]


def _column(number: int, layout: ProfileLayout, columns: ProfileColumns) -> list[Any]:
    values = columns.columns[number]
    if number == layout.clock_column:
        return [isoformat(from_epoch_s(int(second))) for second in columns.timestamps_s]
    missing, scale = columns.missing[number], layout.scaler_units[number]
    cells = values if isinstance(values, list) else values.tolist()
    shown = [_scaled(cell, scale) if scale and isinstance(cell, int) else _cell(cell) for cell in cells]
    return shown if missing is None else [None if gone else cell for gone, cell in zip(missing, shown, strict=True)]


# ------------------------------------------------------------------ values
def _shown(data: Data) -> Any:
    """Text where octets are text, a time where they are one, otherwise JSON with the type's name."""
    value = data.value
    if isinstance(value, bytes):
        return _octets(value)
    return value if isinstance(value, int | float | str | None) else to_json(data)


def _octets(value: bytes) -> str:
    if len(value) == 12:  # noqa: PLR2004 - a COSEM date-time
        try:
            return str(CosemDateTime.from_octets(value))
        except RemoteProtocolError:
            return value.hex()
    return value.decode() if value.isascii() and value.decode().isprintable() else value.hex()


def _cell(cell: object) -> Any:
    return _octets(cell) if isinstance(cell, bytes) else cell if isinstance(cell, int | float | None) else str(cell)


def _scaled(raw: int, scale: ScalerUnit) -> int | float:
    number = Decimal(raw).scaleb(scale.scaler)
    return int(number) if number == number.to_integral_value() else float(number)


def _symbol(scale: ScalerUnit) -> str:
    try:
        return Unit(scale.unit).symbol
    except ValueError:
        return f"unit {scale.unit}"
