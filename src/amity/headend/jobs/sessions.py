"""The narrow door between jobs and the way to a meter: a bundle goes in, what one association brought comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from amity.domain.collection import Delivery
from amity.domain.jobs import Bundle, JobRequest
from amity.domain.spans import TimeSpan
from amity.headend.jobs.retry import Failure
from amity.headend.ports import Saving

OnSession = Callable[[Delivery], None]
"""Told of each session as it has ended, before the disk has it."""


def _nothing() -> None:
    """Nobody waits for it."""


@dataclass(frozen=True, slots=True, eq=False)
class SessionResult:
    """What a session brought.

    `failure` ended it as a whole; `refused` are the jobs, by id, whose step failed while others went well. `behind` is
    true when the meter has more of its past to give at once. `remarks` are words on jobs that were done, by id, and
    `lacking` the stretches that they asked for and the meter did not have.
    `follow_ups` are jobs that the result asks for. `saving` goes to the disk in the transaction that ends the jobs;
    `kept` is called once it is there.
    """

    failure: Failure | None = None
    refused: Mapping[str, Failure] = field(default_factory=dict)
    behind: bool = False
    remarks: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, tuple[TimeSpan, ...]] = field(default_factory=dict)
    follow_ups: tuple[JobRequest, ...] = ()
    saving: Saving | None = None
    kept: Callable[[], None] = _nothing


class BundleReader(Protocol):
    """Holds sessions."""

    async def announce(self, bundles: Sequence[Bundle]) -> None:
        """These bundles are read next: what they need from the disk may be fetched for all of them at once."""
        ...

    async def read(self, bundle: Bundle) -> SessionResult:
        """One association with the meter for all jobs of the bundle; a failure is told in the result, not raised.

        Cancelled when the lease is lost: the association is then closed before this ends.
        """
        ...

    def keep(self, savings: Sequence[Saving]) -> None:
        """Store what sessions brought, within a transaction of the job store; raise AmityError when that fails."""
        ...
