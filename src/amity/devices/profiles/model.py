"""How one meter model differs from another, as frozen values: what a profile file says."""

from dataclasses import dataclass, replace
from enum import StrEnum

from amity.devices.settings import Authentication, Ciphering, Protection
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.data import Tag

CLOCK_COLUMN = "clock"
"""The column name that stands for the time of the meter's Clock object."""

CLOCK_OBIS = Obis.parse("0.0.1.0.0.255")


class Stamp(StrEnum):
    """Which end of an interval its profile row is named by."""

    START = "start"
    END = "end"


class ClockEncoding(StrEnum):
    """How a profile row carries its time."""

    OCTET_STRING = "octet-string"
    DATE_TIME = "date-time"


class Deviation(StrEnum):
    """Whether the meter says how far its local time is from UTC (0x8000 when not)."""

    SPECIFIED = "specified"
    UNSPECIFIED = "unspecified"


class RangeDeviation(StrEnum):
    """How the bounds of a range name their deviation: as the stamps do, or the way this meter insists on."""

    AS_CLOCK = "as-clock"
    SPECIFIED = "specified"
    UNSPECIFIED = "unspecified"


class Basis(StrEnum):
    """What a profile rests on. Nothing counts as measured before somebody has read a real meter with it."""

    INVENTED = "invented"
    STANDARD = "standard"
    PUBLIC = "public"
    MEASURED = "measured"


class Framing(StrEnum):
    """What carries the APDUs: the wrapper of TCP and UDP, or HDLC."""

    WRAPPER = "wrapper"
    HDLC = "hdlc"


class SignOn(StrEnum):
    """How a serial line becomes HDLC: at once, or after the mode E hand-over of IEC 62056-21."""

    NONE = "none"
    MODE_E = "mode-e"


class Quirk(StrEnum):
    """A way in which real meters leave the standard; each has a page in docs/dlms/quirks that says how it is met."""

    UNTAGGED_DESCRIPTORS = "untagged-descriptors"
    ENCRYPTION_ONLY = "encryption-only"
    BLOCKS_OVER_UI_FRAMES = "blocks-over-ui-frames"
    OBIS_IN_PLAIN_STRUCTURES = "obis-in-plain-structures"
    DEVIATION_UNSPECIFIED = "deviation-unspecified"
    DEVIATION_INVERTED = "deviation-inverted"
    OCTET_STRING_TIMES = "octet-string-times"
    MALFORMED_LIST_ELEMENT = "malformed-list-element"
    RANGE_DEVIATION = "range-deviation"
    CLOCK_NOT_FIRST = "clock-not-first"
    COUNTER_PER_CLIENT = "counter-per-client"
    NO_RELEASE = "no-release"
    AARE_WITHOUT_USER_INFORMATION = "aare-without-user-information"
    EMPTY_SYSTEM_TITLE = "empty-system-title"
    RLRE_LENGTH = "rlre-length"
    OPTICAL_ECHO = "optical-echo"
    PUSH_WITHOUT_OBJECT_LIST = "push-without-object-list"
    ONE_ASSOCIATION = "one-association"
    DEDICATED_KEY_COUNTER = "dedicated-key-counter"
    NULL_TIMESTAMPS = "null-timestamps"
    SEQUENCE_LEFT_BEHIND = "sequence-left-behind"


class Selector(StrEnum):
    """Selective access to a profile buffer: by range of the time, or by entry number."""

    RANGE = "range"
    ENTRY = "entry"


class Quantity(StrEnum):
    """What an object measures; the truth a simulated meter is filled from."""

    ACTIVE_IMPORT = "active-import"
    ACTIVE_EXPORT = "active-export"
    REACTIVE_IMPORT = "reactive-import"
    VOLTAGE = "voltage"
    STATUS = "status"


class Form(StrEnum):
    """A running total, the amount of one interval, or the value of this moment."""

    TOTAL = "total"
    INTERVAL = "interval"
    INSTANT = "instant"


@dataclass(frozen=True, slots=True)
class LinkRules:
    """How the meter is usually reached, a hint for whoever looks for it.

    `physical` is the lower HDLC address, 0 where none is used; `address_octets` the width of the server's HDLC address,
    0 for the shortest that fits.
    """

    framing: Framing
    physical: int
    address_octets: int
    baud: int
    sign_on: SignOn


@dataclass(frozen=True, slots=True)
class AssociationRules:
    """How the meter wants to be talked to; `max_pdu_octets` is the largest APDU it sends or takes.

    `public_client` may ask without authentication; through it `invocation_counter` tells the highest counter that the
    meter has seen of `client`.
    """

    client: int
    public_client: int
    server: int
    invocation_counter: Obis
    suite: int
    authentication: Authentication
    ciphering: Ciphering
    protection: Protection
    max_pdu_octets: int
    with_list: bool
    answers_release: bool


@dataclass(frozen=True, slots=True)
class ClockRules:
    """How the meter writes time. `standard_offset_min`: local standard time minus UTC, in minutes."""

    encoding: ClockEncoding
    deviation: Deviation
    standard_offset_min: int
    deviation_inverted: bool
    range_deviation: RangeDeviation = RangeDeviation.AS_CLOCK

    @property
    def of_ranges(self) -> "ClockRules":
        """How the bounds of a range are written."""
        if self.range_deviation is RangeDeviation.AS_CLOCK:
            return self
        return replace(self, deviation=Deviation(self.range_deviation.value))

    @property
    def default_deviation_min(self) -> int:
        """The deviation (minutes from local time to UTC) that stands in where the meter leaves it out."""
        return -self.standard_offset_min


@dataclass(frozen=True, slots=True)
class StatusBits:
    """Bit numbers in the status column of the load profile."""

    clock_invalid: int
    clock_adjusted: int
    power_down: int


@dataclass(frozen=True, slots=True)
class LoadProfileRules:
    """The load profile: where it stands, how its rows are timed and which objects it captures, in column order."""

    obis: Obis
    capture_period_s: int
    entries_max: int
    stamp: Stamp
    null_timestamps: bool
    access: tuple[Selector, ...]
    columns: tuple[str, ...]
    status_bits: StatusBits


@dataclass(frozen=True, slots=True)
class DailyProfileRules:
    """The registers as they stood at the start of each UTC day."""

    obis: Obis
    entries_max: int


@dataclass(frozen=True, slots=True)
class EventLogRules:
    """The event log: a profile of (time, code); `codes` says what the maker's numbers mean.

    `others` are logs of the same shape that the model may have besides.
    """

    obis: Obis
    entries_max: int
    codes: tuple[tuple[int, str], ...]
    others: tuple[Obis, ...] = ()

    def code_of(self, kind: str) -> int | None:
        """The maker's number for what happened, None when this maker does not record it."""
        return next((code for code, name in self.codes if name == kind), None)

    def kind_of(self, code: int) -> str:
        """What a number means, `other` when the maker's table does not say."""
        return dict(self.codes).get(code, "other")


@dataclass(frozen=True, slots=True)
class MeasuredObject:
    """One object of the meter: `value x 10**scaler` in `unit`, sent with the A-XDR `tag`."""

    name: str
    class_id: int
    obis: Obis
    quantity: Quantity
    form: Form
    tag: Tag
    scaler: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class Recognition:
    """By what a meter of this model is known: how its logical device name begins, and objects that it has.

    `objects` speak for the model when the meter's object list has them; the more of them, the better it fits.
    """

    names: tuple[str, ...]
    objects: tuple[Obis, ...]


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One meter model: `key` is the name of its file, `flag` the maker's three letters."""

    key: str
    manufacturer: str
    flag: str
    model: str
    basis: Basis
    quirks: tuple[Quirk, ...]
    recognised_by: Recognition
    link: LinkRules
    association: AssociationRules
    clock: ClockRules
    load_profile: LoadProfileRules
    daily_profile: DailyProfileRules
    event_log: EventLogRules
    objects: tuple[MeasuredObject, ...]

    def object_named(self, name: str) -> MeasuredObject:
        """The object a column names; every name in `load_profile.columns` but the clock's has one."""
        return next(measured for measured in self.objects if measured.name == name)
