"""`amity jobs`: what the head-end has to do, did, and gave up; and one meter's reading now, as a job."""

import json
import os
import time
from collections.abc import Sequence
from functools import partial
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from amity.cli.job_selection import AllOfThem, OfMeter, OfStates, OneJob, Selection, Unasked, change_all
from amity.cli.leases import leases, release
from amity.cli.options import LIMIT_MAX
from amity.domain.jobs import Job, JobCounts, JobKind, JobRequest, JobState, Priority, Rest
from amity.headend.jobs.ports import JobBook, JobQuery, MeterStates, place_of
from amity.headend.ports import Endpoint
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.databases import head_end_of
from amity.runtime.system import SystemClock

_KEY_OCTETS: Final = 8
_LOOK_EVERY_S: Final = 0.2
_NOT_DONE_STATUS: Final = 3
_ID_SHOWN: Final = 10
_IN_OTHER_WORDS: Final = frozenset({"lacking", "rests_until", "tries_today"})
"""For programs: people are told in a sentence."""
_ALIVE: Final = frozenset({JobState.WAITING, JobState.LEASED})
_ENDED: Final = frozenset(JobState) - _ALIVE
_WANTED: Final = _ALIVE | {JobState.DEAD}

Configuration = Annotated[Path | None, typer.Option("--config", help="Default: /etc/ami-gateway.")]
Directory = Annotated[Path | None, typer.Option("--dir", help="An installation in one folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or the beginning of it.")]

jobs_app = typer.Typer(help="What the head-end has to do, did, and gave up.", no_args_is_help=True)


@jobs_app.command("list")
def list_jobs(
    meter: Annotated[str, typer.Option(help="Of this meter only.")] = "",
    state: Annotated[list[JobState] | None, typer.Option(help="Of these states; default: alive and dead.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = 50,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Jobs that wait, run, or were given up: the dead letters are what a person has to look at."""
    with head_end_of(configuration, directory) as database:
        _print_found(database.job_book, meter, frozenset(state or _WANTED), limit, as_json=as_json)
        if not as_json:
            print(_counted(database.job_book.counts(SystemClock().now())))


@jobs_app.command()
def history(
    meter: Annotated[str, typer.Option(help="Of this meter only.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = 50,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Jobs that ended, the newest first."""
    with head_end_of(configuration, directory) as database:
        _print_found(database.job_book, meter, _ENDED, limit, as_json=as_json)


@jobs_app.command()
def show(job: JobId, configuration: Configuration = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """All about one job: who wanted it and why, how it went, what to do next."""
    with head_end_of(configuration, directory) as database:
        found = database.job_book.job(job)
        _print_job(found, _rest(database.job_book, found), as_json=as_json)


@jobs_app.command()
def retry(
    job: OneJob = "",
    meter: OfMeter = "",
    state: OfStates = None,
    everything: AllOfThem = False,
    yes: Unasked = False,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Let a job that ended wait again, or all dead letters of a meter or of all, ahead of what is scheduled."""
    selection = Selection(job, meter, state or (), everything, unasked=yes)
    selection.check(_ENDED, can_ask=not as_json)
    with head_end_of(configuration, directory) as database:
        again = partial(database.job_book.retry, now=SystemClock().now())
        if job:
            _print_job(again(job), as_json=as_json)
            return
        found = selection.find(database.job_book, "Retry")
        changed = change_all(database.jobs, found, again)
        _print_changed(changed, len(found), "wait again", selection, as_json=as_json)


@jobs_app.command()
def discard(
    job: OneJob = "",
    meter: OfMeter = "",
    state: OfStates = None,
    everything: AllOfThem = False,
    yes: Unasked = False,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a job that waits or runs, or put a dead letter aside, or all of them; who did it is kept."""
    selection = Selection(job, meter, state or (), everything, unasked=yes)
    selection.check(_WANTED, can_ask=not as_json)
    with head_end_of(configuration, directory) as database:
        cancel = partial(database.job_book.discard, by=getuser(), now=SystemClock().now())
        if job:
            _print_job(cancel(job), as_json=as_json)
            return
        found = selection.find(database.job_book, "Discard")
        changed = change_all(database.jobs, found, cancel)
        _print_changed(changed, len(found), "are discarded", selection, as_json=as_json)


jobs_app.command("leases")(leases)
jobs_app.command("release")(release)


def read_by_job(
    meter: Annotated[str, typer.Argument(metavar="METER", help="The meter's name.")],
    kind: Annotated[list[JobKind] | None, typer.Option(help="What to do; default: registers.")] = None,
    wait_s: Annotated[float, typer.Option("--wait", help="Seconds to wait for the end of it.")] = 60.0,
    reason: Annotated[str, typer.Option(help="Kept with the job.")] = "",
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Have the running head-end read a meter ahead of everything scheduled. Exit status 3: not done (yet)."""
    with head_end_of(configuration, directory) as database:
        wanted = _requests(known_meter(database.meter_states, meter), kind or [JobKind.REGISTERS], reason)
        ids = list(dict.fromkeys(database.jobs.enqueue(wanted, wanted[0].not_before)))
        done = [_ended(database.job_book, job_id, wait_s) for job_id in ids]
    for job in done:
        _print_job(job, as_json=as_json)
    if any(job.state is JobState.WAITING and not job.attempts for job in done) and not as_json:
        print(f"no worker took it within {wait_s:g} s: is `amity serve` running? It stays in the queue.")
    if any(job.state is not JobState.DONE for job in done):
        raise typer.Exit(_NOT_DONE_STATUS)


def known_meter(meters: MeterStates, meter: str) -> Endpoint:
    """How the meter of that name is reached; raise ConfigurationError when there is none."""
    known = meters.of([meter])
    if meter not in known:
        raise ConfigurationError(
            f"no meter is called {meter!r}", next_step="amity meter list: copy the name from there"
        )
    return known[meter][0]


def _requests(endpoint: Endpoint, kinds: list[JobKind], reason: str) -> list[JobRequest]:
    now, word = SystemClock().now(), os.urandom(_KEY_OCTETS).hex()
    return [
        JobRequest(
            endpoint.meter_id, kind, Priority.ON_DEMAND, now, f"person/{word}/{kind}",
            requested_by=getuser(), reason=reason, correlation_id=word, place=place_of(endpoint),
        )
        for kind in kinds
    ]  # fmt: skip


def _ended(book: JobBook, job_id: str, wait_s: float) -> Job:
    """The job when it ended, or as it is after so long."""
    until = time.monotonic() + wait_s
    job = book.job(job_id)
    while not job.state.ended and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)
        job = book.job(job_id)
    return job


def _rest(book: JobBook, job: Job) -> Rest | None:
    return book.rests([job.meter_id], SystemClock().now()).get(job.meter_id)


# ------------------------------------------------------------------ printing
def _counted(counts: JobCounts) -> str:
    told = ", ".join(f"{number} {state}" for state, number in sorted(counts.by_state.items()))
    since = f" since {isoformat(counts.oldest_due)}" if counts.oldest_due else ""
    rests = f", {counts.resting} {'rests' if counts.resting == 1 else 'rest'}" if counts.resting else ""
    return f"{told or 'no jobs'}; {counts.due} due{since}{rests}"


def document(job: Job, rest: Rest | None = None) -> dict[str, Any]:
    """A job as JSON values; `rest` is that of its meter, which may hold the job back."""
    rest = rest if rest is not None and rest.holds(job) else None
    instants = ("not_before", "deadline", "created_at", "started_at", "finished_at")
    return {
        "job": job.job_id,
        "meter": job.meter_id,
        "kind": job.kind,
        "priority": job.priority.name.lower().replace("_", "-"),
        "state": job.state,
        "span": [isoformat(one) for one in job.span] if job.span else None,
        "requested_by": job.requested_by,
        "reason": job.reason,
        "correlation": job.correlation_id,
        **{name: isoformat(value) if (value := getattr(job, name)) else None for name in instants},
        "attempts": job.attempts,
        "rests_until": isoformat(rest.until) if rest else None,
        "tries_today": rest.tries if rest else None,
        "worker": job.worker,
        "told": job.told,
        "lacking": [f"{isoformat(one.start)}/{isoformat(one.end)}" for one in job.lacking],
        "next": job.remedy,
        "done_by": job.coalesced_into,
    }


def _print_job(job: Job, rest: Rest | None = None, *, as_json: bool) -> None:
    facts = document(job, rest)
    if as_json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        if value not in (None, "", []) and name not in _IN_OTHER_WORDS:
            print(f"{name:>13}  {' to '.join(value) if isinstance(value, list) else value}")
    if facts["rests_until"]:
        print(f"{'now':>13}  {_resting(facts)}")


def _print_changed(changed: int, found: int, what: str, selection: Selection, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"found": found, "changed": changed}))
        return
    none = "no such job" if selection.states else "no dead letters"
    print(f"{changed} of {found} jobs {what}" if found else f"{none}: nothing to do")


def _print_found(book: JobBook, meter: str, states: frozenset[JobState], limit: int, *, as_json: bool) -> None:
    """The newest of these jobs, and a word about the others, which programs find on standard error."""
    found = book.find(JobQuery(meter, states, limit + 1))
    rests = book.rests({job.meter_id for job in found}, SystemClock().now())
    _print_jobs([document(job, rests.get(job.meter_id)) for job in found[:limit]], as_json=as_json)
    if len(found) > limit:
        typer.echo(f"there are more than these {limit}: --limit, --meter", err=as_json)


def _print_jobs(found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    rows = [("job", "meter", "kind", "state", "attempts", "ended or due", "told"), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    """What a person scans a list for; the end of the line may be long."""
    when = one["finished_at"] or one["not_before"]
    told = "; ".join(filter(None, (_resting(one), one["told"])))
    return one["job"][:_ID_SHOWN], one["meter"], one["kind"], one["state"], str(one["attempts"]), when, told


def _resting(one: dict[str, Any]) -> str:
    if one["rests_until"] is None:
        return ""
    tries = one["tries_today"]
    in_vain = f" ({tries} {'try' if tries == 1 else 'tries'} today without an answer)" if tries else ""
    return f"rests until {one['rests_until']}{in_vain}"
