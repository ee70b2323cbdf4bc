"""Schedules become jobs: each fire once in the cluster, whoever runs, whatever is killed between two pages."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from amity.domain.jobs import GroupSelector, JobKind, JobState, MissedFires, ReadingSchedule
from amity.headend.jobs import scheduler as scheduler_module
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.ports import JobQuery
from amity.headend.jobs.scheduler import Scheduler
from amity.headend.ports import Endpoint
from amity.headend.routes import over_tcp
from amity.kernel.errors import StorageError
from amity.storage.ot.database import OtDatabase
from tests.unit.headend.jobs.requests import NOW

HOURLY = ReadingSchedule("hourly", "0 * * * *", "UTC", (JobKind.PROFILES, JobKind.EVENTS))
SEVEN = NOW.replace(hour=7, minute=0, second=0)


class SetClock:
    def __init__(self, instant: datetime = NOW) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant


async def at_once(work: object) -> object:
    return work()


def fleet(database: OtDatabase, count: int) -> None:
    database.endpoints.put(
        Endpoint(f"M{n:04}", over_tcp(f"10.0.0.{n % 200}", 4059), 1, 1, "none", "p" if n % 2 else "q", b"")
        for n in range(count)
    )


def scheduler(database: OtDatabase, clock: SetClock, *schedules: ReadingSchedule) -> Scheduler:
    calendars = [Calendar(one) for one in schedules]
    return Scheduler(
        lambda: calendars,
        firings=database.firings,
        pages=database.fleet_pages,
        jobs=database.jobs,
        clock=clock,
        disk=at_once,
    )


def waiting(database: OtDatabase) -> list[tuple[str, str]]:
    found = database.job_book.find(JobQuery(states=frozenset({JobState.WAITING}), limit=100_000))
    return sorted((job.meter_id, str(job.kind)) for job in found)


async def test_a_fire_makes_one_job_of_each_kind_for_each_meter(database: OtDatabase) -> None:
    fleet(database, 3)
    clock = SetClock()
    one = scheduler(database, clock, HOURLY)
    await one.fire_due()
    assert waiting(database) == [], "a new schedule has no past"
    clock.instant = SEVEN
    await one.fire_due()
    await one.fire_due()
    assert waiting(database) == [(f"M{n:04}", kind) for n in range(3) for kind in ("events", "profiles")]
    (job, *_) = database.job_book.find(JobQuery())
    assert (job.requested_by, job.reason, job.correlation_id) == (
        "schedule hourly", "2026-11-20T07:00:00Z", "hourly@2026-11-20T07:00:00Z",
    )  # fmt: skip


async def test_an_interval_fires_at_once_when_it_is_new(database: OtDatabase) -> None:
    fleet(database, 1)
    await scheduler(database, SetClock(), replace(HOURLY, every=timedelta(minutes=1))).fire_due()
    assert len(waiting(database)) == 2


async def test_a_schedule_that_is_begun_by_hand_fires_now_and_then_at_its_time(database: OtDatabase) -> None:
    fleet(database, 1)
    clock = SetClock()
    one = scheduler(database, clock, HOURLY)
    one.begin_now(Calendar(HOURLY))
    one.begin_now(Calendar(HOURLY))
    await one.fire_due()
    assert {job.reason for job in database.job_book.find(JobQuery())} == {"2026-11-20T06:17:42Z"}
    clock.instant = SEVEN
    await one.fire_due()
    assert "2026-11-20T07:00:00Z" in {job.reason for job in database.job_book.find(JobQuery())}


async def test_a_group_selects_its_meters(database: OtDatabase) -> None:
    fleet(database, 10)
    clock = SetClock()
    one = scheduler(database, clock, replace(HOURLY, group=GroupSelector(("M000[0-4]",), frozenset({"p"}))))
    await one.fire_due()
    clock.instant = SEVEN
    await one.fire_due()
    assert {meter for meter, _ in waiting(database)} == {"M0001", "M0003"}


async def test_a_crash_between_two_pages_leaves_nobody_out_and_nobody_twice(
    database: OtDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "PAGE", 10)
    fleet(database, 35)
    clock = SetClock()
    first = scheduler(database, clock, HOURLY)
    await first.fire_due()
    clock.instant = SEVEN
    calendar = Calendar(HOURLY)
    assert first.hand_out_page(calendar)
    broken = scheduler(database, clock, HOURLY)
    broken._jobs = _Refusing()
    with pytest.raises(StorageError):
        broken.hand_out_page(calendar)
    await scheduler(database, clock, HOURLY).fire_due()
    assert waiting(database) == [(f"M{n:04}", kind) for n in range(35) for kind in ("events", "profiles")]
    assert database.job_book.counts(SEVEN).by_state == {JobState.WAITING: 70}


class _Refusing:
    def enqueue(self, _requests: object, _now: object) -> None:
        raise StorageError("the disk is full")


async def test_several_schedulers_at_once_make_each_job_once(
    database: OtDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "PAGE", 7)
    fleet(database, 100)
    clock = SetClock()
    await scheduler(database, clock, HOURLY).fire_due()
    clock.instant = SEVEN

    def fire(_: int) -> None:
        one = scheduler(database, clock, HOURLY)
        for _ in range(60):
            one.hand_out_page(Calendar(HOURLY))

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(fire, range(3)))
    assert database.job_book.counts(SEVEN).by_state == {JobState.WAITING: 200}


@pytest.mark.parametrize(
    ("missed", "fires"),
    [
        (MissedFires.COALESCE, ["2026-11-20T12:00:00Z"]),
        (MissedFires.SKIP, []),
        (MissedFires.EACH, [f"2026-11-20T{hour:02}:00:00Z" for hour in range(7, 13)]),
    ],
)
async def test_missed_fires_are_made_up_by_rule(database: OtDatabase, missed: MissedFires, fires: list[str]) -> None:
    fleet(database, 1)
    clock = SetClock()
    one = scheduler(database, clock, replace(HOURLY, kinds=(JobKind.PROFILES,), missed=missed))
    await one.fire_due()
    clock.instant = NOW.replace(hour=12, minute=30)
    await one.fire_due()
    assert sorted(job.reason for job in database.job_book.find(JobQuery())) == fires
    clock.instant = NOW.replace(hour=13, minute=0, second=1)
    await one.fire_due()
    assert "2026-11-20T13:00:00Z" in {job.reason for job in database.job_book.find(JobQuery())}
