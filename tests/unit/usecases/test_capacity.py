"""The arithmetic of a capacity plan, with costs that one can work out in one's head."""

from dataclasses import replace

import pytest

from amity.kernel.errors import ConfigurationError
from amity.usecases.capacity import Costs, Linear, Load, packaged_costs, parse_costs, plan

COSTS = Costs(
    measured_on="2026-01-01", machine="none", how="thought out",
    session={
        "headend_cpu_ms": Linear(1, 2), "database_cpu_ms": Linear(0.6, 0), "broker_cpu_ms": Linear(0.3, 0),
        "mdm_cpu_ms": Linear(0, 3), "wire_octets": Linear(880, 1000), "segments": Linear(20, 0),
        "message_octets": Linear(500, 1500),
        "database_octets": Linear(2000, 0), "wal_octets": Linear(4000, 0), "mdm_octets": Linear(0, 2000),
    },
    push={
        "headend_cpu_ms": 0.5, "database_cpu_ms": 0.1, "broker_cpu_ms": 0.1, "mdm_cpu_ms": 0.2, "wire_octets": 100,
        "segments": 2, "message_octets": 200,
        "database_octets": 300, "wal_octets": 400, "mdm_octets": 500,
    },
    memory={"headend_mb": 100, "broker_mb": 50, "mdm_mb": 80, "meter_octets": 1000, "association_octets": 50_000},
    limits={"leases_per_s": 1000}, values=(96, 1152),
)  # fmt: skip
MILLION = Load(1_440_000, interval_minutes=5, channels=4, window_h=4, session_s=10, used=0.5)


def test_rates_come_from_the_window() -> None:
    assert MILLION.values == 1152
    assert MILLION.sessions_per_s == 100
    assert replace(MILLION, pushes_per_day=6).pushes_per_s == 100


def test_cores_are_busy_ones_by_the_share_that_is_used() -> None:
    made = plan(MILLION, COSTS)
    assert made.cores["headend"] == pytest.approx(100 * (1 + 2 * 1.152) / 1000 / 0.5)
    assert made.cores["database"] == pytest.approx(0.12)
    assert made.cores["broker"] == pytest.approx(3 * 0.06)
    assert made.headend_processes == 1
    assert plan(replace(MILLION, window_h=1), COSTS).headend_processes == 3


def test_pushes_are_added_to_sessions() -> None:
    without, with_them = plan(MILLION, COSTS), plan(replace(MILLION, pushes_per_day=6), COSTS)
    assert with_them.cores["headend"] - without.cores["headend"] == pytest.approx(100 * 0.5 / 1000 / 0.5)
    assert with_them.broker_mbit_s - without.broker_mbit_s == pytest.approx(100 * 200 * 8 / 1e6)
    assert with_them.mdm_disk_gb_year - without.mdm_disk_gb_year == pytest.approx(1.44e6 * 6 * 500 * 365 / 1e9)


def test_bandwidth_counts_headers() -> None:
    made = plan(MILLION, COSTS)
    assert made.wire_mbit_s == pytest.approx(100 * (880 + 1152 + 40 * (20 + 7)) * 8 / 1e6)


def test_memory_counts_processes_and_associations() -> None:
    made = plan(MILLION, COSTS)
    assert made.open_associations == 1000
    assert made.memory_gb["headend"] == pytest.approx((100e6 + 1.44e6 * 1000 + 1000 * 50_000) / 1e9)
    assert made.memory_gb["broker"] == pytest.approx(0.15)


def test_disks_hold_what_is_kept() -> None:
    made = plan(MILLION, COSTS)
    assert made.database_disk_gb == pytest.approx(1.44e6 * 2000 * 7 / 1e9)
    assert made.broker_disk_gb == pytest.approx(1.44e6 * (500 + 1500 * 1.152) / 1e9)
    assert plan(replace(MILLION, outage_h=12), COSTS).broker_disk_gb == pytest.approx(made.broker_disk_gb / 2)
    assert made.wal_mb_s == pytest.approx(0.4)


def test_what_one_process_or_one_database_cannot_is_said() -> None:
    assert plan(MILLION, COSTS).notes == ()
    in_two_hours = plan(replace(MILLION, window_h=2), COSTS)
    assert in_two_hours.mdm_h == pytest.approx(1.44e6 * 3 * 1.152 / 1000 / 0.5 / 3600)
    assert in_two_hours.notes == ("the MDM side is one process: it is done with a day after 2.8 h",)
    notes = "\n".join(plan(replace(MILLION, meters=20_000_000), COSTS).notes)
    assert "several installations" in notes
    assert "were ever leased" in notes


@pytest.mark.parametrize(("interval_minutes", "channels", "asked"), [(1, 8, "11,520"), (60, 3, "72"), (5, 5, "1,440")])
def test_more_or_fewer_values_than_were_measured_are_warned_of(
    interval_minutes: int, channels: int, asked: str
) -> None:
    made = plan(replace(MILLION, interval_minutes=interval_minutes, channels=channels), COSTS)
    assert made.warning.startswith(f"{asked} values of a meter a day lie outside what was measured (96 to 1,152)")


def test_the_warning_names_the_figures_that_do_not_grow() -> None:
    note = plan(replace(MILLION, channels=8), COSTS).warning
    assert "do not grow with the values, and are too small: database_cpu_ms, broker_cpu_ms, segments," in note
    assert "headend_cpu_ms" not in note
    assert "too small" not in plan(replace(MILLION, interval_minutes=60, channels=1), COSTS).warning


@pytest.mark.parametrize("channels", [1, 4])
def test_the_packaged_costs_hold_for_the_values_that_were_measured(channels: int) -> None:
    assert plan(Load(10_000, channels=channels), packaged_costs()).warning == ""


@pytest.mark.parametrize(
    "change",
    [
        {"meters": 0}, {"interval_minutes": 0}, {"channels": 0}, {"pushes_per_day": -1}, {"window_h": 25},
        {"window_h": 0}, {"session_s": 0}, {"meters": 10**12},
    ],
)  # fmt: skip
def test_a_fleet_that_cannot_be_is_refused(change: dict[str, int]) -> None:
    (name,) = change
    with pytest.raises(ConfigurationError, match=name.replace("_", "-")):
        replace(MILLION, **change)


def test_the_packaged_costs_are_whole_and_dated() -> None:
    costs = packaged_costs()
    assert costs.measured_on
    assert costs.machine
    assert plan(Load(10_000), costs).cores["headend"] > 0


def test_pushes_that_were_not_measured_are_not_planned_with() -> None:
    unmeasured = replace(COSTS, push={})
    assert plan(MILLION, unmeasured) == plan(MILLION, COSTS)
    with pytest.raises(ConfigurationError, match="was not measured"):
        plan(replace(MILLION, pushes_per_day=1), unmeasured)


@pytest.mark.parametrize("text", ["", "measured_on = ", 'measured_on = "x"\nmachine = "y"\nhow = "z"\nsession = 3'])
def test_costs_with_something_missing_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        parse_costs(text)
