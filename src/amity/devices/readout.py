"""What a reader asks a meter for: its name, clock, registers with scaler and unit, and profiles with their layout."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from amity.devices.client.conversation import Conversation
from amity.devices.client.reading import LISTED_ATTRIBUTE_OCTETS, get, get_list, get_octets
from amity.devices.client.refusals import AttributeRefusedError
from amity.devices.client.session import Session
from amity.devices.interface_classes import CLOCK, DATA, EXTENDED_REGISTER, PROFILE_GENERIC, REGISTER
from amity.devices.objects import CaptureObject
from amity.devices.profiles import CLOCK_OBIS, ClockRules, Deviation, LoadProfileRules, Selector, Stamp
from amity.kernel.errors import RemoteProtocolError, RequestError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, Conformance, DataAccessResult
from amity.protocols.dlms.data import Data, Tag, octet_string
from amity.protocols.dlms.datetime import OCTETS as DATE_TIME_OCTETS
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.profile_buffer import TemplateCache, decode_columns
from amity.protocols.dlms.profile_columns import EMPTY, ClockReading, ProfileColumns
from amity.protocols.dlms.selective_access import Access, EntryAccess, RangeAccess

LOGICAL_DEVICE_NAME = Attribute(DATA.class_id, Obis.parse("0.0.42.0.0.255"), 2)
CLOCK_TIME = Attribute(CLOCK.class_id, CLOCK_OBIS, 2)

_VALUE, _SCALER_UNIT = 2, 3
_SCALED_CLASSES = frozenset({REGISTER.class_id, EXTENDED_REGISTER.class_id})
_CAPTURE_TIME = EXTENDED_REGISTER.index_of("capture_time")
_CAPTURE_OBJECTS = PROFILE_GENERIC.index_of("capture_objects")
_CAPTURE_PERIOD = PROFILE_GENERIC.index_of("capture_period")
_ENTRIES_IN_USE = PROFILE_GENERIC.index_of("entries_in_use")
_ENTRIES_SPARE = 2  # rows more than the clocks say, for a meter whose clock is ahead
_OBIS_OCTETS = 6
_NO_ROWS = bytes([Tag.ARRAY, 0])


class ScalerUnit(NamedTuple):
    """A value stands for value x 10**scaler of the unit (COSEM unit code)."""

    scaler: int
    unit: int


ScalerUnits = Mapping[Attribute, ScalerUnit | None]
"""Scalers that are known already, by the attribute they scale; None for one that has none."""


class ClockReadout(NamedTuple):
    """What the meter's clock showed; `evidence` are positions in the session's exchanges."""

    time: CosemDateTime
    evidence: tuple[int, ...]

    def to_utc(self, rules: ClockRules) -> datetime:
        """The instant in aware UTC; raise RemoteProtocolError when the clock names none."""
        return self.time.to_utc(rules.default_deviation_min, deviation_inverted=rules.deviation_inverted)


class RegisterReadout(NamedTuple):
    """One register: value or refusal, scaler and unit (None: none known), and for class 4 when it was captured."""

    attribute: Attribute
    value: Data | DataAccessResult
    scaler_unit: ScalerUnit | None
    captured_at: CosemDateTime | None
    evidence: tuple[int, ...]


class FirstReadout(NamedTuple):
    """What a session begins with."""

    name: str
    clock: ClockReadout
    registers: tuple[RegisterReadout, ...]


class ProfileLayout(NamedTuple):
    """What the columns of a profile are; the same for every meter of a model with the same configuration."""

    obis: Obis
    capture_objects: tuple[CaptureObject, ...]
    scaler_units: tuple[ScalerUnit | None, ...]
    capture_period_s: int

    @property
    def clock_column(self) -> int | None:
        """The column that holds the row's time, None when the clock is not captured."""
        clocks = (place for place, capture in enumerate(self.capture_objects) if capture.class_id == CLOCK.class_id)
        return next(clocks, None)

    def narrowed(self, places: Sequence[int]) -> "ProfileLayout":
        """The layout of these columns alone, in this order; raise RequestError for a column that is not there."""
        if not all(0 <= place < len(self.capture_objects) for place in places):
            raise RequestError(f"profile {self.obis} has columns 0 to {len(self.capture_objects) - 1}, not {places}")
        return self._replace(
            capture_objects=tuple(self.capture_objects[place] for place in places),
            scaler_units=tuple(self.scaler_units[place] for place in places),
        )


class ProfileReadout(NamedTuple):
    """Rows of a profile as octets (`raw`, the A-XDR of the buffer), with the layout that explains them.

    There may be rows outside the range asked for: a meter that answers by entry gives what lies around it.
    """

    layout: ProfileLayout
    raw: bytes
    evidence: tuple[int, ...]

    def columns(
        self,
        clock: ClockRules,
        *,
        null_timestamps: bool = False,
        templates: TemplateCache | None = None,
        model: str = "",
    ) -> ProfileColumns:
        """The rows as columns, times in UTC epoch seconds; raise RemoteProtocolError when they do not decode.

        Args:
            clock: how this meter writes time.
            null_timestamps: a time sent as null-data is the row before plus one capture period.
            templates: a cache of row templates; None compiles one for this buffer alone.
            model: the name under which this shape is kept in the cache.
        """
        if self.raw == _NO_ROWS:
            return EMPTY
        reading = ClockReading(
            default_deviation_min=clock.default_deviation_min,
            deviation_inverted=clock.deviation_inverted,
            capture_period_s=self.layout.capture_period_s if null_timestamps else None,
            column=self.layout.clock_column,
        )
        if templates is None:
            return decode_columns(self.raw, reading)
        return templates.decode(self.shape(model), self.raw, reading)

    def shape(self, model: str) -> str:
        """The name under which `columns` keeps the template of these rows."""
        return f"{model} {self.layout.obis}"


# ------------------------------------------------------------------ conversations
def read_logical_device_name(session: Session) -> Conversation[str]:
    """The meter's name; raise RemoteProtocolError when it is no text."""
    return _name((yield from get(session, LOGICAL_DEVICE_NAME)))


def read_clock(session: Session) -> Conversation[ClockReadout]:
    """The meter's time as it shows it."""
    before = len(session.exchanges)
    time = _time((yield from get(session, CLOCK_TIME)))
    return ClockReadout(time, _since(session, before))


def read_registers(
    session: Session, registers: Sequence[tuple[int, Obis]], known: ScalerUnits | None = None
) -> Conversation[tuple[RegisterReadout, ...]]:
    """Values of objects (class id, logical name) of classes 1, 3 and 4, each with scaler and unit where it has one.

    `known` saves reading scalers again that do not change between sessions.
    """
    before = len(session.exchanges)
    values, wanted = _asked_of(registers, known or {})
    answers = dict(zip(wanted, (yield from get_list(session, wanted)), strict=True))
    evidence = _since(session, before)
    return tuple(_register(value, answers, known or {}, evidence) for value in values)


def read_in_one_request(session: Session, registers: Sequence[tuple[int, Obis]]) -> Conversation[FirstReadout] | None:
    """Name, clock and registers with one GET with-list; None where the meter was not granted one of that length.

    The conversation raises AttributeRefusedError when the meter gives no name or no time, and as the functions do that
    read each by itself.
    """
    values, wanted = _asked_of(registers, {})
    listed = [LOGICAL_DEVICE_NAME, CLOCK_TIME, *wanted]
    return (
        _first_readout(session, values, listed) if len(listed) <= session.list_parts(LISTED_ATTRIBUTE_OCTETS) else None
    )


def _first_readout(
    session: Session, values: Sequence[Attribute], listed: Sequence[Attribute]
) -> Conversation[FirstReadout]:
    before = len(session.exchanges)
    name, time, *rest = yield from get_list(session, listed)
    answers, evidence = dict(zip(listed[2:], rest, strict=True)), _since(session, before)
    return FirstReadout(
        _name(_given(LOGICAL_DEVICE_NAME, name)),
        ClockReadout(_time(_given(CLOCK_TIME, time)), evidence),
        tuple(_register(value, answers, {}, evidence) for value in values),
    )


def read_profile_layout(session: Session, obis: Obis) -> Conversation[ProfileLayout]:
    """Capture objects, their scalers and units, and the capture period of a profile."""
    definitions = yield from get(session, Attribute(PROFILE_GENERIC.class_id, obis, _CAPTURE_OBJECTS))
    period = yield from get(session, Attribute(PROFILE_GENERIC.class_id, obis, _CAPTURE_PERIOD))
    captures = _capture_objects(definitions)
    scaled = [place for place, capture in enumerate(captures) if capture.class_id in _SCALED_CLASSES]
    wanted = [Attribute(captures[place].class_id, captures[place].obis, _SCALER_UNIT) for place in scaled]
    answers = dict(zip(scaled, (yield from get_list(session, wanted)), strict=True))
    return ProfileLayout(
        obis,
        captures,
        tuple(_scaler_unit(answers.get(place)) for place in range(len(captures))),
        period.value if _is_number(period.value) else 0,
    )


def read_profile(
    session: Session,
    layout: ProfileLayout,
    start: datetime,
    end: datetime,
    *,
    clock: ClockRules,
    access: Sequence[Selector],
    now: datetime,
    columns: Sequence[int] = (),
) -> Conversation[ProfileReadout]:
    """Rows whose stamp lies from `start` to `end`, both included, by the best access the meter understands.

    By range where it can; by entry counted back from the newest row (`now` says how many there can be since `start`);
    the whole buffer where it can neither, or did not grant selective access. `columns` are the places of those wanted
    (none: all), the clock's among them; by entry those between them come too, and a whole buffer has all: the layout of
    the readout says which there are.
    """
    before = len(session.exchanges)
    narrow = layout.narrowed(columns) if columns else layout
    selected: Access | None = None
    if Conformance.SELECTIVE_ACCESS not in session.conformance:
        access = ()
    if Selector.RANGE in access and layout.clock_column is not None:
        selected = _range(layout, layout.clock_column, start, end, clock)
        if columns:
            selected = selected._replace(columns=tuple(capture.definition() for capture in narrow.capture_objects))
    elif Selector.ENTRY in access and layout.capture_period_s > 0:
        selected = yield from _newest_entries(session, layout, now - start)
        if columns:
            narrow = layout.narrowed(range(min(columns), max(columns) + 1))
            selected = selected._replace(from_column=min(columns) + 1, to_column=max(columns) + 1)
    else:
        narrow = layout
    buffer = Attribute(PROFILE_GENERIC.class_id, layout.obis, PROFILE_GENERIC.index_of("buffer"))
    raw = yield from get_octets(session, buffer, selected)
    return ProfileReadout(narrow, raw, _since(session, before))


def _newest_entries(session: Session, layout: ProfileLayout, span: timedelta) -> Conversation[EntryAccess]:
    in_use = yield from get(session, Attribute(PROFILE_GENERIC.class_id, layout.obis, _ENTRIES_IN_USE))
    rows = max(span // timedelta(seconds=layout.capture_period_s), 0) + _ENTRIES_SPARE
    newest = in_use.value if _is_number(in_use.value) else rows
    return EntryAccess(max(newest - rows + 1, 1), 0)


# ------------------------------------------------------------------ intervals and stamps
def stamp_range(start: datetime, end: datetime, rules: LoadProfileRules) -> tuple[datetime, datetime]:
    """First and last stamp of the intervals that lie in [start, end), for `read_profile`."""
    period = timedelta(seconds=rules.capture_period_s)
    return (start + period, end) if rules.stamp is Stamp.END else (start, end - period)


def interval_starts(timestamps_s: NDArray[np.int64], rules: LoadProfileRules) -> NDArray[np.int64]:
    """Epoch seconds UTC at which each row's interval starts, from the stamps of the rows (int64[n] to int64[n])."""
    return timestamps_s - rules.capture_period_s if rules.stamp is Stamp.END else timestamps_s


def meter_time(instant: datetime, rules: ClockRules) -> CosemDateTime:
    """An instant as this meter writes it: local standard time, its deviation said or left open."""
    written = CosemDateTime.from_utc(instant, rules.default_deviation_min)
    if rules.deviation is Deviation.UNSPECIFIED:
        return written._replace(deviation_min=None)
    return written._replace(deviation_min=-rules.default_deviation_min) if rules.deviation_inverted else written


def _range(layout: ProfileLayout, column: int, start: datetime, end: datetime, clock: ClockRules) -> RangeAccess:
    first, last = (octet_string(meter_time(bound, clock.of_ranges).to_octets()) for bound in (start, end))
    return RangeAccess(layout.capture_objects[column].definition(), first, last)


# ------------------------------------------------------------------ reading answers
def _since(session: Session, before: int) -> tuple[int, ...]:
    return tuple(range(before, len(session.exchanges)))


def _given(attribute: Attribute, answer: Data | DataAccessResult) -> Data:
    if isinstance(answer, DataAccessResult):
        raise AttributeRefusedError(attribute, answer)
    return answer


def _name(data: Data) -> str:
    name = data.value
    if isinstance(name, bytes) and name.isascii():
        return name.decode("ascii")
    if isinstance(name, str):
        return name
    raise RemoteProtocolError(f"the logical device name is no text: {data!r}", tried=f"GET {LOGICAL_DEVICE_NAME}")


def _time(data: Data) -> CosemDateTime:
    if isinstance(data.value, bytes):
        return CosemDateTime.from_octets(data.value)
    raise RemoteProtocolError(f"the clock's time is no date-time: {data!r}", tried=f"GET {CLOCK_TIME}")


def _asked_of(registers: Sequence[tuple[int, Obis]], known: ScalerUnits) -> tuple[list[Attribute], list[Attribute]]:
    """The value attributes of these objects, and all that is to be asked for: values, scalers, capture times."""
    values = [Attribute(class_id, obis, _VALUE) for class_id, obis in registers]
    scaled = [value for value in values if value.class_id in _SCALED_CLASSES and value not in known]
    dated = [value for value in values if value.class_id == EXTENDED_REGISTER.class_id]
    wanted = [*values, *(_sibling(value, _SCALER_UNIT) for value in scaled)]
    return values, wanted + [_sibling(value, _CAPTURE_TIME) for value in dated]


def _sibling(value: Attribute, index: int) -> Attribute:
    return Attribute(value.class_id, value.obis, index)


def _register(
    value: Attribute,
    answers: Mapping[Attribute, Data | DataAccessResult],
    known: ScalerUnits,
    evidence: tuple[int, ...],
) -> RegisterReadout:
    scaler_unit = known[value] if value in known else _scaler_unit(answers.get(_sibling(value, _SCALER_UNIT)))
    captured_at = _date_time(answers.get(_sibling(value, _CAPTURE_TIME)))
    return RegisterReadout(value, answers[value], scaler_unit, captured_at, evidence)


def _date_time(answer: Data | DataAccessResult | None) -> CosemDateTime | None:
    """None where the meter says no time or something that is none: the register's value stands without it."""
    if isinstance(answer, Data) and isinstance(answer.value, bytes) and len(answer.value) == DATE_TIME_OCTETS:
        return CosemDateTime.from_octets(answer.value)
    return None


def _scaler_unit(answer: Data | DataAccessResult | None) -> ScalerUnit | None:
    """None where the meter has no scaler, refuses it, or sends something else: the value is then kept as it came."""
    match [field.value for field in _items(answer)] if isinstance(answer, Data) else []:
        case [int(scaler), int(unit)]:
            return ScalerUnit(scaler, unit)
    return None


def _capture_objects(definitions: Data) -> tuple[CaptureObject, ...]:
    captures = tuple(_capture_object(_items(definition)) for definition in _items(definitions))
    if not captures:
        raise RemoteProtocolError("the meter's profile captures nothing", tried="GET capture_objects")
    return captures


def _capture_object(fields: tuple[Data, ...]) -> CaptureObject:
    match [field.value for field in fields]:
        case [int(class_id), bytes(name), int(index), int(data_index)] if len(name) == _OBIS_OCTETS:
            return CaptureObject(class_id, Obis(name), index, data_index)
    raise RemoteProtocolError(f"a capture object cannot be read: {fields!r}", tried="GET capture_objects")


def _items(data: Data) -> tuple[Data, ...]:
    return tuple(item for item in data.value if isinstance(item, Data)) if isinstance(data.value, tuple) else ()


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
