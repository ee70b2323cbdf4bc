from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventKind, MeterEvent
from amity.kernel.errors import NotFoundError
from amity.messaging.codec import ProtobufCodec
from amity.usecases.condition import Condition, condition_of
from amity.usecases.issues import Severity, Situation, find_issues
from amity.usecases.load import Gap
from amity.usecases.ports import CollectionState, DeadLetter, StoredEvent, VeeException
from amity.usecases.services import Services
from amity.usecases.town import TownOverview, town_overview
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import NOW, build_town, fill

QUIET = Situation(NOW, (), {}, {}, (), (), (), (), ())


def services_of(database: MemoryDatabase, now: datetime = NOW) -> Services:
    return Services(database, MemoryLogins(), ProtobufCodec(), FixedClock(now), bytes)


def state(meter_id: str, outcome: Outcome = Outcome.COMPLETE, at: datetime = NOW, offset: int = 0) -> CollectionState:
    return CollectionState(meter_id, outcome, at, (), at, 1, offset, 0)


def silent_town(silent: int, fed: int = 10) -> Situation:
    town = build_town(fed)
    meters = [f"M{i}" for i in range(fed)]
    states = [state(m, Outcome.SILENT if i < silent else Outcome.COMPLETE) for i, m in enumerate(meters)]
    return replace(
        QUIET,
        transformers=town.transformers[:1],
        transformer_of=dict.fromkeys(meters, town.transformers[0].transformer_id),
        states=states,
    )


@pytest.fixture(scope="module")
def overview():
    database = MemoryDatabase()
    fill(database, ProtobufCodec())
    return town_overview(services_of(database))


def test_before_provisioning_there_is_a_next_step():
    with pytest.raises(NotFoundError) as caught:
        town_overview(services_of(MemoryDatabase()))
    assert caught.value.next_step


def test_a_provisioned_town_without_a_reading_waits_and_has_no_trouble():
    database = MemoryDatabase()
    database.registry.provision(build_town(20))
    town = town_overview(services_of(database))
    assert town.conditions == {Condition.WAITING: 20}
    assert (town.issues, town.days, town.gaps, town.known_until) == ((), (), (), None)
    assert not town.today.meters.any()


def test_conditions_add_up_to_the_meters(overview: TownOverview):
    assert Counter(meter.condition for meter in overview.meters) == overview.conditions
    assert sum(overview.conditions.values()) == 200


def test_days_run_up_to_today_and_each_adds_up(overview: TownOverview):
    assert [day.day.isoformat() for day in overview.days] == ["2026-03-16", "2026-03-17", "2026-03-18"]
    assert all(day.missing >= 0 and day.measured > 0 for day in overview.days)
    assert overview.known_until == datetime(2026, 3, 18, 13, 30, tzinfo=UTC)


def test_nothing_is_due_after_what_the_town_has(overview: TownOverview):
    assert max(gap.end_s for gap in overview.gaps) <= overview.known_until.timestamp()


def test_when_the_newest_intervals_of_the_town_are_overdue_it_says_so_and_expects_them():
    database = MemoryDatabase()
    fill(database, ProtobufCodec())
    fresh = town_overview(services_of(database, NOW + timedelta(minutes=24)))  # 13:30 to 13:45 is 19 minutes old
    assert "late-intervals" not in {issue.kind for issue in fresh.issues}
    late = town_overview(services_of(database, NOW + timedelta(minutes=25)))
    (issue,) = [issue for issue in late.issues if issue.kind == "late-intervals"]
    assert issue.title == "The newest quarter hours of 198 meters have not arrived"
    assert issue.since == fresh.known_until == datetime(2026, 3, 18, 13, 30, tzinfo=UTC)
    assert late.days[-1].expected - fresh.days[-1].expected == 200  # also the two that never had a channel
    assert late.days[-1].missing - fresh.days[-1].missing == 200


def test_findings_and_gaps_say_at_which_time_to_look(overview: TownOverview):
    (peak,) = [issue for issue in overview.issues if issue.kind == "vee-spike-check"]
    assert set(peak.look_at) == set(peak.meter_ids)
    assert {moment.date().isoformat() for moment in peak.look_at.values()} == {"2026-03-18"}


def test_objects_that_no_mapping_names_are_counted_by_meter(overview: TownOverview):
    (issue,) = [issue for issue in overview.issues if issue.kind == "unknown-objects"]
    assert issue.title == "4 meters send objects that no mapping names"
    assert len(issue.meter_ids) == 4


def test_a_head_end_that_stopped_makes_the_days_incomplete():
    database = MemoryDatabase()
    fill(database, ProtobufCodec())
    later = town_overview(services_of(database, NOW + timedelta(hours=5)))
    assert later.issues[0].kind == "head-end-quiet"
    assert later.days[-1].missing > 200 * 15


def test_outcomes_map_to_conditions_without_a_hole():
    assert {condition_of(state("M", outcome)) for outcome in Outcome} == set(Condition) - {Condition.WAITING}
    assert condition_of(None) is Condition.WAITING


@pytest.mark.parametrize(
    ("silent", "kind"), [(2, "silent"), (3, "silent"), (5, "outage-suspected"), (10, "outage-suspected")]
)
def test_many_silent_meters_of_one_transformer_are_an_outage_and_few_are_not(silent: int, kind: str):
    assert [issue.kind for issue in find_issues(silent_town(silent))] == [kind]


def test_an_outage_says_since_when_from_the_last_gasps():
    gasp = NOW - timedelta(minutes=7)
    events = [StoredEvent("M1", MeterEvent(EventKind.POWER_DOWN, 1, gasp, pushed=True))]
    (issue,) = find_issues(replace(silent_town(6), events=events))
    assert issue.since == gasp
    assert "1 of them reported" in issue.explanation
    assert len(issue.meter_ids) == 6


def test_dark_transformers_of_one_feeder_are_one_outage():
    town = build_town(20)
    on_one = [replace(t, feeder_id="F9") for t in town.transformers[:2]]
    meters = {f"M{i}": on_one[i % 2].transformer_id for i in range(8)}
    situation = replace(
        QUIET, transformers=on_one, transformer_of=meters, states=[state(m, Outcome.SILENT) for m in meters]
    )
    (issue,) = find_issues(situation)
    assert issue.title == "Suspected outage at feeder F9"
    assert set(issue.transformer_ids) == {t.transformer_id for t in on_one}


def test_a_healthy_town_has_no_issue():
    assert find_issues(silent_town(0)) == []


def test_the_worst_comes_first_and_each_kind_of_trouble_is_named():
    exceptions = [
        VeeException(1, "spike-check", "1", 0, 900, "98000 Wh", NOW),
        VeeException(1, "register-sum-check", "1", 0, 900, "differs", NOW),
        VeeException(1, "missing-intervals", "1", 0, 900, "gap", NOW),
        VeeException(1, "a-new-rule", "3", 0, 900, "odd", NOW),
    ]
    situation = replace(
        silent_town(5),
        meter_of_channel={1: "M7"},
        exceptions=exceptions,
        gaps=[Gap("M9", 0, 3 * 3600), Gap("M8", 0, 3600)],
        dead_letters=[DeadLetter("s", b"", "not protobuf", NOW)],
        events=[StoredEvent("M6", MeterEvent(EventKind.MAGNETIC_FIELD, 2, NOW - timedelta(hours=1)))],
    )
    situation = replace(
        situation,
        states=[
            *situation.states[:-3],
            state("M7", offset=-400),
            state("M8", Outcome.WRONG_KEY),
            state("M9", Outcome.PARTIAL),
            state("M10", Outcome.BROKEN),
        ],
    )
    issues = find_issues(situation)
    assert [issue.severity for issue in issues] == sorted((issue.severity for issue in issues), reverse=True)
    assert issues[0].severity is Severity.CRITICAL
    kinds = {issue.kind for issue in issues}
    assert kinds == {
        "outage-suspected", "wrong-key", "broken-session", "clock", "vee-spike-check", "vee-register-sum-check",
        "vee-a-new-rule", "gap", "tamper", "undecodable",
    }  # fmt: skip
    assert all(issue.explanation and issue.next_step for issue in issues)


def test_an_old_intrusion_is_no_news():
    events = [StoredEvent("M1", MeterEvent(EventKind.COVER_OPENED, 2, NOW - timedelta(days=2)))]
    assert find_issues(replace(silent_town(0), events=events)) == []


def test_a_last_gasp_is_not_lost_under_later_events():
    database = MemoryDatabase()
    fill(database, ProtobufCodec(), meters=100)
    noise = tuple(MeterEvent(EventKind.POWER_UP, 2, NOW - timedelta(seconds=i)) for i in range(300))
    database.deliveries.record(Delivery("noise", "M", "S", NOW, Outcome.PUSHED, events=noise), b"", received_at=NOW)
    town = town_overview(services_of(database))
    assert "5 of them reported" in town.issues[0].explanation
    assert len(town.events) == 50
