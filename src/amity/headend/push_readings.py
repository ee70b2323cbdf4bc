"""What a meter sent unasked, as the same readings that a session would have brought.

A push is treated as a profile of one row: its objects are the columns, its time is the clock column. So mapping,
scalers, status bits and the grid mean in a push exactly what they mean when the profile is read.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from amity.devices.objects import CaptureObject
from amity.devices.profiles import CLOCK_OBIS, DeviceProfile, Stamp
from amity.devices.push import normalise, normalise_event
from amity.devices.push_body import read_body
from amity.devices.push_reading import NormalisedReading
from amity.devices.readout import LOGICAL_DEVICE_NAME, ProfileLayout, ProfileReadout, ScalerUnit
from amity.headend.event_catalogue import EventCatalogue
from amity.headend.mapping import Kind, Mapping, Place
from amity.headend.normalise import Normalised, Normaliser, ProfileBuffer
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
_EVIDENCE: Final = (0,)
_CLOCK_TOLERANCE_S: Final = 60


def readings_of(notification: Notification) -> tuple[NormalisedReading, ...]:
    """Everything the notification holds, in its order; raise RemoteProtocolError when its body does not decode."""
    if isinstance(notification, EventNotification):
        return normalise_event(notification)
    return normalise(read_body(notification.raw).data).readings  # lenient: some meters leave type tags out


def meter_named_in(readings: Sequence[NormalisedReading]) -> str | None:
    """The logical device name among them, None when the push does not say who sent it."""
    names = (one.value for one in readings if one.obis == LOGICAL_DEVICE_NAME.obis)
    return next((name for name in names if isinstance(name, str)), None)


def normalised_push(
    notification: Notification,
    readings: Sequence[NormalisedReading],
    profile: DeviceProfile,
    mapping: Mapping,
    now: datetime,
    catalogue: EventCatalogue | None = None,
) -> Normalised:
    """The canonical readings of one push; raise RemoteProtocolError when its time is none.

    Values that fall on the grid of the load profile are intervals, others are values at an instant; a code of the event
    log is an event.
    """
    normaliser = Normaliser(profile, mapping, catalogue)
    row = _one_row(notification, readings, profile, now)
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
        ahead = end_s > epoch_s(now) + _CLOCK_TOLERANCE_S
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
    readout = ProfileReadout(layout, raw, _EVIDENCE)
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
