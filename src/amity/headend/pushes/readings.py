"""What a meter sent unasked, as the same readings that a session would have brought.

A push is treated as a profile of one row: its objects are the columns, its time is the clock column. So mapping,
scalers, status bits and the grid mean in a push exactly what they mean when the profile is read.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple, Protocol, Self

from amity.devices.objects import CaptureObject
from amity.devices.profiles import CLOCK_OBIS, DeviceProfile, Stamp
from amity.devices.push import normalise, normalise_event
from amity.devices.push_body import read_body
from amity.devices.push_reading import NormalisedReading
from amity.devices.push_shape import Cut, PushShape, shape_of
from amity.devices.readout import LOGICAL_DEVICE_NAME, ProfileLayout, ProfileReadout, ScalerUnit
from amity.headend.event_catalogue import EventCatalogue
from amity.headend.mapping import Kind, Mapping, Place
from amity.headend.normalise import Normalised, Normaliser, ProfileBuffer
from amity.headend.pushes.plan import CLOCK_TOLERANCE_S, EVIDENCE, PushPlan
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.protocols.dlms.apdu import DataNotification, EventNotification
from amity.protocols.dlms.data import Data, Tag, array, encode, octet_string, structure, utf8_string
from amity.protocols.dlms.datetime import CosemDateTime

Notification = DataNotification | EventNotification

PUSH_BODY: Final = Obis.parse("0.0.25.9.0.255")
"""The name under which a value of a push that has no name itself is kept: Push setup (IEC 62056-6-2, 4.4.8)."""
_CLASS_CLOCK: Final = 8
_ANY_CLASS: Final = 0
_VALUE: Final = 2
_OCTET: Final = 0xFF  # attributes below zero are the manufacturer's own: kept as the octet that named them
_LENGTHS_MAX: Final = 256
_SHAPES_OF_LENGTH_MAX: Final = 8


class Content(Protocol):
    """What a push holds."""

    @property
    def meter_named(self) -> str | None:
        """The logical device name in it, None when the push does not say who sent it."""
        ...

    def normalised(
        self, profile: DeviceProfile, mapping: Mapping, now: datetime, catalogue: EventCatalogue
    ) -> Normalised:
        """The canonical readings; raise RemoteProtocolError when its time is none.

        Values that fall on the grid of the load profile are intervals, others are values at an instant; a code of the
        event log is an event.
        """
        ...


class PushReader:
    """Reads pushes: one of a shape that was met before is cut by it, others are decoded and leave their shape."""

    def __init__(self) -> None:
        self._shapes: OrderedDict[int, list[_Planned]] = OrderedDict()

    def read(self, notification: Notification) -> Content:
        """Everything the notification holds; raise RemoteProtocolError when its body does not decode."""
        if isinstance(notification, EventNotification):
            return Decoded(notification, normalise_event(notification))
        body = notification.raw
        for planned in self._shapes.get(len(body), ()):
            cut = planned.shape.cut(body)
            if cut is not None:
                return _Shaped(planned, notification, cut)
        decoded = Decoded.of(notification)
        shape = shape_of(body, decoded.readings)
        if shape is not None:
            self._keep(shape)
        return decoded

    def _keep(self, shape: PushShape) -> None:
        """The newest of its length first; lengths and shapes that are met no more give way."""
        alike = self._shapes.setdefault(shape.octets, [])
        alike.insert(0, _Planned(shape))
        del alike[_SHAPES_OF_LENGTH_MAX:]
        self._shapes.move_to_end(shape.octets)
        if len(self._shapes) > _LENGTHS_MAX:
            self._shapes.popitem(last=False)


class _Planned:
    """A shape, and what it means for each model under the mapping in force."""

    def __init__(self, shape: PushShape) -> None:
        self.shape = shape
        self._plans: dict[str, tuple[DeviceProfile, Mapping, PushPlan]] = {}

    def plan(self, profile: DeviceProfile, mapping: Mapping) -> PushPlan:
        """Made anew when the profile or mapping is another one."""
        kept = self._plans.get(profile.key)
        if kept is None or kept[0] is not profile or kept[1] is not mapping:
            kept = self._plans[profile.key] = profile, mapping, PushPlan(self.shape, profile, mapping)
        return kept[2]


class _Shaped(NamedTuple):
    """A push that was cut by its shape."""

    planned: _Planned
    notification: DataNotification
    cut: Cut

    @property
    def meter_named(self) -> str | None:
        """See `Content`."""
        return self.cut.told_name

    def normalised(
        self, profile: DeviceProfile, mapping: Mapping, now: datetime, catalogue: EventCatalogue
    ) -> Normalised:
        """See `Content`."""
        planned = self.planned.plan(profile, mapping).normalised(self.notification.raw, self.cut, now)
        return planned or Decoded.of(self.notification).normalised(profile, mapping, now, catalogue)


class Decoded(NamedTuple):
    """A push that was decoded value by value."""

    notification: Notification
    readings: Sequence[NormalisedReading]

    @classmethod
    def of(cls, notification: DataNotification) -> Self:
        """Raise RemoteProtocolError when the body does not decode."""
        # lenient: some meters leave type tags out
        return cls(notification, normalise(read_body(notification.raw).data).readings)

    @property
    def meter_named(self) -> str | None:
        """See `Content`."""
        names = (one.value for one in self.readings if one.obis == LOGICAL_DEVICE_NAME.obis)
        return next((name for name in names if isinstance(name, str)), None)

    def normalised(
        self, profile: DeviceProfile, mapping: Mapping, now: datetime, catalogue: EventCatalogue
    ) -> Normalised:
        """See `Content`."""
        normaliser = Normaliser(profile, mapping, catalogue)
        row = _one_row(self.notification, self.readings, profile, now)
        if _holds_event_code(row, profile, mapping):
            normaliser.event_log(row)
        else:
            _values(normaliser, row, profile, now)
        normaliser.result.events = [replace(event, pushed=True) for event in normaliser.result.events]
        return normaliser.result


def _holds_event_code(row: ProfileBuffer, profile: DeviceProfile, mapping: Mapping) -> bool:
    rules = (mapping.rule_for(profile.key, Place.EVENT_LOG, met) for met in row.captures)
    return any(rule is not None and rule.kind is Kind.EVENT for rule in rules)


def _values(normaliser: Normaliser, row: ProfileBuffer, profile: DeviceProfile, now: datetime) -> None:
    """A row whose interval is not over yet comes from a clock that is ahead: it stands for another interval."""
    at_s, load = int(row.columns.timestamps_s[0]), profile.load_profile
    period_s = load.capture_period_s
    if at_s % period_s == 0:
        end_s = at_s if load.stamp is Stamp.END else at_s + period_s
        ahead = end_s > epoch_s(now) + CLOCK_TOLERANCE_S
        normaliser.load_profile(row, from_s=at_s - period_s, until_s=at_s + 1, suspect_clock=ahead)
    else:
        normaliser.billing_profile(row)


def _one_row(
    notification: Notification, readings: Sequence[NormalisedReading], profile: DeviceProfile, now: datetime
) -> ProfileBuffer:
    told = [one for one in readings if one.obis not in {LOGICAL_DEVICE_NAME.obis, CLOCK_OBIS}]
    clock = CaptureObject(_CLASS_CLOCK, CLOCK_OBIS, _VALUE)
    layout = ProfileLayout(
        PUSH_BODY,
        (
            clock,
            *(
                CaptureObject(one.class_id or _ANY_CLASS, one.obis or PUSH_BODY, (one.attribute or _VALUE) & _OCTET)
                for one in told
            ),
        ),
        (None, *map(_scaler_unit, told)),
        profile.load_profile.capture_period_s,
    )
    time = octet_string(_time(notification, readings, now).to_octets())
    raw = encode(array([structure(time, *map(_cell, told))]))
    readout = ProfileReadout(layout, raw, EVIDENCE)
    return ProfileBuffer(readout, readout.columns(profile.clock))


def _time(notification: Notification, readings: Sequence[NormalisedReading], now: datetime) -> CosemDateTime:
    """The clock among the values, else the time of the notification, else when it came."""
    inside = next((one.value for one in readings if one.obis == CLOCK_OBIS), None)
    if isinstance(inside, CosemDateTime):
        return inside
    outside = notification.time
    return outside if isinstance(outside, CosemDateTime) else CosemDateTime.from_utc(now)


def _scaler_unit(reading: NormalisedReading) -> ScalerUnit | None:
    scaling = reading.scaling or reading.assumed
    return None if scaling is None else ScalerUnit(scaling.scaler, int(scaling.unit))


def _cell(reading: NormalisedReading) -> Data:
    """The value as it travels; a text or time as the string it was read from."""
    match reading.value:
        case None:
            return Data(Tag.NULL)
        case Data() as data:
            return data
        case CosemDateTime() as time:
            return octet_string(time.to_octets())
        case bytes() as octets:
            return octet_string(octets)
        case str() as text:
            return utf8_string(text)
        case bool() | int() | float() as number if reading.tag is not None:
            return Data(reading.tag, number)
    raise RemoteProtocolError(f"a value of the push cannot be kept: {reading.value!r}")
