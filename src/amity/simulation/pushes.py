"""What simulated meters send unasked: alarms when something happens, and each interval when it is over."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np

from amity.devices.interface_classes import EXTENDED_REGISTER, REGISTER
from amity.devices.notifications import PushSealing, confirmed_number, data_notification, event_notification
from amity.devices.objects import CaptureObject, scaler_unit
from amity.devices.profiles import CLOCK_COLUMN, CLOCK_OBIS, MeasuredObject
from amity.devices.settings import Ciphering
from amity.kernel.errors import AmityError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, from_epoch_s
from amity.protocols.dlms.apdu import Attribute
from amity.protocols.dlms.data import Data, array, decode_all, encode, long_unsigned, octet_string, structure
from amity.protocols.wrapper import frame as wrapper
from amity.simulation.cosem_objects import LAST_EVENT_CODE, LOGICAL_DEVICE_NAME
from amity.simulation.counters import MeterCounter
from amity.simulation.happenings import Happening
from amity.simulation.meter import SimulatedMeter
from amity.simulation.stamps import date_times

_PRIORITY_HIGH = 0x80000000  # bit 31 of long-invoke-id-and-priority
_INVOKE_ID_MAX = 0xFFFFFF
_WAITING_MAX = 64
_LAST_EVENT = Attribute(1, LAST_EVENT_CODE, 2)
_SCALED = frozenset({REGISTER.class_id, EXTENDED_REGISTER.class_id})
_VALUE = 2

Read = Callable[[CaptureObject], Data | None]
"""The value of a captured attribute, None when there is none."""


class Pusher:
    """Builds one meter's pushes as wrapper frames; `counter` is the one its answers use too.

    `advance` lets the meter's limiter, calendar and account go on until an instant: the row shows what they switched.

    `confirmed`: a DataNotification asks for a confirmation. One that is not confirmed keeps its number when it is built
    anew, under a new counter; so whoever has it already can tell.
    """

    def __init__(
        self,
        meter: SimulatedMeter,
        counter: MeterCounter,
        *,
        confirmed: bool = False,
        advance: Callable[[datetime], None] | None = None,
    ) -> None:
        self._meter = meter
        self._advance = advance
        self._confirmed = confirmed
        self._waiting: dict[bytes, int] = {}
        rules = meter.profile.association
        self._sealing = (
            None
            if rules.ciphering is Ciphering.NONE
            else PushSealing(
                meter.keys.held_by_meter(meter.own_guek, None),
                meter.system_title,
                rules.protection,
                counter,
                Ciphering.GENERAL if rules.ciphering is Ciphering.GENERAL else Ciphering.GENERAL_GLO,
            )
        )
        self._sent = 0

    def alarm(self, happening: Happening) -> bytes | None:
        """The frame that tells of it, None when this maker has no code for it.

        A ciphering meter sends an EventNotification in general-glo, whose header names the sender; a plain one sends a
        DataNotification with its name inside, because a bare EventNotification would not say from whom it comes.
        """
        code = self._meter.profile.event_log.code_of(happening.kind)
        if code is None:
            return None
        time = self._stamp(happening.at_s)  # the event log's own: it is one event, however it is told
        if self._sealing is not None:
            event = event_notification(_LAST_EVENT, long_unsigned(code), date_time=time, sealing=self._sealing)
            return self._framed(event)
        named = (self._name(), _valued(CLOCK_OBIS, octet_string(time)), _valued(LAST_EVENT_CODE, long_unsigned(code)))
        return self._framed(self._notification(time, array(named)))

    def interval(self, start_s: int, now: datetime) -> bytes | None:
        """The frame with the load profile's row of the interval that starts at `start_s`, None where there is none."""
        if self._advance is not None:
            self._advance(now)
        row = self._meter.rows.of_interval(start_s)
        if row is None:
            return None
        body = array((self._name(), *self._columns(decode_all(row).items)))
        return self._framed(self._notification(self._time(epoch_s(now)), body))

    def of_objects(self, objects: Iterable[CaptureObject], read: Read, now: datetime) -> bytes:
        """The frame with these attributes as they are now; those that the meter does not have are left out."""
        elements = (self._described(wanted, read) for wanted in objects)
        body = array(element for element in elements if element is not None)
        return self._framed(self._notification(self._time(epoch_s(now)), body))

    def _described(self, wanted: CaptureObject, read: Read) -> Data | None:
        """One element: a register says its scaler and unit, where it has any."""
        if wanted.obis == LOGICAL_DEVICE_NAME:
            return self._name()
        value = read(wanted)
        if value is None:
            return None
        is_scaled = wanted.class_id in _SCALED and wanted.attribute == _VALUE
        scale = read(replace(wanted, attribute=_VALUE + 1)) if is_scaled else None
        return _valued(wanted.obis, value) if scale is None else structure(*_valued(wanted.obis, value).items, scale)

    def _columns(self, cells: tuple[Data, ...]) -> Iterator[Data]:
        for name, value in zip(self._meter.profile.load_profile.columns, cells, strict=True):
            if name == CLOCK_COLUMN:
                yield _valued(CLOCK_OBIS, value)
            else:
                yield _measured(self._meter.profile.object_named(name), value)

    def _name(self) -> Data:
        return _valued(LOGICAL_DEVICE_NAME, octet_string(self._meter.meter_id.encode("ascii")))

    def _time(self, at_s: int) -> bytes:
        return self._stamp(epoch_s(self._meter.clock_now(from_epoch_s(at_s))))

    def _stamp(self, shown_s: int) -> bytes:
        return date_times(np.array([shown_s], np.int64), self._meter.profile.clock).tobytes()

    @property
    def waiting(self) -> frozenset[bytes]:
        """Time and body of each push that nobody has confirmed yet."""
        return frozenset(self._waiting)

    def hearing(self, *, alarm: bool) -> Callable[[bytes], bool] | None:
        """Who is asked whether an answer confirms a push; None where none comes: no EventNotification is confirmed."""
        return self._is_confirmed_by if self._confirmed and not (alarm and self._sealing is not None) else None

    def _is_confirmed_by(self, octets: bytes) -> bool:
        """True when octets that came back confirm a push that waits for it; whatever else came does not."""
        try:
            answers = wrapper.Reader().feed(octets)
            numbers = {self._number_in(answer.payload) for answer in answers}
        except AmityError:
            return False
        confirmed = [push for push, number in self._waiting.items() if number in numbers]
        for push in confirmed:
            del self._waiting[push]
        return bool(confirmed)

    def _number_in(self, answer: bytes) -> int | None:
        return confirmed_number(answer if self._sealing is None else self._sealing.open(answer))

    def _notification(self, time: bytes, body: Data) -> bytes:
        push = time + encode(body)
        number = self._waiting.get(push)
        if number is None:
            self._sent += 1
            number = self._sent & _INVOKE_ID_MAX
        if self._confirmed:
            self._waiting[push] = number
            if len(self._waiting) > _WAITING_MAX:
                del self._waiting[next(iter(self._waiting))]  # the oldest: nobody will confirm it any more
        return data_notification(
            body,
            long_invoke_id=_PRIORITY_HIGH | number,
            date_time=time,
            sealing=self._sealing,
            confirmed=self._confirmed,
        )

    def _framed(self, apdu: bytes) -> bytes:
        association = self._meter.profile.association
        return wrapper.encode(association.server, association.client, apdu)


def _valued(obis: Obis, value: Data) -> Data:
    """One element of a push that describes itself: which object, which value."""
    return structure(octet_string(bytes(obis)), value)


def _measured(measured: MeasuredObject, value: Data) -> Data:
    """The same with scaler and unit behind."""
    return structure(octet_string(bytes(measured.obis)), value, scaler_unit(measured.scaler, measured.unit))
