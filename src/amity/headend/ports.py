"""What the head-end needs from outside, as protocols: runtime joins them to adapters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from amity.domain.collection import Delivery


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach one meter: address, associations and the name of its device profile. Keys are asked from `Keys`."""

    meter_id: str
    host: str
    port: int
    client: int
    server: int
    auth: str  # none | lls | hls-gmac
    profile: str
    system_title: bytes


@dataclass(frozen=True, slots=True, repr=False)
class MeterSecrets:
    """The secrets of one meter's association; empty where its authentication needs none. Never printed."""

    password: bytes = b""
    guek: bytes = b""
    gak: bytes = b""


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


class CollectionStore(Protocol):
    """The head-end's own memory: how far each meter's profile is read, the outbox, raw frames for a while."""

    def read_until(self, meter_id: str) -> datetime | None:
        """End of the last interval safely in the outbox, None when nothing was ever read."""
        ...

    def save(self, delivery: Delivery, subject: str, body: bytes, *, read_until: datetime | None) -> None:
        """In one transaction: queue the encoded delivery, keep its frames, move `read_until` forward."""
        ...

    def queued(self, limit: int) -> Sequence[QueuedDelivery]:
        """The oldest deliveries that the broker does not have yet."""
        ...

    def sent(self, sequences: Iterable[int]) -> None:
        """Forget queued deliveries: the broker acknowledged them."""
        ...

    def prune_frames(self, before: datetime) -> int:
        """Delete raw frames older than this; return how many sessions lost theirs."""
        ...


class Publisher(Protocol):
    """The way out of the zone: returns only after the broker has the message on disk."""

    async def publish(self, subject: str, message_id: str, body: bytes) -> None:
        """Raise TransportError when the broker did not acknowledge in time."""
        ...
