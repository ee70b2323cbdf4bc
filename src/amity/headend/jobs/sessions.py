"""The narrow door between jobs and the way to a meter: a bundle goes in, what one association brought comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from amity.domain.jobs import Bundle, JobRequest
from amity.headend.jobs.retry import Failure


def _nothing() -> None:
    """Nothing to keep."""


@dataclass(frozen=True, slots=True, eq=False)
class SessionResult:
    """What a session brought.

    `failure` ended it as a whole; `refused` are the jobs, by id, whose step failed while others went well. `behind` is
    true when the meter has more of its past to give at once. `follow_ups` are jobs that the result asks for.
    `keep` stores what came, within the transaction that ends the jobs; `kept` is called once that is on the disk.
    """

    failure: Failure | None = None
    refused: Mapping[str, Failure] = field(default_factory=dict)
    behind: bool = False
    follow_ups: tuple[JobRequest, ...] = ()
    keep: Callable[[], None] = _nothing
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
