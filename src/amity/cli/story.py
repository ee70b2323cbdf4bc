"""`amity story`: everything that one command brought about, from the command line to the MDM side's commit."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, NamedTuple

import typer

from amity.cli.jobs import AsJson, Configuration, Directory
from amity.domain.collection import Delivery, Exchange
from amity.domain.jobs import Job
from amity.headend.jobs.ports import JobQuery
from amity.kernel.errors import AmityError, NotFoundError
from amity.kernel.time import isoformat
from amity.messaging.codec import ProtobufCodec
from amity.runtime.databases import it_services, open_ot_database
from amity.runtime.folder import Folder
from amity.runtime.installation import find_installation
from amity.runtime.logs.lines import CORRELATION
from amity.runtime.settings import HeadendSettings
from amity.usecases.collection import committed_at

_LINE: Final = re.compile(rf"timestamp=(?P<at>\S+) (?P<rest>.*\b{CORRELATION}=(?P<words>\S+).*)")
_METER: Final = re.compile(r"\bmeter=(\S+)")
_FRAME_LINE: Final = "event=frame"


class Step(NamedTuple):
    """One line of the story: when, which part of the system tells it, and what it says."""

    at: datetime
    part: str
    told: str


def story(
    word: Annotated[str, typer.Argument(metavar="WORD", help="The correlation id that the command printed.")],
    meter: Annotated[str, typer.Option(help="Look at this meter too, where neither job nor log names one.")] = "",
    frames: Annotated[bool, typer.Option(help="Also the octets of each frame.")] = False,
    days: Annotated[int, typer.Option(min=1, help="How far to look back.")] = 7,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Tell what one command brought about: job, session, frames, log lines, delivery, commit; by time."""
    folder, settings = find_installation(configuration, directory)
    since = datetime.now(UTC) - timedelta(days=days)
    lines = list(_log_steps(folder, word))
    told, message_ids = _head_end(folder, settings.headend, word, _Look(_meters(lines, meter), since, frames))
    steps = sorted([*lines, *told, *_commits(folder, message_ids)], key=lambda step: step.at)
    if not steps:
        raise NotFoundError(
            f"nothing tells of {word!r}", next_step="copy the correlation id as it was printed, or name the --meter"
        )
    if as_json:
        print(json.dumps([{"at": isoformat(one.at), "part": one.part, "told": one.told} for one in steps]))
        return
    for one in steps:
        print(f"{isoformat(one.at):<27}  {one.part:<11}  {one.told}")


# ------------------------------------------------------------------ log lines
def _log_steps(folder: Folder, word: str) -> Iterator[Step]:
    """The lines of every log of this installation that bear the word; frames are told from the delivery."""
    for path in sorted(folder.logs.glob("*.log")):
        with path.open(encoding="utf-8", errors="replace") as log:
            for line in log:
                found = _LINE.search(line) if word in line and _FRAME_LINE not in line else None
                if found is not None and word in found["words"].split(","):
                    yield Step(datetime.fromisoformat(found["at"]), path.name, found["rest"].strip())


def _meters(lines: Iterable[Step], named: str) -> set[str]:
    found = {match[1] for line in lines for match in _METER.finditer(line.told)}
    return found | ({named} if named else set())


# ------------------------------------------------------------------ the head-end's database
class _Look(NamedTuple):
    meters: set[str]
    since: datetime
    frames: bool


def _head_end(folder: Folder, settings: HeadendSettings, word: str, look: _Look) -> tuple[list[Step], list[str]]:
    """What jobs and deliveries tell, and the names of the messages in which it crossed."""
    codec = ProtobufCodec()
    with closing(open_ot_database(folder, settings)) as database:
        jobs = database.job_book.find(JobQuery(correlation_id=word))
        steps = [step for job in jobs for step in _job_steps(job)]
        message_ids = []
        for meter_id in sorted(look.meters | {job.meter_id for job in jobs}):
            for kept in database.kept_deliveries.of(meter_id, look.since):
                delivery = codec.decode(kept.body)
                if word in delivery.correlation_id.split(",") or word == delivery.session_id:
                    steps += _delivery_steps(delivery, sent=kept.sent, frames=look.frames)
                    message_ids.append(delivery.message_id)
    return steps, message_ids


def _job_steps(job: Job) -> Iterator[Step]:
    named = f"{job.kind} of {job.meter_id}, {job.job_id}"
    yield Step(job.created_at, "job", f"asked for by {job.requested_by or 'nobody named'}: {named}")
    if job.started_at is not None:
        yield Step(job.started_at, "job", f"begun by {job.worker}: {named}")
    if job.finished_at is not None:
        told = f"; {job.told}" if job.told else ""
        yield Step(job.finished_at, "job", f"{job.state} after {job.attempts} attempts: {named}{told}")


def _delivery_steps(delivery: Delivery, *, sent: bool, frames: bool) -> Iterator[Step]:
    connected = delivery.collected_at - timedelta(milliseconds=delivery.duration_ms)
    began = min([connected, *(one.at for one in delivery.exchanges[:1])])  # of a push there is no connecting
    yield Step(began, "session", f"{delivery.session_id} with {delivery.meter_id} begins")
    for number, one in enumerate(delivery.exchanges):
        yield Step(one.at, "frame", f"{number}: {_octets(one, frames=frames)}")
    brought = f"{len(delivery.registers)} registers, {sum(len(one.starts) for one in delivery.intervals)} intervals"
    events = f"{len(delivery.events)} events"
    yield Step(delivery.collected_at, "session", f"{delivery.session_id} {delivery.outcome}: {brought}, {events}")
    where = "the broker has it" if sent else "it waits in the outbox"
    yield Step(delivery.collected_at, "delivery", f"message {delivery.message_id}: {where}")


def _octets(one: Exchange, *, frames: bool) -> str:
    if frames:
        return f"to meter {one.request.hex()} from meter {one.response.hex()}"
    return f"{len(one.request)} octets to the meter, {len(one.response)} back"


# ------------------------------------------------------------------ the MDM side
def _commits(folder: Folder, message_ids: list[str]) -> Iterator[Step]:
    """When the MDM side had them, where it is on this machine."""
    if not message_ids or not folder.it_database.exists():
        return
    try:
        with it_services(folder) as services:
            found = committed_at(services, message_ids)
    except AmityError as error:
        yield Step(datetime.now(UTC), "mdm", f"cannot be asked: {error.what}")
        return
    for message_id, at in found.items():
        yield Step(at, "mdm", f"message {message_id} committed")
