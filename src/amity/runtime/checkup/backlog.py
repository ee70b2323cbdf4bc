"""Is the database there and of this program's shape, and does what was read leave the zone?"""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from amity.kernel.time import isoformat
from amity.messaging.nats_server import healthy
from amity.runtime.checkup.check import Check, State, start_command
from amity.runtime.doors.broker_place import broker_folder
from amity.runtime.folder import Folder
from amity.runtime.settings import Settings
from amity.storage.ot.condition import Condition, look

_LATE: Final = timedelta(minutes=15)
_OVERDUE: Final = timedelta(hours=4)
"""The patience of bulk: by then the most patient job stands ahead of what comes."""


def check_backlog(folder: Folder, now: datetime, database_url: str = "") -> Iterator[Check]:
    """Database, fleet, outbox and dead letters."""
    if not database_url and not folder.ot_database.exists():
        yield Check("database", State.HINT, f"{folder.ot_database} is not there yet", "the first start makes it")
        return
    condition = look(folder.ot_database, database_url)
    yield _schema(condition)
    if condition.migrated:
        yield _fleet(condition)
        yield _outbox(condition, now)
        yield _waiting_jobs(condition, now)
        yield _leases(condition, now)
        yield _dead_jobs(condition)


def check_broker(folder: Folder, settings: Settings) -> Iterator[Check]:
    """Whether something greets like a broker."""
    broker = broker_folder(folder, settings.broker)
    if asyncio.run(healthy(broker)):
        yield Check("broker", State.OK, f"answers on port {broker.port}")
    else:
        step = start_command(folder) + ("; systemctl status ami-collector" if folder.installed else "")
        yield Check("broker", State.HINT, f"nothing answers on port {broker.port}: the service does not run", step)


def _schema(condition: Condition) -> Check:
    words = f"schema {condition.revision}"
    if condition.migrated:
        return Check("database", State.OK, words)
    step = "start the service: it migrates; if the schema is newer than the program, install that program"
    return Check("database", State.HINT, f"{words}, this program's is {condition.newest}", step)


def _fleet(condition: Condition) -> Check:
    words = f"{condition.meters} meters known, {condition.failing} of them failing again and again"
    if not condition.meters:
        return Check("fleet", State.HINT, "no meter is known", "amity meter add METER HOST:PORT")
    state = State.HINT if condition.failing else State.OK
    return Check("fleet", state, words, "look into error.log" if condition.failing else "")


def _waiting_jobs(condition: Condition, now: datetime) -> Check:
    if condition.due_since is None or now - condition.due_since < _OVERDUE:
        return Check("jobs", State.OK, "nothing waits long for a worker")
    step = "is the head-end running? `amity jobs list`, `amity jobs leases`; gates are in schedules.toml"
    return Check("jobs", State.HINT, f"the oldest waits for a worker since {isoformat(condition.due_since)}", step)


def _leases(condition: Condition, now: datetime) -> Check:
    if condition.held_until is None or now - condition.held_until < _LATE:
        return Check("leases", State.OK, "held by workers that renew them" if condition.held_until else "none")
    words = f"meters are held by a worker that renewed until {isoformat(condition.held_until)}"
    return Check(
        "leases", State.HINT, words, "`amity jobs leases` names it; if it is gone, `amity jobs release WORKER`"
    )


def _dead_jobs(condition: Condition) -> Check:
    if not condition.dead:
        return Check("dead letters", State.OK, "no job was given up")
    return Check(
        "dead letters", State.HINT, f"{condition.dead} jobs were given up", "look at each: it names its remedy"
    )


def _outbox(condition: Condition, now: datetime) -> Check:
    if condition.oldest is None:
        return Check("outbox", State.OK, "empty")
    age = now - condition.oldest
    words = f"{condition.queued} deliveries wait, the oldest for {int(age.total_seconds())} s"
    if age > _LATE:
        return Check("outbox", State.FAIL, words, "the broker takes nothing: look at its check, its disk and error.log")
    return Check("outbox", State.OK, words)
