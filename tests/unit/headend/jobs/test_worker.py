"""Workers lease, read, save and give back; several share a fleet; none of them stores anything twice."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import pytest

from amity.domain.jobs import Bundle, JobKind, JobRequest, JobState, Lease, Priority
from amity.headend.jobs.lost_leases import LostLeases
from amity.headend.jobs.ports import JobQuery, LeaseTerms
from amity.headend.jobs.retry import Failure, RetryRules
from amity.headend.jobs.sessions import SessionResult
from amity.headend.jobs.worker import Done, Worker
from amity.kernel.backoff import Backoff
from amity.kernel.errors import StorageError
from amity.simulation.virtual_time import VirtualClock, run_virtually
from amity.storage.ot.database import OtDatabase
from tests.unit.headend.jobs.requests import NOW, request

AT_ONCE = RetryRules(attempts_max=3, backoff=Backoff(0.0, 0.0))


async def at_once(work: Callable) -> object:
    return work()


@dataclass
class PretendedMeters:
    """Sessions that take `takes_s` each and note what was kept; `failures` are told once each, by meter."""

    takes_s: float = 1.0
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)
    open_now: Counter[str] = field(default_factory=Counter)
    together_max: int = 0
    sessions: list[str] = field(default_factory=list)
    behind: Counter[str] = field(default_factory=Counter)
    unkept: set[str] = field(default_factory=set)

    async def announce(self, bundles: Sequence[Bundle]) -> None:
        pass

    async def read(self, bundle: Bundle) -> SessionResult:
        meter_id = bundle.meter_id
        self.sessions.append(meter_id)
        self.open_now[meter_id] += 1
        assert self.open_now[meter_id] == 1, "two associations with one meter"
        self.together_max = max(self.together_max, self.open_now.total())
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.open_now[meter_id] -= 1
        failure = self.failures.get(meter_id, []).pop(0) if self.failures.get(meter_id) else None
        behind = self.behind[meter_id] > 0
        self.behind[meter_id] -= behind

        return SessionResult(failure=failure, behind=behind, saving=meter_id if failure is None else None)

    def keep(self, savings: Sequence[str]) -> None:
        if self.unkept.intersection(savings):
            raise StorageError("no")
        self.kept.update(savings)


def worker(database: OtDatabase, meters: PretendedMeters, clock: VirtualClock, **changes: object) -> Worker:
    terms = LeaseTerms(changes.pop("name", "w1"), retry=AT_ONCE)
    settings = {"concurrency": 4, "disk": at_once, "chance": Random(1).random, "terms": lambda: terms, **changes}
    return Worker(database.jobs, meters, clock=clock, **settings)


def states(database: OtDatabase) -> Counter[str]:
    return Counter(str(job.state) for job in database.job_book.find(JobQuery(limit=10_000)))


def enqueue(database: OtDatabase, meters: int, kinds: Sequence[JobKind] = (JobKind.PROFILES,)) -> None:
    database.jobs.enqueue([request(f"M{n:03}", kind) for n in range(meters) for kind in kinds], NOW)


def test_every_due_job_is_done_within_the_sessions_that_are_allowed(database: OtDatabase) -> None:
    meters = PretendedMeters()
    enqueue(database, 10, (JobKind.PROFILES, JobKind.EVENTS))
    run_virtually(lambda clock: worker(database, meters, clock).drain(), NOW)
    assert states(database) == {"done": 20}
    assert meters.kept == {f"M{n:03}": 1 for n in range(10)}
    assert meters.together_max == 4


def test_a_passing_failure_is_tried_again_and_a_lasting_one_is_a_dead_letter(database: OtDatabase) -> None:
    silent, key = Failure("Timer T1 Timeout", "look at the line", True), Failure("wrong key", "mend the key", False)
    meters = PretendedMeters(failures={"M000": [silent, silent], "M001": [key], "M002": [silent] * 3})
    enqueue(database, 4)
    told: list[Done] = []
    run_virtually(lambda clock: worker(database, meters, clock, on_done=told.append).drain(), NOW)
    by_meter = {job.meter_id: job for job in database.job_book.find(JobQuery())}
    assert (by_meter["M000"].state, by_meter["M000"].attempts) == (JobState.DONE, 3)
    assert (by_meter["M001"].state, by_meter["M001"].remedy) == (JobState.DEAD, "mend the key")
    assert (by_meter["M002"].state, by_meter["M002"].told) == (JobState.DEAD, "Timer T1 Timeout")
    assert len(told) == 3 + 1 + 3 + 1


def test_a_meter_with_more_past_is_read_on_without_spending_attempts(database: OtDatabase) -> None:
    meters = PretendedMeters(behind=Counter({"M000": 7}))
    enqueue(database, 1)
    run_virtually(lambda clock: worker(database, meters, clock).drain(), NOW)
    assert meters.kept == {"M000": 8}
    assert states(database) == {"done": 1}


def test_two_workers_share_the_fleet(database: OtDatabase) -> None:
    meters = PretendedMeters()
    enqueue(database, 40)

    async def both(clock: VirtualClock) -> None:
        await asyncio.gather(*(worker(database, meters, clock, name=name).drain() for name in ("w1", "w2")))

    run_virtually(both, NOW)
    assert meters.kept == {f"M{n:03}": 1 for n in range(40)}
    assert {job.worker for job in database.job_book.find(JobQuery())} == {"w1", "w2"}


def test_a_lease_is_renewed_while_a_long_session_lasts(database: OtDatabase) -> None:
    meters = PretendedMeters(takes_s=600.0)
    enqueue(database, 1)

    async def both(clock: VirtualClock) -> None:
        await asyncio.gather(*(worker(database, meters, clock, name=name).drain() for name in ("w1", "w2")))

    run_virtually(both, NOW)
    assert meters.sessions == ["M000"]
    assert meters.kept == {"M000": 1}


def test_a_worker_that_holds_nothing_renews_nothing(database: OtDatabase) -> None:
    renewals: list[object] = []

    class Counted:
        def __getattr__(self, name: str) -> object:
            return getattr(database.jobs, name)

        def renew(self, leases: Collection[Lease], now: datetime) -> frozenset[Lease]:
            renewals.append(leases)
            return database.jobs.renew(leases, now)

    async def idle_then_busy(clock: VirtualClock) -> None:
        terms = LeaseTerms("idle", retry=AT_ONCE)
        made = Worker(
            Counted(),
            PretendedMeters(takes_s=100.0),
            terms=lambda: terms,
            concurrency=1,
            clock=clock,
            disk=at_once,
            chance=Random(1).random,
        )
        running = asyncio.create_task(made.run())
        await asyncio.sleep(300)
        assert not renewals
        enqueue(database, 1)
        made.wake()
        await asyncio.sleep(90)
        assert renewals
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtually(idle_then_busy, NOW)


def test_a_worker_that_cannot_renew_lets_the_session_go_before_the_lease_ends(database: OtDatabase) -> None:
    """Another worker then takes the meter: never two associations, and what came is kept once."""
    meters = PretendedMeters(takes_s=100.0)
    enqueue(database, 1)

    class Unrenewable:
        def __getattr__(self, name: str) -> object:
            return getattr(database.jobs, name)

        def renew(self, _leases: object, _until: object) -> frozenset:
            raise StorageError("the disk is full")

    async def both(clock: VirtualClock) -> None:
        terms = LeaseTerms("stuck", retry=AT_ONCE)
        stuck = Worker(
            Unrenewable(),
            meters,
            terms=lambda: terms,
            concurrency=1,
            clock=clock,
            disk=at_once,
            chance=Random(1).random,
        )
        running = asyncio.create_task(stuck.run())
        await asyncio.sleep(2)
        healthy = asyncio.create_task(worker(database, meters, clock, name="healthy").run())
        await asyncio.sleep(300)
        running.cancel()
        await asyncio.sleep(5)
        healthy.cancel()
        await asyncio.gather(running, healthy, return_exceptions=True)

    run_virtually(both, NOW)
    assert meters.kept == {"M000": 1}
    assert states(database) == {"done": 1}


def test_a_worker_that_lost_its_lease_in_its_sleep_stores_nothing(database: OtDatabase) -> None:
    """Its clock stood still: it does not know that another has the meter. The fence does."""
    meters = PretendedMeters()
    enqueue(database, 1)
    terms = LeaseTerms("asleep", retry=AT_ONCE)
    (bundle,) = database.jobs.lease(terms, 1, NOW)
    database.jobs.revoke(database.jobs.leases())
    (again,) = database.jobs.lease(LeaseTerms("other"), 1, NOW)
    assert again.lease.fence > bundle.lease.fence

    async def late(clock: VirtualClock) -> None:
        asleep = worker(database, meters, clock)
        result = await meters.read(bundle)
        held = type("Held", (), {"bundle": bundle, "until": NOW, "until_s": 0.0, "session": None})()
        asleep._held.add(held)
        await asleep._save([type("Ended", (), {"held": held, "result": result, "not_kept": None})()])

    run_virtually(late, NOW)
    assert meters.kept == Counter()
    assert [job.worker for job in database.job_book.find(JobQuery())] == ["other"]


class Dishonest:
    """A clock that is off by `ahead`, which somebody sets."""

    def __init__(self, true: VirtualClock) -> None:
        self._true = true
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return self._true.now() + self.ahead


@pytest.mark.parametrize("jump_s", [7200, 61, -61, -7200])
@pytest.mark.parametrize("who_jumps", [("w1", "w2"), ("w1",), ("w2",)])
def test_clocks_that_jump_bring_no_second_association_about(
    database: OtDatabase, who_jumps: Sequence[str], jump_s: int
) -> None:
    """All of them at once, as those of one time server do, or one alone: a meter has one session at a time."""
    meters = PretendedMeters(takes_s=150.0)
    enqueue(database, 8)
    patient = replace(AT_ONCE, attempts_max=20)
    rarely = {name: LeaseTerms(name, look_every=timedelta(seconds=7), retry=patient) for name in ("w1", "w2")}

    async def both(true: VirtualClock) -> None:
        clocks = {name: Dishonest(true) for name in ("w1", "w2")}
        at_work = [
            asyncio.create_task(worker(database, meters, clocks[name], terms=lambda name=name: rarely[name]).run())
            for name in clocks
        ]
        for turn in range(1, 7):
            await asyncio.sleep(97)
            for name in who_jumps:
                clocks[name].ahead = timedelta(seconds=jump_s * (turn % 2))
        await asyncio.sleep(1000)
        for one in at_work:
            one.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)

    run_virtually(both, NOW)
    assert meters.kept == {f"M{n:03}": 1 for n in range(8)}
    assert states(database) == {"done": 8}


def test_the_meters_of_a_worker_that_died_are_read_once_its_leases_can_have_no_holder(database: OtDatabase) -> None:
    meters, begun_s = PretendedMeters(), []
    enqueue(database, 3)
    terms = LeaseTerms("dead")
    assert len(database.jobs.lease(terms, 9, NOW)) == 3

    async def alone(clock: VirtualClock) -> None:
        running = asyncio.create_task(worker(database, meters, clock).run())
        while not meters.kept:  # noqa: ASYNC110 - the meters tell nobody
            await asyncio.sleep(1)
        begun_s.append((clock.now() - NOW).total_seconds())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtually(alone, NOW)
    assert terms.duration.total_seconds() <= begun_s[0] <= terms.duration.total_seconds() + 15


def test_the_meters_of_the_dead_are_read_though_nobody_lives_as_long_as_their_leases(database: OtDatabase) -> None:
    """A node that is killed again and again goes on where the one before it ended."""
    enqueue(database, 3)
    assert len(database.jobs.lease(LeaseTerms("dead"), 9, NOW)) == 3

    async def a_short_life(clock: VirtualClock) -> None:
        stuck = PretendedMeters(takes_s=1e6)
        made = worker(database, stuck, clock)
        made._give_back = lambda: asyncio.sleep(0)  # killed
        running = asyncio.create_task(made.run())
        await asyncio.sleep(17)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    fences, now = [], NOW
    for _ in range(14):
        run_virtually(a_short_life, now)
        now += timedelta(seconds=22)
        fences.append(max(one.fence for one in database.jobs.leases()))
    assert fences[0] == 1
    assert fences[-1] >= 2, "taken over, and over again"
    assert fences == sorted(fences)


def test_two_who_look_at_the_same_silence_do_not_count_it_twice(database: OtDatabase) -> None:
    enqueue(database, 1)
    (bundle,) = database.jobs.lease(LeaseTerms("dead"), 9, NOW)

    async def story(clock: VirtualClock) -> float:
        watches = [LostLeases(database.jobs, at_once) for _ in range(5)]
        while database.jobs.leases():
            for one in watches:
                await one.look()
            await asyncio.sleep(1)
        return (clock.now() - NOW).total_seconds()

    lasts_s = bundle.lease.lasts.total_seconds()
    assert lasts_s <= run_virtually(story, NOW) <= lasts_s + 15


def test_a_lease_that_was_renewed_is_silent_from_then_on(database: OtDatabase) -> None:
    enqueue(database, 1)
    (bundle,) = database.jobs.lease(LeaseTerms("w1"), 9, NOW)

    async def story(clock: VirtualClock) -> None:
        watch = LostLeases(database.jobs, at_once)
        for _ in range(5):
            await asyncio.sleep(11)
            await watch.look()
        (seen,) = database.jobs.leases()
        assert 40 <= seen.silent.total_seconds() <= 55
        assert database.jobs.renew([bundle.lease], clock.now()) == {bundle.lease}
        (again,) = database.jobs.leases()
        assert again.silent == timedelta(0)
        database.jobs.note_silence({seen: timedelta(seconds=50)})
        assert [one.silent for one in database.jobs.leases()] == [timedelta(0)], "it was noted too late"

    run_virtually(story, NOW)


def test_what_somebody_waited_for_is_wanted_no_more_when_the_worker_is_stopped(database: OtDatabase) -> None:
    enqueue(database, 1, (JobKind.PING, JobKind.EVENTS))
    (ping,) = (job.job_id for job in database.job_book.find(JobQuery()) if job.kind is JobKind.PING)
    terms = LeaseTerms("w1", retry=replace(AT_ONCE, told_at_once=frozenset({ping})))

    async def stopped(clock: VirtualClock) -> None:
        running = asyncio.create_task(worker(database, PretendedMeters(1e4), clock, terms=lambda: terms).run())
        await asyncio.sleep(10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtually(stopped, NOW)
    assert {job.kind: job.state for job in database.job_book.find(JobQuery())} == {
        JobKind.PING: JobState.CANCELLED,
        JobKind.EVENTS: JobState.WAITING,
    }


def test_a_worker_whose_clock_stands_still_lets_go_of_what_it_cannot_renew(database: OtDatabase) -> None:
    """Its clock says that there is time; the time that passed here says that the lease is over."""
    meters, told = PretendedMeters(takes_s=300.0), []
    enqueue(database, 1)

    class Unrenewable:
        def __getattr__(self, name: str) -> object:
            return getattr(database.jobs, name)

        def renew(self, _leases: object, _now: object) -> frozenset:
            raise StorageError("the disk is full")

    class Still:
        def now(self) -> datetime:
            return NOW

    async def story(_clock: VirtualClock) -> None:
        made = worker(database, meters, Still(), on_done=told.append)
        made._jobs = Unrenewable()
        await made.run_until(asyncio.sleep(59))
        assert meters.open_now.total() == 0

    run_virtually(story, NOW)
    assert [done.accepted for done in told] == [False]


def test_a_worker_that_is_stopped_gives_its_meters_back_at_once(database: OtDatabase) -> None:
    meters = PretendedMeters(takes_s=1000.0)
    enqueue(database, 3)

    async def stopped(clock: VirtualClock) -> None:
        running = asyncio.create_task(worker(database, meters, clock).run())
        await asyncio.sleep(10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtually(stopped, NOW)
    assert len(database.jobs.lease(LeaseTerms("next"), 10, NOW + timedelta(seconds=11))) == 3


def test_what_cannot_be_kept_takes_no_other_meter_with_it(database: OtDatabase) -> None:
    meters, told = PretendedMeters(unkept={"M001"}), []
    enqueue(database, 4)

    async def until_three_are_done(clock: VirtualClock) -> None:
        running = asyncio.create_task(worker(database, meters, clock, on_done=told.append).run())
        await asyncio.sleep(5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtually(until_three_are_done, NOW)
    assert meters.kept == {"M000": 1, "M002": 1, "M003": 1}
    assert [done.bundle.meter_id for done in told if done.not_kept] == ["M001"] * AT_ONCE.attempts_max
    (dead,) = database.job_book.find(JobQuery(states=frozenset({JobState.DEAD})))
    assert (dead.meter_id, dead.told) == ("M001", "no")


def test_a_reader_that_has_a_defect_is_told_and_stops_nobody(database: OtDatabase) -> None:
    class Broken(PretendedMeters):
        async def read(self, bundle: Bundle) -> SessionResult:
            if bundle.meter_id == "M000":
                raise KeyError("oh")
            return await super().read(bundle)

    enqueue(database, 2)
    run_virtually(lambda clock: worker(database, Broken(), clock).drain(), NOW)
    dead = database.job_book.find(JobQuery(states=frozenset({JobState.DEAD})))
    assert [(job.meter_id, "KeyError" in job.told) for job in dead] == [("M000", True)]
    assert states(database) == {"done": 1, "dead": 1}


def test_follow_ups_are_enqueued_with_the_result(database: OtDatabase) -> None:
    follow_up = JobRequest("M000", JobKind.CLOCK_SET, Priority.SCHEDULED, NOW, "follow")

    class Following(PretendedMeters):
        async def read(self, bundle: Bundle) -> SessionResult:
            wanted = (follow_up,) if JobKind.CLOCK_CHECK in bundle.kinds else ()
            return SessionResult(follow_ups=wanted)

    enqueue(database, 1, (JobKind.CLOCK_CHECK,))
    run_virtually(lambda clock: worker(database, Following(), clock).drain(), NOW)
    assert {(job.kind, job.state) for job in database.job_book.find(JobQuery())} == {
        (JobKind.CLOCK_CHECK, JobState.DONE),
        (JobKind.CLOCK_SET, JobState.DONE),
    }


def test_a_disk_that_fails_is_told_and_work_goes_on_when_it_is_mended(database: OtDatabase) -> None:
    meters = PretendedMeters()
    enqueue(database, 2)
    broken = [True]

    class Failing:
        def __getattr__(self, name: str) -> object:
            if name == "lease" and broken:
                raise StorageError("the disk is full")
            return getattr(database.jobs, name)

    async def mended(clock: VirtualClock) -> str:
        terms = LeaseTerms("w1")
        one = Worker(
            Failing(), meters, terms=lambda: terms, concurrency=2, clock=clock, disk=at_once, chance=Random(1).random
        )
        running = asyncio.create_task(one.run())
        await asyncio.sleep(1)
        told = str(one.last_error)
        broken.clear()
        await asyncio.sleep(30)
        assert one.last_error is None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return told

    assert run_virtually(mended, NOW) == "the disk is full"
    assert meters.kept == {"M000": 1, "M001": 1}


def test_a_worker_that_is_stopped_while_the_disk_fails_just_ends(database: OtDatabase) -> None:
    """It once fell over what it had to save, which was nothing."""

    async def failing(_work: Callable) -> object:
        raise StorageError("the database server is not there")

    async def scenario(clock: VirtualClock) -> None:
        working = asyncio.create_task(worker(database, PretendedMeters(), clock, disk=failing).run())
        await asyncio.sleep(5)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    run_virtually(scenario, NOW)


def test_draining_with_a_failing_disk_raises(database: OtDatabase) -> None:
    class Failing:
        def __getattr__(self, name: str) -> object:
            if name == "lease":
                raise StorageError("the disk is full")
            return getattr(database.jobs, name)

    async def drained(clock: VirtualClock) -> None:
        terms = LeaseTerms("w1")
        await Worker(
            Failing(),
            PretendedMeters(),
            terms=lambda: terms,
            concurrency=2,
            clock=clock,
            disk=at_once,
            chance=Random(1).random,
        ).drain()

    with pytest.raises(StorageError, match="full"):
        run_virtually(drained, NOW)


# ------------------------------------------------------------------ leases that are slow to come
def test_a_lease_lasts_as_long_as_agreed_however_long_the_disk_was_waited_for(database: OtDatabase) -> None:
    """A session of 30 s under a lease of 60 s, granted when the disk had kept us waiting for longer than that."""
    meters = PretendedMeters(takes_s=30.0)
    enqueue(database, 1)
    waits = [90.0]

    async def slow(work: Callable) -> object:
        await asyncio.sleep(waits.pop() if waits else 0.0)
        return work()

    run_virtually(lambda clock: worker(database, meters, clock, disk=slow).run_until(asyncio.sleep(200)), NOW)
    assert meters.kept == {"M000": 1}
    assert meters.sessions == ["M000"], "the first lease was good for its session"


def test_a_lease_that_ran_out_before_its_session_began_begins_none(database: OtDatabase) -> None:
    """Somebody else may hold the meter by then."""

    class Slow(PretendedMeters):
        async def announce(self, bundles: Sequence[Bundle]) -> None:
            if not self.sessions and bundles and not self.behind.pop("late", 0):
                await asyncio.sleep(0)
            elif bundles:
                await asyncio.sleep(70)

    class Unrenewable:
        def __getattr__(self, name: str) -> object:
            return getattr(database.jobs, name)

        def renew(self, _leases: object, _until: object) -> frozenset:
            raise StorageError("the disk is full")

    meters, told = Slow(behind=Counter({"late": 1})), []
    enqueue(database, 1)
    terms = LeaseTerms("w1", retry=AT_ONCE)

    async def story(clock: VirtualClock) -> None:
        one = Worker(
            Unrenewable(), meters, terms=lambda: terms, concurrency=1, clock=clock, disk=at_once,
            chance=Random(1).random, on_done=told.append,
        )  # fmt: skip
        await one.run_until(asyncio.sleep(69))
        assert meters.sessions == []

    run_virtually(story, NOW)
    assert [done.accepted for done in told] == [False]


# ------------------------------------------------------------------ one meter's trouble is its own
class Unknowable(PretendedMeters):
    """A meter of which not even what is needed for its session can be fetched."""

    async def announce(self, bundles: Sequence[Bundle]) -> None:
        if any(one.meter_id == "M001" for one in bundles):
            raise KeyError("no such profile")


def test_a_meter_that_cannot_be_announced_takes_no_other_with_it(database: OtDatabase) -> None:
    meters = Unknowable()
    enqueue(database, 4)
    run_virtually(lambda clock: worker(database, meters, clock).drain(), NOW)
    assert set(meters.kept) == {"M000", "M002", "M003"}
    (dead,) = database.job_book.find(JobQuery(states=frozenset({JobState.DEAD})))
    assert (dead.meter_id, "KeyError" in dead.told) == ("M001", True)


def test_leases_whose_meters_could_not_be_announced_are_not_held_for_ever(database: OtDatabase) -> None:
    class Failing(PretendedMeters):
        async def announce(self, bundles: Sequence[Bundle]) -> None:
            if bundles and not self.behind["mended"]:
                raise StorageError("the disk is full")

    meters = Failing()
    enqueue(database, 1)

    async def story(clock: VirtualClock) -> None:
        async def mended() -> None:
            await asyncio.sleep(1)
            meters.behind["mended"] = 1
            await asyncio.sleep(100)

        await worker(database, meters, clock).run_until(mended())

    run_virtually(story, NOW)
    assert meters.sessions[:1] == ["M000"]


def test_what_the_disk_chokes_on_is_a_dead_letter_of_its_own_meter(database: OtDatabase) -> None:
    class Choking(PretendedMeters):
        def keep(self, savings: Sequence[str]) -> None:
            if "M001" in savings:
                raise OverflowError("Python int too large to convert to SQLite INTEGER")
            super().keep(savings)

    meters = Choking()
    enqueue(database, 4)
    run_virtually(lambda clock: worker(database, meters, clock).drain(), NOW)
    assert meters.kept == {"M000": 1, "M002": 1, "M003": 1}
    (dead,) = database.job_book.find(JobQuery(states=frozenset({JobState.DEAD})))
    assert (dead.meter_id, "OverflowError" in dead.told) == ("M001", True)


# ------------------------------------------------------------------ here and now
def now_for(database: OtDatabase, meter_id: str) -> Callable[[], list[str]]:
    """Makes an on-demand job for the meter, in the transaction of its lease."""

    def meters() -> list[str]:
        database.jobs.enqueue([request(meter_id, key="now", priority=Priority.ON_DEMAND)], NOW)
        return [meter_id]

    return meters


def test_one_meter_is_read_now_under_a_lease_and_nothing_else_is(database: OtDatabase) -> None:
    meters = PretendedMeters()
    enqueue(database, 3)
    assert run_virtually(lambda clock: worker(database, meters, clock).do(now_for(database, "M001")), NOW)
    assert meters.kept == {"M001": 1}
    assert states(database) == {"done": 2, "waiting": 2}


def test_a_meter_that_another_worker_holds_is_not_called_and_no_job_is_left(database: OtDatabase) -> None:
    meters = PretendedMeters()
    enqueue(database, 1)
    assert database.jobs.lease(LeaseTerms("other"), 1, NOW)
    assert not run_virtually(lambda clock: worker(database, meters, clock).do(now_for(database, "M000")), NOW)
    assert meters.sessions == []
    assert states(database) == {"leased": 1}
