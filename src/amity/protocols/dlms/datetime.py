"""COSEM date-time (IEC 62056-6-2, 4.1.6.1): twelve octets in which any field may be "not specified"."""

import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError

_FORM = struct.Struct(">HBBBBBBBhB")
OCTETS = _FORM.size
_YEAR_NOT_SPECIFIED = 0xFFFF
_NOT_SPECIFIED = 0xFF
_DEVIATION_NOT_SPECIFIED = -0x8000
_DEVIATION_MIN_MAX = 840  # ±14 hours: UTC+14 is the farthest zone there is
STATUS_INVALID_VALUE = 0x01
STATUS_DOUBTFUL_VALUE = 0x02
STATUS_DIFFERENT_CLOCK_BASE = 0x04
STATUS_INVALID_CLOCK = 0x08
STATUS_DAYLIGHT_SAVING = 0x80
_STATUS_NOT_SPECIFIED = 0xFF


class CosemDateTime(NamedTuple):
    """A meter's date and time; None stands for "not specified".

    `deviation_min` are the minutes from local time to UTC (local + deviation = UTC, so -60 in Vienna in winter);
    month 0xFD and 0xFE, day 0xFD and 0xFE keep their special meaning (daylight saving, last days of the month).
    """

    year: int | None
    month: int | None
    day: int | None
    weekday: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    hundredths: int | None = None
    deviation_min: int | None = None
    status: int | None = 0

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Read twelve octets; raise RemoteProtocolError for any other length."""
        if len(octets) != OCTETS:
            raise RemoteProtocolError(f"a date-time has {OCTETS} octets, not {len(octets)}: {octets.hex()}")
        year, *fields, deviation, status = _FORM.unpack(octets)
        return cls._make(
            (
                None if year == _YEAR_NOT_SPECIFIED else year,
                *(None if field == _NOT_SPECIFIED else field for field in fields),
                None if deviation == _DEVIATION_NOT_SPECIFIED else deviation,
                None if status == _STATUS_NOT_SPECIFIED else status,
            )
        )

    @classmethod
    def from_utc(cls, instant: datetime, deviation_min: int | None = 0, *, dst: bool = False, status: int = 0) -> Self:
        """Write an aware instant as local time of that deviation (None: UTC with the deviation not specified)."""
        if instant.tzinfo is None:
            raise LocalProtocolError(f"a naive datetime has no place on the time line: {instant.isoformat()}")
        local = instant.astimezone(UTC) - timedelta(minutes=deviation_min or 0)
        return cls(
            local.year, local.month, local.day, local.isoweekday(), local.hour, local.minute, local.second,
            local.microsecond // 10_000, deviation_min, status | (STATUS_DAYLIGHT_SAVING if dst else 0),
        )  # fmt: skip

    def to_octets(self) -> bytes:
        """The twelve octets; raise LocalProtocolError when a field does not fit."""
        fields = self[1:8]
        try:
            return _FORM.pack(
                _YEAR_NOT_SPECIFIED if self.year is None else self.year,
                *(_NOT_SPECIFIED if field is None else field for field in fields),
                _DEVIATION_NOT_SPECIFIED if self.deviation_min is None else self.deviation_min,
                _STATUS_NOT_SPECIFIED if self.status is None else self.status,
            )
        except struct.error as error:
            raise LocalProtocolError(f"this date-time has a field that does not fit: {error}") from error

    def to_utc(self, default_deviation_min: int | None = None, *, deviation_inverted: bool = False) -> datetime:
        """The instant in aware UTC; raise RemoteProtocolError when the fields name none.

        Args:
            default_deviation_min: taken when the meter leaves its deviation open; None refuses such a time.
            deviation_inverted: for meters that send minutes from UTC to local time, against the standard.
        """
        deviation = default_deviation_min if self.deviation_min is None else self.deviation_min
        if deviation is None:
            raise RemoteProtocolError(
                f"{self} leaves its deviation from UTC open",
                next_step="name the meter's time zone in its profile (default deviation)",
            )
        if abs(deviation) > _DEVIATION_MIN_MAX:
            raise RemoteProtocolError(f"{self} is {deviation} minutes from UTC; no place on earth is")
        shift = timedelta(minutes=-deviation if deviation_inverted and self.deviation_min is not None else deviation)
        try:
            return self.local().replace(tzinfo=UTC) + shift
        except OverflowError as error:
            raise RemoteProtocolError(f"{self} is outside the years that can be counted") from error

    def local(self) -> datetime:
        """Date and time as the meter's own clock shows it, naive; raise RemoteProtocolError when it names no moment."""
        if self.year is None or self.month is None or self.day is None or self.hour is None or self.minute is None:
            raise RemoteProtocolError(f"{self} does not name one moment")
        try:
            return datetime(  # noqa: DTZ001 - the zone is exactly what this value does not have
                self.year, self.month, self.day, self.hour, self.minute, self.second or 0,
                (self.hundredths or 0) * 10_000,
            )  # fmt: skip
        except ValueError as error:
            raise RemoteProtocolError(f"{self} is no date and time: {error}") from error

    @property
    def daylight_saving(self) -> bool:
        """True when the clock status says that daylight saving is in force."""
        return bool(self.status is not None and self.status & STATUS_DAYLIGHT_SAVING)

    def __str__(self) -> str:
        """`2022-11-12 16:54:00 -01:00`-like text of the local time, `*` for what is not specified."""
        date = f"{_text(self.year, 4)}-{_text(self.month)}-{_text(self.day)}"
        return f"{date} {_text(self.hour)}:{_text(self.minute)}:{_text(self.second)}{self._zone()}"

    def _zone(self) -> str:
        if self.deviation_min is None:
            return ""
        hours, minutes = divmod(abs(self.deviation_min), 60)  # printed as ISO 8601 does: local minus UTC
        return f"{'+' if self.deviation_min <= 0 else '-'}{hours:02}:{minutes:02}"


def _text(field: int | None, width: int = 2) -> str:
    return "*" * width if field is None else f"{field:0{width}}"
