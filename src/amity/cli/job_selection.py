"""Which jobs `amity jobs retry` and `discard` change: one by its id, or many by meter and state, after a question."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Annotated, Final, NamedTuple

import typer

from amity.domain.jobs import Job, JobState
from amity.headend.jobs.ports import JobBook, JobQuery, JobStore
from amity.kernel.errors import ConfigurationError, NotFoundError, RequestError

_AT_ONCE: Final = 200
"""Jobs of one transaction: workers wait for its end."""
_REFUSED_STATUS: Final = 1

OneJob = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or the beginning of it.")]
OfMeter = Annotated[str, typer.Option("--meter", help="Instead of JOB: all of this meter.")]
OfStates = Annotated[
    list[JobState] | None, typer.Option("--state", help="Instead of JOB: all of these states; default: dead.")
]
AllOfThem = Annotated[bool, typer.Option("--all", help="Instead of JOB: of every meter.")]
Unasked = Annotated[bool, typer.Option("--yes", help="Change many without a question.")]


class Selection(NamedTuple):
    """What a person named: a job, or what many have in common."""

    job: str
    meter: str
    states: Collection[JobState]
    everything: bool
    unasked: bool

    def check(self, possible: Collection[JobState], *, can_ask: bool) -> None:
        """Raise ConfigurationError when it names nothing, two things, or states in which nothing can be done.

        And when it names many, and nobody can be asked whether they are meant.
        """
        many = bool(self.meter or self.states or self.everything)
        if many == bool(self.job):
            raise ConfigurationError(
                "name one JOB or many, not both" if many else "which job, or which of them?",
                next_step="give a JOB, or --meter NAME, --state STATE or --all",
            )
        wrong = sorted(set(self.states) - set(possible))
        if wrong:
            raise ConfigurationError(
                f"nothing can be done for jobs that are {wrong[0]}", next_step=f"states: {', '.join(sorted(possible))}"
            )
        if many and not self.unasked and not can_ask:
            raise ConfigurationError("with --json nobody is asked", next_step="add --yes if all of them are meant")

    def find(self, book: JobBook, verb: str) -> Sequence[Job]:
        """The many: dead letters, unless states are named; exit when they are not meant after all."""
        found = book.find(JobQuery(self.meter, frozenset(self.states or [JobState.DEAD]), limit=None))
        if found and not self.unasked:
            _ask(verb, found)
        return found


def _ask(verb: str, found: Sequence[Job]) -> None:
    counts = Counter(job.state for job in found)
    states = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    meters = len({job.meter_id for job in found})
    if not typer.confirm(f"{verb} {len(found)} jobs of {meters} meters ({states})?"):
        print("nothing was changed")
        raise typer.Exit(_REFUSED_STATUS)


def change_all(jobs: JobStore, found: Collection[Job], change: Callable[[str], Job]) -> int:
    """Change them, and return how many; what changed by itself in the meantime is left alone.

    In the order of meters, as whoever holds several meters' lines takes them.
    """
    ids = [job.job_id for job in sorted(found, key=lambda job: job.meter_id)]
    changed = 0
    for first in range(0, len(ids), _AT_ONCE):
        with jobs.transaction():
            for job_id in ids[first : first + _AT_ONCE]:
                with suppress(RequestError, NotFoundError):
                    change(job_id)
                    changed += 1
    return changed
