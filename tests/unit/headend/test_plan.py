"""A session reads what is new and due, no more than the meter holds and no more than is safe in one piece."""

from datetime import UTC, datetime, timedelta

from amity.devices.profiles import packaged_profile
from amity.headend.plan import Plan, ReadingRules, make_plan
from amity.headend.ports import Progress

NORRVIK = packaged_profile("norrvik_n1")
RULES = ReadingRules()
NOW = datetime(2026, 11, 20, 6, 17, 42, tzinfo=UTC)
QUARTER = datetime(2026, 11, 20, 6, 15, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


def plan(progress: Progress, now: datetime = NOW, rules: ReadingRules = RULES) -> Plan:
    return make_plan(NORRVIK, progress, now, rules)


def test_at_first_contact_some_days_are_read() -> None:
    first = plan(Progress())
    assert first.intervals_from == datetime(2026, 11, 17, 6, 15, tzinfo=UTC)
    assert first.intervals_until == QUARTER
    assert first.snapshots_after == first.events_after == NOW - timedelta(days=3)
    assert (first.meets_unknown_past, first.more_past) == (True, False)


def test_later_only_what_is_new_is_read() -> None:
    later = plan(Progress(QUARTER - timedelta(minutes=30), MIDNIGHT, NOW - timedelta(hours=1)))
    assert (later.intervals_from, later.intervals_until) == (QUARTER - timedelta(minutes=30), QUARTER)
    assert later.snapshots_after is None
    assert later.events_after == NOW - timedelta(hours=1)
    assert not later.meets_unknown_past


def test_a_profile_without_a_new_row_is_left_out() -> None:
    nothing = plan(Progress(QUARTER, MIDNIGHT))
    assert (nothing.intervals_from, nothing.intervals_until) == (None, None)


def test_a_row_is_due_only_when_it_has_settled() -> None:
    progress = Progress(QUARTER, MIDNIGHT)
    next_quarter = QUARTER + timedelta(minutes=15)
    assert plan(progress, next_quarter + timedelta(seconds=4)).intervals_from is None
    assert plan(progress, next_quarter + timedelta(seconds=5)).intervals_until == next_quarter


def test_the_snapshot_of_midnight_is_due_after_midnight() -> None:
    progress = Progress(QUARTER, MIDNIGHT)
    tomorrow = MIDNIGHT + timedelta(days=1)
    assert plan(progress, tomorrow + timedelta(seconds=4)).snapshots_after is None
    assert plan(progress, tomorrow + timedelta(seconds=5)).snapshots_after == MIDNIGHT


def test_no_more_is_asked_for_than_the_meter_holds() -> None:
    ancient = plan(Progress(NOW - timedelta(days=500)), rules=ReadingRules(session_span=timedelta(days=400)))
    assert ancient.intervals_from == QUARTER - timedelta(days=60)


def test_a_long_gap_is_cut_into_pieces() -> None:
    piece = plan(Progress(QUARTER - timedelta(days=20)))
    assert piece.intervals_until == QUARTER - timedelta(days=13)
    assert piece.more_past


def test_progress_in_the_future_asks_for_nothing() -> None:
    assert plan(Progress(NOW + timedelta(days=1), NOW + timedelta(days=1))).intervals_from is None


def test_registers_are_totals_and_instants_not_amounts_of_intervals() -> None:
    for key in ("norrvik_n1", "tarn_t4", "castellan_c3"):
        registers = {str(obis) for _, obis in make_plan(packaged_profile(key), Progress(), NOW, RULES).registers}
        assert "1.0.1.8.0.255" in registers
        assert not {obis for obis in registers if ".29." in obis or obis.startswith("0.0.96")}
