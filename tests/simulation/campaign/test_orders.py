"""Who watches schedulers, leases, lanes and stores says nothing of what is well and cries at what is not."""

from datetime import UTC, datetime, timedelta

import pytest

from amity.collector.ports import HeldPush
from amity.domain.jobs import NOWHERE, Bundle, Firing, JobKind, Lease, ReadingSchedule
from amity.headend.jobs.calendar import Calendar
from amity.simulation.campaign.fences import Fences
from amity.simulation.campaign.fires import Fires
from amity.simulation.campaign.machine import Machine, MachineClock
from amity.simulation.campaign.overtaking import Overtaking
from amity.simulation.campaign.shelves import Shelves
from amity.simulation.campaign.witness import Invariant, Witness
from amity.simulation.virtual_time import VirtualClock

FIRE = datetime(2026, 11, 20, 12, tzinfo=UTC)
METERS = ["A", "B", "C"]
CALENDAR = Calendar(ReadingSchedule("s", "* * * * *", "UTC", (JobKind.PROFILES,), every=timedelta(hours=1)))
BEFORE = Firing("s", FIRE - timedelta(hours=1))
HALF_WAY = Firing("s", BEFORE.last, FIRE, "B")
WHOLE = Firing("s", FIRE)


@pytest.fixture
def witness() -> Witness:
    return Witness(lambda: 0.0)


@pytest.fixture
def node(witness: Witness) -> Machine:
    class Standing:
        def time(self) -> float:
            return 0.0

    return Machine("node", "10.0.0.1", MachineClock(VirtualClock(FIRE, Standing())), witness)  # type: ignore[arg-type]


def cried(witness: Witness) -> list[str]:
    return [violation.invariant for violation in witness.violations]


def asked_for(fires: Fires, meters: list[str]) -> frozenset[str]:
    requests = [one for meter in meters for one in CALENDAR.requests(meter, FIRE, NOWHERE)]
    fires.asked(requests, [one.job_id for one in requests])
    return frozenset(one.job_id for one in requests)


def test_a_fire_that_was_handed_out_page_by_page_is_well(witness: Witness, node: Machine) -> None:
    fires = Fires(witness)
    jobs = asked_for(fires, METERS)
    fires.moved(None, BEFORE, node)
    fires.moved(BEFORE, HALF_WAY, node)
    fires.moved(HALF_WAY, WHOLE, node)
    fires.judge(CALENDAR, METERS, jobs, FIRE)
    assert not witness.violations


@pytest.mark.parametrize("meters", [["A", "B"], []])
def test_a_mark_that_passed_a_meter_without_a_job_is_seen(witness: Witness, node: Machine, meters: list[str]) -> None:
    fires = Fires(witness)
    jobs = asked_for(fires, meters)
    fires.moved(BEFORE, WHOLE, node)
    fires.judge(CALENDAR, METERS, jobs, FIRE)
    assert cried(witness) == [Invariant.FIRES] * (len(METERS) - len(meters))


def test_a_page_that_was_handed_out_twice_is_seen_and_so_is_a_fire_that_was_not(
    witness: Witness, node: Machine
) -> None:
    fires = Fires(witness)
    jobs = asked_for(fires, METERS)
    for _ in range(2):
        fires.moved(HALF_WAY, WHOLE, node)
    fires.judge(CALENDAR, METERS, jobs, FIRE + timedelta(hours=1))
    assert cried(witness) == [Invariant.FIRES] * 2


def test_what_a_lost_lease_brought_is_not_to_be_stored(witness: Witness) -> None:
    fences = Fences(witness)
    old, new = (Lease("M", "w", fence, FIRE) for fence in (1, 2))
    fences.given([Bundle(old, ())])
    fences.brought("one", old)
    fences.stored(["one"])
    assert not witness.violations
    fences.given([Bundle(new, ())])
    fences.stored(["one"])
    assert cried(witness) == [Invariant.NOTHING_OF_LOST_LEASES]


def push(number: int, *, urgent: bool = False) -> HeldPush:
    return HeldPush(number, FIRE, "10.1.0.1", urgent, b"")


def test_bulk_before_an_alarm_that_a_link_owes_is_seen(witness: Witness) -> None:
    overtaking = Overtaking(witness)
    overtaking.kept("DC1", [push(1), push(2, urgent=True), push(3)])
    owed = dict(overtaking.waiting_at("DC1"))
    overtaking.sent("DC1", 2, {})
    overtaking.sent("DC1", 1, {})
    assert not witness.violations
    overtaking.sent("DC1", 3, owed)
    assert cried(witness) == [Invariant.ALARMS_FIRST]
    overtaking.gone("DC1", [2])
    overtaking.sent("DC1", 3, owed)
    assert len(witness.violations) == 1


@pytest.mark.parametrize(
    ("left", "counted", "is_well"),
    [({2, 3, 4}, 1, True), ({2, 4}, 2, True), ({2, 3, 4}, 2, False), ({1, 2, 3}, 1, False), ({1, 3, 4}, 1, False)],
    ids=["oldest", "two", "counted wrongly", "newest", "alarm"],
)
def test_a_store_drops_its_oldest_bulk(witness: Witness, left: set[int], counted: int, *, is_well: bool) -> None:
    shelves = Shelves(witness)
    shelves.put("DC1", [push(1), push(2, urgent=True), push(3), push(4)])
    assert not shelves.has_room("DC1", counted)
    shelves.dropped("DC1", left, counted)
    assert cried(witness) == ([] if is_well else [Invariant.ROOM])
    assert shelves.has_room("DC1", counted)
