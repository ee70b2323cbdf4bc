"""What the head-end needs from outside, as protocols: runtime joins them to adapters."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple, Protocol, TypeVar

from amity.domain.collection import Delivery, Outcome
from amity.headend.routes import Route
from amity.kernel.errors import SecurityError, TransportError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Management:
    """The association in which a meter lets itself be changed: another client of ours, with secrets of its own.

    What is empty or None is as in `Endpoint`.
    """

    client: int
    auth: str
    ciphering: str = ""
    protection: str = ""
    suite: int | None = None
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How one meter is read: the way to it, its association and its device profile. Keys are asked from `Keys`.

    `ciphering` and `protection` are empty and `suite` is None where those of the device profile hold. `signed` puts our
    signature on every APDU and demands the meter's. `general_blocks` proposes general block transfer.
    `legacy_allowed` lets an old meter be read by HLS 2, MD5 or SHA-1; without it such a meter is refused.
    `management` is how the same meter lets its clock be moved, None where it is read and moved by one client.
    """

    meter_id: str
    route: Route
    client: int
    server: int
    auth: str  # a value of `Authentication`
    profile: str
    system_title: bytes
    ciphering: str = ""  # a value of `Ciphering`
    protection: str = ""  # a value of `Protection`
    suite: int | None = None
    signed: bool = False
    general_blocks: bool = False
    legacy_allowed: bool = False
    management: Management | None = None

    @property
    def as_managed(self) -> "Endpoint | None":
        """The same meter on the same way, as its management client speaks with it; None without one."""
        found = self.management
        if found is None:
            return None
        return replace(
            self,
            client=found.client,
            auth=found.auth,
            ciphering=found.ciphering,
            protection=found.protection,
            suite=found.suite,
            signed=found.signed,
            management=None,
        )


@dataclass(frozen=True, slots=True, repr=False)
class MeterSecrets:
    """The secrets of one meter's association; empty where its authentication needs none. Never printed.

    `signing` is our own private key towards this meter, `meter_signing` the meter's public one. `management` are those
    of its management association; there are none for a client that controls: the head-end has no such key.
    """

    password: bytes = b""
    guek: bytes = b""
    gak: bytes = b""
    signing: bytes = b""
    meter_signing: bytes = b""
    management: "MeterSecrets | None" = None


@dataclass(frozen=True, slots=True)
class QueuedDelivery:
    """A delivery that waits in the outbox until the broker has it; `body` is the encoded message."""

    sequence: int
    message_id: str
    subject: str
    body: bytes


class Endpoints(Protocol):
    """The fleet as the head-end knows it."""

    def all(self) -> Sequence[Endpoint]:
        """Every endpoint that is to be read."""
        ...

    def put(self, endpoints: Iterable[Endpoint]) -> None:
        """Add or replace endpoints by meter id."""
        ...


class Keys(Protocol):
    """Where secrets come from (a 0600 file for now; the key service takes this place)."""

    def secrets(self, meter_id: str) -> MeterSecrets:
        """Raise ConfigurationError naming the meter when there are none."""
        ...


class CounterStore(Protocol):
    """Invocation counters on disk: what was reserved once is never given out again, also after `kill -9`."""

    def reserve(self, meter_id: str, count: int) -> int:
        """Durably reserve `count` counters; return the first of them."""
        ...

    def raise_to(self, meter_id: str, minimum: int) -> None:
        """Never hand out less than `minimum` from now on (the meter said what it expects). Never lowers."""
        ...


class PushClaim(NamedTuple):
    """The number under which a meter pushed, and how far it is to be believed.

    `key_name` (`headend.hearing`) tells the key under which it counts. It was heard at `heard_s` (epoch seconds),
    however long it waited for the disk. One that came through a collector may be `late`: it need not come soon after
    those that overtook it, only be unheard.
    """

    meter_id: str
    key_name: bytes
    counter: int
    authenticated: bool
    heard_s: int
    late: bool = False


class PushCounterStore(Protocol):
    """The invocation counters that each meter used in a push under each of its keys; all nodes share them.

    They are kept as `headend.heard_counters` has it, for the `KEYS_MAX` keys of a meter that were last in use.
    """

    def transaction(self) -> AbstractContextManager[object]:
        """All calls within are committed together, also those of the other stores of this database."""
        ...

    def move_all(self, claims: Sequence[PushClaim]) -> Sequence[SecurityError | None]:
        """Let the claims count, one after the other; for each what speaks against it, and then nothing changes.

        A counter is refused that was heard, or overtaken too long ago. One that is not `authenticated` must be above
        the last, and not jump further than a meter does.
        """
        ...


class Heard(NamedTuple):
    """The highest invocation counter that a meter used in a session under one key; `key_name` tells keys apart."""

    key_name: bytes
    counter: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a meter is read: the ends of what is safely in the outbox, None where nothing was ever read."""

    intervals_until: datetime | None = None
    registers_until: datetime | None = None
    events_until: datetime | None = None


_NOWHERE: Final = Progress()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one meter stands with us: how far it is read and how the last session ended.

    `unmapped` is how far each part was read when a profile first brought a column that the mapping left raw, None
    where every column had its rule; `unmapped_by` is the version of that mapping, empty when there is none.
    `heard` is what the meter has said under its key: whatever is not above it is a recording.
    """

    progress: Progress = Progress()
    outcome: Outcome | None = None
    attempted_at: datetime | None = None
    failures_in_a_row: int = 0
    unmapped: Progress = Progress()
    unmapped_by: str = ""
    heard: Heard | None = None

    def is_behind(self, mapping_version: str) -> bool:
        """True when another mapping than the one in force left something raw: this one may name it."""
        return self.unmapped_by not in {"", mapping_version}


class Saving(NamedTuple):
    """An encoded delivery on its way to the disk; see `CollectionStore.save`."""

    delivery: Delivery
    subject: str
    body: bytes
    progress: Progress
    unmapped: Progress = _NOWHERE
    heard: Heard | None = None


class CollectionStore(Protocol):
    """The head-end's own memory: how far each meter is read, the outbox, raw frames for a while."""

    def standings(self) -> Mapping[str, Standing]:
        """Every meter that was ever tried, by meter id."""
        ...

    def save_all(self, savings: Sequence[Saving]) -> None:
        """All of them as `save` does, in one transaction; what was `heard` under the same key never goes back."""
        ...

    def save(
        self, delivery: Delivery, subject: str, body: bytes, *, progress: Progress, unmapped: Progress = _NOWHERE
    ) -> None:
        """In one transaction: queue the encoded delivery, keep its frames, move the meter's progress forward.

        A date of `progress` that is None or earlier than the stored one changes nothing; neither does a delivery that
        is stored already. Of `unmapped` (where columns stayed raw by the delivery's mapping) the earliest stays, and
        so does the mapping that was the first.
        """
        ...

    def rewind(self, meter_id: str, mapping_version: str) -> Progress:
        """Where another mapping than this left columns raw, count the meter as read only up to there; forget the mark.

        Return how far it is read then. Does nothing when nothing was left raw, or by this very mapping.
        """
        ...

    def queued(self, limit: int) -> Sequence[QueuedDelivery]:
        """Deliveries that the broker does not have yet: those with alarms first, then the oldest."""
        ...

    def sent(self, sequences: Iterable[int]) -> None:
        """Take deliveries out of the outbox: the broker acknowledged them. Their frames stay until pruned."""
        ...

    def prune_frames(self, before: datetime) -> int:
        """Delete the raw frames of delivered sessions that ended before this; return of how many sessions."""
        ...


class Channel(Protocol):
    """An open connection to one meter that carries one exchange at a time."""

    @property
    def unsolicited(self) -> Iterable[bytes]:
        """What the meter said in between without being asked (APDUs), oldest first; a bounded number of them."""
        ...

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send an APDU, return the answer's; raise TransportError or RemoteProtocolError when there is none."""
        ...

    async def close(self) -> None:
        """Close the connection; does nothing when it is closed already."""
        ...


class NoWayHereError(TransportError):
    """The meter cannot be called from this node now: nothing was sent to it, and whoever it waits for is not here."""


class Connector(Protocol):
    """The way to the meters."""

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> Channel:
        """Raise TransportError when there is no connection in time, NoWayHereError when none can be asked for."""
        ...

    def outcome_of(self, error: TransportError) -> Outcome:
        """Whether this failure of the path means REFUSED, SILENT or BROKEN."""
        ...


class Disk(Protocol):
    """How work that waits for the disk is done without holding up the sessions (a thread; at once in a simulation)."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Do it and return its result; whatever it raises is raised here."""
        ...


class Publisher(Protocol):
    """The way out of the zone: returns only after the broker has the message on disk."""

    async def publish(self, subject: str, message_id: str, body: bytes) -> None:
        """Raise TransportError when the broker did not acknowledge in time."""
        ...
