"""Jobs of the head-end: what is to be done with one meter, from when until when, for whom, and how it went."""

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, NamedTuple

from amity.domain.spans import TimeSpan

Network = IPv4Network | IPv6Network


class JobKind(StrEnum):
    """One step of a session. A bundle of several needs one association."""

    REGISTERS = "registers"
    PROFILES = "profiles"
    EVENTS = "events"
    CLOCK_CHECK = "clock-check"
    CLOCK_SET = "clock-set"
    PING = "ping"


class JobState(StrEnum):
    """WAITING and LEASED are alive; the others are how a job ended."""

    WAITING = "waiting"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"  # given up: a person has to look
    FAILED = "failed"  # given up, and a person knows: nobody has to look any more
    EXPIRED = "expired"  # its deadline passed first
    CANCELLED = "cancelled"
    COALESCED = "coalesced"  # another job does what it asked for

    @property
    def ended(self) -> bool:
        """True when nothing more will happen to the job by itself."""
        return self not in {JobState.WAITING, JobState.LEASED}


class Priority(IntEnum):
    """Classes of urgency, the most urgent first."""

    ALARM = 0
    ON_DEMAND = 1
    SCHEDULED = 2
    BULK = 3

    @property
    def patience(self) -> timedelta:
        """How much later than it could start such a job may start without being overtaken by what comes after it.

        Jobs are taken in the order of `not_before + patience`. That is ageing without a clock: a job's place is fixed
        when it is made and everything made later than its patience stands behind it, so nothing waits for ever.
        """
        return _PATIENCE[self]

    @property
    def urgent(self) -> bool:
        """True where somebody waits: the daily budget of a meter does not hold such a job back."""
        return self <= Priority.ON_DEMAND


_PATIENCE: Final = {
    Priority.ALARM: timedelta(0),
    Priority.ON_DEMAND: timedelta(seconds=30),
    Priority.SCHEDULED: timedelta(minutes=30),
    Priority.BULK: timedelta(hours=4),
}


class Place(NamedTuple):
    """What a meter shares with others on the way to it; empty where it shares nothing of that kind."""

    collector: str = ""
    cell: str = ""
    network: str = ""


NOWHERE: Final = Place()


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job that somebody asks for. `key` makes it the same job however often it is asked for.

    `span` limits PROFILES to intervals that start in it; None asks for all that is new. `deadline` None is never.
    """

    meter_id: str
    kind: JobKind
    priority: Priority
    not_before: datetime
    key: str
    deadline: datetime | None = None
    requested_by: str = ""
    reason: str = ""
    correlation_id: str = ""
    span: TimeSpan | None = None
    place: Place = NOWHERE

    @property
    def job_id(self) -> str:
        """32 hexadecimal digits, from the key alone."""
        return sha256(self.key.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored. `attempts` counts the leases so far; `told` and `remedy` speak of the last failure.

    `lacking` are the stretches that a job that is done asked for and the meter did not have.
    """

    job_id: str
    meter_id: str
    kind: JobKind
    priority: Priority
    state: JobState
    not_before: datetime
    created_at: datetime
    deadline: datetime | None = None
    requested_by: str = ""
    reason: str = ""
    correlation_id: str = ""
    span: TimeSpan | None = None
    attempts: int = 0
    worker: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    told: str = ""
    remedy: str = ""
    coalesced_into: str = ""
    lacking: tuple[TimeSpan, ...] = ()


class Rest(NamedTuple):
    """A meter that did not answer is left alone until then; so many of its tries today were in vain."""

    until: datetime
    tries: int

    def holds(self, job: Job) -> bool:
        """True when a job of this meter waits for the end of the rest: an urgent one does not."""
        return job.state is JobState.WAITING and not job.priority.urgent and job.not_before < self.until


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to hold the one association with a meter until `until`, by the clock of the worker that has it.

    It moves that on by `lasts` each time it renews the lease: to others it is a mark that the worker is there, no time
    to compare with their own. `fence` rises with every lease of the meter: what an earlier holder still brings is
    refused by it. `tries` counts the leases of the meter in this UTC day since it last answered, this one included.
    `silent`: for so long at the least it was not renewed, as others have noted who looked.
    """

    meter_id: str
    worker: str
    fence: int
    until: datetime
    tries: int = 1
    lasts: timedelta = timedelta(seconds=60)
    silent: timedelta = field(default=timedelta(0), compare=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that is due for one meter, under one lease."""

    lease: Lease
    jobs: tuple[Job, ...]

    @property
    def meter_id(self) -> str:
        """Whose jobs these are."""
        return self.lease.meter_id

    @property
    def kinds(self) -> frozenset[JobKind]:
        """Every step that the session takes."""
        return frozenset(job.kind for job in self.jobs)


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of one leased job: an end, or WAITING again from `not_before`, as a new attempt or all `afresh`."""

    job_id: str
    state: JobState
    not_before: datetime | None = None
    told: str = ""
    remedy: str = ""
    afresh: bool = False
    lacking: tuple[TimeSpan, ...] = ()


# ------------------------------------------------------------------ schedules
class MissedFires(StrEnum):
    """What becomes of fires that passed while no scheduler ran."""

    COALESCE = "coalesce"  # one for all of them, as of the last
    EACH = "each"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class GroupSelector:
    """Which meters a schedule reads: those that every given condition holds for; without one, all.

    `meters` are names with `*` and `?`; `profiles` device profiles; `networks` address ranges. A host that is a name
    and no address is in no range.
    """

    meters: tuple[str, ...] = ()
    profiles: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def selects(self, meter_id: str, profile: str, host: str) -> bool:
        """True when the meter belongs to the group."""
        return (
            (not self.meters or any(fnmatchcase(meter_id, pattern) for pattern in self.meters))
            and (not self.profiles or profile in self.profiles)
            and (not self.networks or _inside(host, self.networks))
        )


def _inside(host: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)


@dataclass(frozen=True, slots=True)
class Blackout:
    """A daily window of local time in which no job begins: [start, end), over midnight when the end is not later.

    `weekdays` (Monday is 0) are the days on which it begins; `end` midnight is the end of the day.
    """

    start: time
    end: time
    weekdays: frozenset[int] = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class ReadingSchedule:
    """A recurring reading: `cron` is five fields in the local time of `zone` (IANA name).

    With `every` it fires at the multiples of that span since 1970-01-01T00:00Z instead, and at once when it is new.
    Each meter begins up to `jitter` after the fire; a job that has not begun `deadline` after it expires.
    The schedule holds for fires in [`valid_from`, `valid_until`).
    """

    name: str
    cron: str
    zone: str
    kinds: tuple[JobKind, ...]
    every: timedelta | None = None
    group: GroupSelector = GroupSelector()
    priority: Priority = Priority.SCHEDULED
    jitter: timedelta = timedelta(0)
    blackouts: tuple[Blackout, ...] = ()
    deadline: timedelta | None = None
    missed: MissedFires = MissedFires.COALESCE
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Firing:
    """How far a schedule has fired: `last` is handed out to all meters, `current` to those up to meter `cursor`."""

    schedule: str
    last: datetime
    current: datetime | None = None
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs there are by state, and how many of the waiting ones are due; `oldest_due` is their oldest.

    `resting` would be due as well if their meters did not rest.
    """

    by_state: dict[JobState, int] = field(default_factory=dict)
    due: int = 0
    resting: int = 0
    oldest_due: datetime | None = None
