"""What a collector needs from outside, as protocols: runtime joins them to adapters."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from amity.kernel.errors import AmityError, StorageError
from amity.protocols.relay.messages import FailureKind

T = TypeVar("T")


class Channel(Protocol):
    """An open way to one meter that carries one exchange at a time."""

    @property
    def unsolicited(self) -> deque[bytes]:
        """What the meter said without being asked, oldest first, a bounded number; whoever hands it on takes it out."""
        ...

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send an APDU, return the answer's; raise an AmityError when there is none."""
        ...

    async def close(self) -> None:
        """Close it; does nothing when it is closed already."""
        ...


class Ways(Protocol):
    """The ways to the meters around."""

    def address(self, route: str) -> str:
        """What a route leads to, as reports name it; raise ConfigurationError for one that is none or not allowed."""
        ...

    async def open(self, route: str, client: int, server: int, timeout_s: float) -> Channel:
        """Open the way that a document describes; raise an AmityError when it does not open."""
        ...

    def kind_of(self, error: AmityError) -> FailureKind:
        """What the head-end is told of a failure."""
        ...


class HeldPush(NamedTuple):
    """A push as it is kept: its id, when it came and from where, whether it may never be dropped, the wrapper frame."""

    number: int
    at: datetime
    peer: str
    urgent: bool
    frame: bytes


class Held(NamedTuple):
    """What is kept now, and how many bulk pushes made room for others since the collector was laid down."""

    alarms: int = 0
    bulk: int = 0
    octets: int = 0
    dropped: int = 0


class StoreFullError(StorageError):
    """Nothing but alarms is kept, up to the limit: the meter has to keep its push itself."""


class PushStore(Protocol):
    """Pushes on disk until the head-end has them; what was put is there after `kill -9`."""

    def put(self, pushes: Sequence[HeldPush]) -> None:
        """Keep them all, or none; the oldest bulk makes room, alarms never do.

        Raise StoreFullError when alarms fill it.
        """
        ...

    def oldest(self, limit: int, *, urgent: bool, without: Collection[int]) -> Sequence[HeldPush]:
        """The oldest of a kind, but for those numbers."""
        ...

    def delete(self, numbers: Collection[int]) -> None:
        """The head-end has them."""
        ...

    def held(self) -> Held:
        """How much there is."""
        ...


class Disk(Protocol):
    """How work that waits for the disk is done without holding up the links."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Do it and return its result; whatever it raises is raised here."""
        ...
