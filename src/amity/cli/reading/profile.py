"""The profile that `amity read` shows: by the rules of the model where we know it, by what the meter says where not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from amity.cli.reading.values import printable, scaled, shown_octets, symbol
from amity.devices.client import AttributeRefusedError, Conversation, Session, get
from amity.devices.interface_classes import CLOCK
from amity.devices.profiles import (
    CLOCK_OBIS,
    ClockEncoding,
    ClockRules,
    Deviation,
    DeviceProfile,
    Selector,
)
from amity.devices.readout import ProfileLayout, ProfileReadout, read_profile, read_profile_layout
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, from_epoch_s, isoformat
from amity.protocols.dlms.apdu import Attribute, DataAccessResult
from amity.protocols.dlms.profile_columns import ProfileColumns

_LOAD_PROFILE = Obis.parse("1.0.99.1.0.255")
_TIME_ZONE = 3
_NO_SUCH_ACCESS = {DataAccessResult.SCOPE_OF_ACCESS_VIOLATED, DataAccessResult.TYPE_UNMATCHED}


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """Which profile (None: the model's load profile) from `start` to `end`; `now` says how far back that is.

    `models` are those that the meter may be; one alone is what it is, whatever its name.
    """

    obis: Obis | None
    start: datetime
    end: datetime
    now: datetime
    models: tuple[DeviceProfile, ...]

    def model_of(self, logical_device_name: str) -> DeviceProfile | None:
        """The model that the meter is; None where its name tells none, or more than one of a maker's."""
        if len(self.models) == 1:
            return self.models[0]
        fits = [(_known_letters(model, logical_device_name), model) for model in self.models]
        longest = max((letters for letters, _ in fits), default=0)
        best = [model for letters, model in fits if letters == longest]
        return best[0] if longest and len(best) == 1 else None


def _known_letters(model: DeviceProfile, name: str) -> int:
    """How much of the head of a name a model is known by; mostly the maker's three letters."""
    return max((len(head) for head in model.recognised_by.names if name.startswith(head)), default=0)


def read_rows(session: Session, wanted: ProfileRequest, name: str) -> Conversation[tuple[list[str], list[list[Any]]]]:
    """Titles and rows whose time lies in the span; times are UTC. `name` is the meter's logical device name."""
    model = wanted.model_of(name)
    obis = wanted.obis or (model.load_profile.obis if model else _LOAD_PROFILE)
    clock = model.clock if model else (yield from _told_clock(session))
    layout = yield from read_profile_layout(session, obis)
    readout = yield from _readout(session, layout, wanted, clock, model)
    columns = readout.columns(clock, null_timestamps=layout.capture_period_s > 0)
    return _titles(layout), _rows(layout, columns, wanted)


def _told_clock(session: Session) -> Conversation[ClockRules]:
    """Of a model we do not know: the time zone of its clock stands in where a time leaves its deviation open."""
    plain = ClockRules(ClockEncoding.OCTET_STRING, Deviation.SPECIFIED, 0, deviation_inverted=False)
    try:
        zone = yield from get(session, Attribute(CLOCK.class_id, CLOCK_OBIS, _TIME_ZONE))
    except AttributeRefusedError:
        return plain
    return replace(plain, standard_offset_min=-zone.value) if isinstance(zone.value, int) else plain


def _readout(
    session: Session, layout: ProfileLayout, wanted: ProfileRequest, clock: ClockRules, model: DeviceProfile | None
) -> Conversation[ProfileReadout]:
    """By range; where the meter understands only entry numbers, by those."""
    ways: Sequence[Selector] = model.load_profile.access if model else (Selector.RANGE, Selector.ENTRY)
    for way in ways[:-1]:
        try:
            return (yield from _by(session, layout, wanted, clock, (way,)))
        except AttributeRefusedError as refusal:
            if refusal.result not in _NO_SUCH_ACCESS:
                raise
    return (yield from _by(session, layout, wanted, clock, ways[-1:]))


def _by(
    session: Session, layout: ProfileLayout, wanted: ProfileRequest, clock: ClockRules, ways: Sequence[Selector]
) -> Conversation[ProfileReadout]:
    return (
        yield from read_profile(session, layout, wanted.start, wanted.end, clock=clock, access=ways, now=wanted.now)
    )


def _titles(layout: ProfileLayout) -> list[str]:
    units = (f" {symbol(scale)}".rstrip() if scale else "" for scale in layout.scaler_units)
    return [f"{capture.obis}{unit}" for capture, unit in zip(layout.capture_objects, units, strict=True)]


def _rows(layout: ProfileLayout, columns: ProfileColumns, wanted: ProfileRequest) -> list[list[Any]]:
    shown = [_column(number, layout, columns) for number in range(len(columns.columns))]
    if layout.clock_column is None:
        return [list(row) for row in zip(*shown, strict=True)]
    first, last = epoch_s(wanted.start), epoch_s(wanted.end)
    inside = np.flatnonzero((columns.timestamps_s >= first) & (columns.timestamps_s <= last)).tolist()
    return [[column[row] for column in shown] for row in inside]


def _column(number: int, layout: ProfileLayout, columns: ProfileColumns) -> list[Any]:
    values = columns.columns[number]
    if number == layout.clock_column:
        return [isoformat(from_epoch_s(int(second))) for second in columns.timestamps_s]
    missing, scale = columns.missing[number], layout.scaler_units[number]
    cells = values if isinstance(values, list) else values.tolist()
    shown = [scaled(cell, scale) if scale and isinstance(cell, int) else _cell(cell) for cell in cells]
    return shown if missing is None else [None if gone else cell for gone, cell in zip(missing, shown, strict=True)]


def _cell(cell: object) -> Any:
    if isinstance(cell, bytes):
        return shown_octets(cell)
    return cell if isinstance(cell, int | float | None) else printable(str(cell))
