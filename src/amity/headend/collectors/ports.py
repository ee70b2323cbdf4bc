"""What the head-end needs to remember of its collectors, and how it takes what they forward, as protocols."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from amity.headend.calls.callers import Caller
from amity.protocols.wrapper.frame import Frame


class Admission(StrEnum):
    """What a person decided of a collector."""

    PARKED = "parked"  # nobody has decided: it is listed, and gets and gives nothing
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Presented(NamedTuple):
    """What a caller showed: its name and the fingerprint of its key, from a certificate that our CA issued."""

    name: str
    fingerprint: str
    address: str


@dataclass(frozen=True, slots=True)
class KnownCollector:
    """A collector as it is remembered; one name may have several keys, each decided of by itself.

    `quality` is the last report, JSON as `Quality` brings it, with what this side measured.
    """

    name: str
    fingerprint: str
    admission: Admission
    address: str
    first_seen: datetime
    last_seen: datetime
    connected_to: str = ""  # the node of the cluster that it is connected to, empty: none
    quality: str = ""


class CollectorBook(Protocol):
    """The collectors that ever called, on disk, for all nodes of a cluster."""

    def seen(self, presented: Presented, at: datetime) -> Admission:
        """Note that it called, parked when it is new; return what was decided of it."""
        ...

    def report(self, presented: Presented, node: str, quality: str, at: datetime) -> None:
        """Note where it is connected and how it does; an empty `node` says that it is gone."""
        ...

    def decide(self, name: str, fingerprint: str, admission: Admission) -> KnownCollector:
        """Store a person's decision; an empty fingerprint is the only one of that name.

        Raise NotFoundError when there is none, RequestError when there are several.
        """
        ...

    def all(self) -> Sequence[KnownCollector]:
        """All of them, by name."""
        ...


class ForwardedPushes(Protocol):
    """The ids of pushes that collectors forwarded and that were dealt with: what is sent twice is taken once."""

    def known(self, push_id: str) -> bool:
        """True when it was dealt with."""
        ...

    def first(self, push_id: str, at: datetime) -> AbstractContextManager[None]:
        """A transaction that remembers the id if, and only if, all that is done within it is done."""
        ...

    def prune(self, before: datetime) -> int:
        """Forget the ids of before; return how many."""
        ...


class TakeForwarded(Protocol):
    """Where forwarded pushes go: to the one who also hears those that come straight from meters."""

    async def __call__(
        self,
        frame: Frame,
        caller: Caller,
        heard_at: datetime,
        within: Callable[[], AbstractContextManager[None]],
        /,
        *,
        is_awaited: bool,
    ) -> bytes | None:
        """Make a delivery of a frame, stored within a transaction that `within` begins, or park it.

        Give the confirmation that its meter waits for, None where it waits for none or is no longer there. Raise
        StorageError when the disk did not take it: it has to come again.
        """
        ...
