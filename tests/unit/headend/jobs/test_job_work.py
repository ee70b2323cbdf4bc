"""The head-end at work as the role runs it: default schedule, schedules.toml, what is told, what is forgotten."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs

from amity.domain.collection import Delivery, Outcome
from amity.domain.jobs import JobState, Priority
from amity.headend.collectors.failures import CollectorNotConnectedError
from amity.headend.jobs.on_demand import ALL_READINGS
from amity.headend.jobs.ports import JobQuery
from amity.headend.jobs.ways import Ways
from amity.headend.ports import Endpoint
from amity.kernel.errors import StorageError
from amity.runtime.folder import Folder
from amity.runtime.logs.sessions import LoggedCollection, SessionLogs
from amity.runtime.roles.job_work import JobWork
from amity.runtime.settings import HeadendSettings
from amity.simulation.virtual_time import VirtualClock, run_virtually
from tests.unit.headend.jobs.requests import NOW, request

SETTINGS = HeadendSettings(poll_interval_s=300)
SCHEDULES = '[[schedule]]\nname = "hourly"\ncron = "0 * * * *"\nread = ["registers", "events"]\n'


async def nobody(endpoint: Endpoint, apdu: bytes) -> None:
    raise AssertionError((endpoint, apdu))


class Work:
    """A JobWork on virtual time; `told` is what it said of sessions."""

    def __init__(self, bench: object, folder: Path, settings: HeadendSettings = SETTINGS) -> None:
        (folder / "ot").mkdir(exist_ok=True)
        self.bench, self.folder, self.settings = bench, Folder(folder), settings
        self.told: list[Delivery] = []
        self.errors: list[object] = []

    def run(
        self, span: timedelta, after_start: Callable[[], None] | None = None, ways: Callable[[], Ways] = Ways
    ) -> None:
        async def main(clock: VirtualClock) -> None:
            self.bench.connector.clock = clock
            surroundings = replace(self.bench.surroundings, clock=clock, chance=Random(4).random)
            database = self.bench.database
            work = JobWork(self.folder, self.settings, surroundings, database, self.told.append, nobody, ways=ways)
            running = asyncio.create_task(work.run())
            await asyncio.sleep(5)
            if after_start:
                after_start()
            await asyncio.sleep(span.total_seconds())
            self.errors.append(work.last_error)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        run_virtually(main, NOW)


@pytest.fixture
def make_work(make_bench: Callable, tmp_path: Path) -> Callable[..., Work]:
    return lambda count=5, **settings: Work(
        make_bench(count), tmp_path, HeadendSettings(**{"poll_interval_s": 300, **settings})
    )


def test_without_a_schedule_every_meter_is_read_at_once_and_every_poll_interval(make_work: Callable) -> None:
    work = make_work()
    work.run(timedelta(minutes=10))
    assert {told.outcome for told in work.told} == {Outcome.COMPLETE}
    assert len(work.told) == 5 * 3, "at once, and at 06:20 and 06:25"
    assert work.folder.schedules.exists()
    assert work.errors == [None]


def test_a_schedule_takes_the_place_of_the_default_as_soon_as_it_is_written(make_work: Callable) -> None:
    work = make_work()
    work.run(timedelta(hours=1), lambda: work.folder.schedules.write_text(SCHEDULES))
    reasons = {job.requested_by for job in work.bench.database.job_book.find(JobQuery(limit=1000))}
    assert reasons == {"schedule default", "schedule hourly"}
    assert len(work.told) == 5 + 5


def test_a_wrong_edit_is_told_once_and_changes_nothing(make_work: Callable) -> None:
    work = make_work()
    with capture_logs() as logged:
        work.run(timedelta(minutes=10), lambda: work.folder.schedules.write_text(SCHEDULES.replace("0 *", "0 99")))
    (refused,) = (one for one in logged if one["event"] == "schedules refused")
    assert "cron of schedule 'hourly'" in refused["reason"]
    assert work.errors == [None], "what is in force goes on"
    assert len(work.told) == 5 * 3


def test_old_jobs_are_forgotten(make_work: Callable) -> None:
    work = make_work(1, jobs_kept_days=1)
    jobs = work.bench.database.jobs
    (old,) = jobs.enqueue([request("GONE")], NOW - timedelta(days=2))
    work.bench.database.job_book.discard(old, "ops", NOW - timedelta(days=2))
    work.run(timedelta(minutes=1))
    assert {job.meter_id for job in work.bench.database.job_book.find(JobQuery())} == {
        work.bench.simulated.meters[0].meter_id
    }


def test_a_refusing_meter_is_tried_again_within_the_rules_and_answers_when_it_is_back(make_work: Callable) -> None:
    work = make_work(2)
    meter = work.bench.simulated.meters[0].meter_id
    work.bench.connector.refused.add(meter)
    work.run(timedelta(minutes=4), None)
    outcomes = [told.outcome for told in work.told if told.meter_id == meter]
    assert set(outcomes) == {Outcome.REFUSED}
    assert len(outcomes) == 2 * SETTINGS.attempts
    dead = work.bench.database.job_book.find(JobQuery(states=frozenset({JobState.DEAD})))
    assert {(one.meter_id, bool(one.remedy)) for one in dead} == {(meter, True)}
    assert sorted(one.kind for one in dead) == sorted(ALL_READINGS), "one dead letter of a kind, however many polls"


def test_one_word_from_the_job_to_each_frame_and_over_to_the_mdm_side(make_work: Callable, tmp_path: Path) -> None:
    work = make_work(count=1)
    logs = SessionLogs(Folder(tmp_path, log_folder=tmp_path), frames=True)
    database = work.bench.database
    surroundings = replace(
        work.bench.surroundings, collection=LoggedCollection(database.collection, logs, database.afterwards)
    )
    work.bench.surroundings = surroundings
    meter_id = work.bench.simulated.meters[0].meter_id
    asked = request(meter_id, correlation_id="3f9c", priority=Priority.ON_DEMAND)

    work.run(timedelta(minutes=1), lambda: database.jobs.enqueue([asked], NOW))
    logs.close()
    assert database.job_book.job(asked.job_id).correlation_id == "3f9c"
    lines = [line for line in (tmp_path / "ingest.log").read_text().splitlines() if "correlation=3f9c " in line]
    assert sum('event="session complete"' in line for line in lines) == 1
    crossed = [one for one in work.bench.deliveries() if one.correlation_id == "3f9c"]
    assert len(crossed) == 1
    assert sum("event=frame" in line for line in lines) == 2 * len(crossed[0].exchanges) > 0


def behind_a_collector(bench: object, connected: set[str]) -> None:
    """Meters that are reached through DC7, which is not there before its name is in the set."""
    endpoints = bench.database.endpoints
    endpoints.put([replace(one, route=replace(one.route, collector="DC7")) for one in endpoints.all()])
    connect = bench.connector.connect

    async def through(endpoint: Endpoint, timeout_s: float) -> object:
        if endpoint.route.collector not in connected:
            raise CollectorNotConnectedError(endpoint.route.collector)
        return await connect(endpoint, timeout_s)

    bench.connector.connect = through


def test_jobs_wait_for_a_collector_at_no_cost_and_are_done_when_it_comes(make_work: Callable) -> None:
    work, connected = make_work(3, poll_interval_s=86_400), set()
    behind_a_collector(work.bench, connected)
    work.run(timedelta(minutes=5))
    waiting = work.bench.database.job_book.find(JobQuery())
    assert {(one.state, one.attempts) for one in waiting} == {(JobState.WAITING, 0)}
    assert all("Collector Not Connected" in one.told and "amity collector" in one.remedy for one in waiting)
    assert work.told == [], "nobody was called: that is no session, and no meter was silent"
    assert len(work.bench.deliveries()) == 3, "the MDM side learns why nothing comes, once and not again and again"

    connected.add("DC7")
    work.run(timedelta(minutes=1), ways=lambda: Ways(collectors=frozenset(connected)))
    assert {one.state for one in work.bench.database.job_book.find(JobQuery())} == {JobState.DONE}
    assert [one.outcome for one in work.told] == 3 * [Outcome.COMPLETE]


def test_a_node_that_has_the_collector_gets_what_another_put_off(make_work: Callable) -> None:
    """It was connected here all the time: no news of it comes, and yet it is gone through."""
    work, connected = make_work(2, poll_interval_s=86_400), {"DC7"}
    behind_a_collector(work.bench, connected)
    connected.clear()
    work.run(timedelta(minutes=3), lambda: connected.add("DC7"), ways=lambda: Ways(collectors=frozenset({"DC7"})))
    assert {one.state for one in work.bench.database.job_book.find(JobQuery())} == {JobState.DONE}


def test_who_waits_for_a_meter_on_the_line_of_one_node_does_not_wait_for_what_another_did(make_work: Callable) -> None:
    """The node without the way leases first, and puts it off for an hour: the other has it done within seconds."""
    work, connected = make_work(1, poll_interval_s=86_400), {"DC7"}
    bench, told, states = work.bench, [], []
    meter_id = bench.simulated.meters[0].meter_id
    asked = request(meter_id, key="now", priority=Priority.ON_DEMAND)
    behind_a_collector(bench, connected)

    class WithoutTheWay:
        async def connect(self, endpoint: Endpoint, timeout_s: float) -> object:
            del timeout_s
            told.append(endpoint.meter_id)
            raise CollectorNotConnectedError(endpoint.route.collector)

        def __getattr__(self, name: str) -> object:
            return getattr(bench.connector, name)

    async def main(clock: VirtualClock) -> None:
        bench.connector.clock = clock
        surroundings = replace(bench.surroundings, clock=clock, chance=Random(4).random)
        make = partial(JobWork, work.folder, work.settings, database=bench.database, tell=work.told.append)
        make = partial(make, on_unsolicited=nobody)
        with_way = make(surroundings=surroundings, ways=lambda: Ways(collectors=frozenset(connected)))
        without = make(surroundings=replace(surroundings, connector=WithoutTheWay()))
        tasks = [asyncio.create_task(with_way.run())]
        await asyncio.sleep(21.1)  # between two looks of the other node's worker
        bench.database.jobs.enqueue([asked], clock.now())
        tasks.append(asyncio.create_task(without.run()))
        await asyncio.sleep(8)
        states.append(bench.database.job_book.job(asked.job_id).state)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run_virtually(main, NOW)
    assert set(told) == {meter_id}, "the node without the way was first"
    assert states == [JobState.DONE]


def test_the_log_says_only_what_is_kept(make_work: Callable, tmp_path: Path) -> None:
    work = make_work(2)
    logs = SessionLogs(Folder(tmp_path, log_folder=tmp_path))
    database = work.bench.database
    spoiled = work.bench.simulated.meters[0].meter_id

    class Choking:
        """Everything was written, and the line of the log called for, when the transaction fails."""

        def __getattr__(self, name: str) -> object:
            return getattr(logged, name)

        def save_all(self, savings: list) -> None:
            logged.save_all(savings)
            if any(one.delivery.meter_id == spoiled for one in savings):
                raise StorageError("the disk is full")

    logged = LoggedCollection(database.collection, logs, database.afterwards)
    work.bench.surroundings = replace(work.bench.surroundings, collection=Choking())
    work.run(timedelta(minutes=1))
    logs.close()
    lines = (tmp_path / "ingest.log").read_text().splitlines()
    assert [spoiled in line for line in lines] == [False]
    assert {one.meter_id for one in work.bench.deliveries()} == {work.bench.simulated.meters[1].meter_id}
