"""The pages that Prometheus scrapes, scraped: every name with its labels and values, and docs that name them all."""

import re
import socket
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventClass, EventKind, MeterEvent, Severity
from amity.domain.jobs import Bundle, Lease
from amity.headend.collectors.ports import Presented
from amity.headend.collectors.report import HeldPushes, MeterLine, Report
from amity.headend.jobs.ports import LeaseTerms
from amity.headend.jobs.worker import Done
from amity.headend.ports import Progress
from amity.kernel.errors import StorageError, TransportError
from amity.protocols.relay.link import Traffic
from amity.runtime.metrics.collectors import CollectorLinks
from amity.runtime.metrics.headend import HeadendState, SessionMetrics
from amity.runtime.metrics.mdm import MdmMetrics
from amity.runtime.metrics.page import new_registry, serving_metrics
from amity.storage.ot.database import OtDatabase, open_database
from tests.unit.headend.jobs.requests import NOW, request
from tests.unit.usecases.memory_database import FixedClock

PAGE = (Path(__file__).parents[3] / "docs" / "observability.md").read_text(encoding="utf-8")
DELIVERY = Delivery("m", "M1", "s", NOW, Outcome.COMPLETE, duration_ms=300)


class Pushes:
    taken = 7

    @property
    def parked(self) -> dict[str, int]:
        return {"replay": 3, "unknown-sender": 1}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scraped(registry: CollectorRegistry) -> dict[tuple[str, tuple[str, ...]], float]:
    """What a scrape over HTTP finds: values by name and labels."""
    with (
        serving_metrics(registry, free_port(), "headend") as port,
        urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer,
    ):
        text = answer.read().decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def database(tmp_path: Path) -> OtDatabase:
    return open_database(tmp_path / "ot.sqlite")


def headend_registry(database: OtDatabase) -> CollectorRegistry:
    registry = new_registry()
    sessions = SessionMetrics(registry)
    tell = sessions.counting(lambda _delivery: None)
    tell(DELIVERY)
    tell(Delivery("n", "M1", "s", NOW, Outcome.SILENT, duration_ms=3000))
    full = StorageError("the disk is full")
    sessions.given_back(Done(Bundle(Lease("M1", "w", 1, NOW), ()), (), accepted=True, not_kept=full))
    clock = FixedClock(NOW + timedelta(seconds=90))
    registry.register(
        HeadendState(database.measures, clock, open_sessions=lambda: 5, pushes=Pushes(), turned_away=lambda: 2)
    )
    registry.register(CollectorLinks(lambda: [SimpleNamespace(**COLLECTOR)]))  # type: ignore[list-item]
    return registry


COLLECTOR = {
    "presented": Presented("DC7", "ab" * 32, ""), "traffic": Traffic(4000, 1000, 8000, 2000), "rtt_s": 0.7,
    "channels": 3, "taken": 11,
    "report": Report(HeldPushes(1, 5, 900, 2), -87, meters={"a": MeterLine(3, 1), "b": MeterLine(1)}),
}  # fmt: skip


def test_the_head_end_tells_how_the_links_of_its_collectors_do(database: OtDatabase) -> None:
    found = scraped(headend_registry(database))
    assert found["amity_collector_rtt_seconds", ("DC7",)] == 0.7
    assert found["amity_collector_plain_bytes_total", ("DC7", "in")] == 8000
    assert found["amity_collector_wire_bytes_total", ("DC7", "out")] == 1000
    assert found["amity_collector_held_pushes", ("bulk", "DC7")] == 5
    assert found["amity_collector_dropped_pushes_total", ("DC7",)] == 2
    assert found["amity_collector_failed_exchanges_ratio", ("DC7",)] == 0.25
    assert found["amity_collector_rssi_dbm", ("DC7",)] == -87
    assert found["amity_collector_channels", ("DC7",)] == 3
    assert found["amity_collector_pushes_total", ("DC7",)] == 11


def test_the_head_end_tells_sessions_queues_outbox_pushes_and_its_own_cpu(database: OtDatabase) -> None:
    database.collection.save(DELIVERY, "d", b"", progress=Progress())
    database.jobs.enqueue([request("M1"), request("M2", not_before=NOW + timedelta(hours=1))], NOW)
    found = scraped(headend_registry(database))
    assert found["amity_sessions_total", ("complete",)] == found["amity_sessions_total", ("silent",)] == 1
    assert found["amity_sessions_total", ("refused",)] == 0, "known before it happens"
    assert found["amity_sessions_not_kept_total", ()] == 1
    assert found["amity_session_duration_seconds_sum", ()] == pytest.approx(3.3)
    assert found["amity_session_duration_seconds_bucket", ("0.5",)] == 1
    assert found["amity_sessions_open", ()] == 5
    assert found["amity_outbox_deliveries", ("readings",)] == 1
    assert found["amity_outbox_deliveries", ("alarm",)] == 0
    assert found["amity_outbox_oldest_age_seconds", ("readings",)] == 90
    assert found["amity_jobs_waiting", ("scheduled",)] == 2
    assert found["amity_jobs_due", ("scheduled",)] == 1
    assert found["amity_jobs_due", ("on-demand",)] == 0
    assert found["amity_jobs_resting", ("scheduled",)] == 0
    assert found["amity_leases", ()] == found["amity_jobs_dead", ()] == 0
    assert found["amity_lease_oldest_age_seconds", ()] == found["amity_lease_overdue_seconds", ()] == 0
    assert found["amity_pushes_accepted_total", ()] == 7
    assert found["amity_pushes_parked_total", ("replay",)] == 3
    assert found["amity_callers_turned_away_total", ()] == 2
    assert found["amity_database_readable", ()] == 1
    assert found["process_cpu_seconds_total", ()] > 0


def test_a_lease_that_nobody_ends_grows_old_and_overdue(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    database.jobs.lease(LeaseTerms("w1", duration=timedelta(seconds=60)), 1, NOW)
    found = scraped(headend_registry(database))  # 90 s later
    assert found["amity_leases", ()] == 1
    assert (found["amity_lease_oldest_age_seconds", ()], found["amity_lease_overdue_seconds", ()]) == (90, 30)


def test_a_database_that_cannot_be_read_takes_nothing_else_from_the_page(database: OtDatabase) -> None:
    registry = headend_registry(database)
    database.measures._transactions = Broken()  # type: ignore[assignment]
    found = scraped(registry)
    assert found["amity_database_readable", ()] == 0
    assert found["amity_sessions_open", ()] == 5
    assert ("amity_leases", ()) not in found


class Broken:
    def read(self) -> object:
        raise StorageError("the disk is gone")


def mdm_registry() -> CollectorRegistry:
    registry = new_registry()
    metrics = MdmMetrics(registry)
    event = MeterEvent(EventKind.COVER_OPENED, 44, NOW, "x", event_class=EventClass.TAMPER, severity=Severity.ALARM)
    pushed = Delivery("p", "M1", "s", NOW, Outcome.PUSHED, events=(event,))
    metrics.took(0.025, 3)
    metrics.stored(pushed, new=True, now=NOW + timedelta(seconds=1.5))
    metrics.stored(pushed, new=False, now=NOW + timedelta(seconds=3))
    metrics.stored(DELIVERY, new=True, now=NOW + timedelta(seconds=40))
    metrics.set_aside()
    metrics.refused()
    return registry


def test_the_mdm_side_tells_what_it_stored_how_late_and_what_nobody_understood() -> None:
    found = scraped(mdm_registry())
    assert found["amity_deliveries_stored_total", ("pushed",)] == 1
    assert found["amity_deliveries_known_total", ()] == 1
    assert found["amity_events_delivered_total", ("tamper", "alarm")] == 1
    assert found["amity_delivery_lag_seconds_sum", ("events",)] == 1.5
    assert found["amity_delivery_lag_seconds_bucket", ("readings", "60.0")] == 1
    assert found["amity_ingest_duration_seconds_count", ()] == 3
    assert found["amity_dead_letters_total", ()] == found["amity_deliveries_refused_total", ()] == 1


def test_the_page_of_the_documentation_names_exactly_what_is_served(database: OtDatabase) -> None:
    served = {name for name, _ in [*scraped(headend_registry(database)), *scraped(mdm_registry())]}
    ours = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for name in served
        if name.startswith("amity_") and not name.endswith("_created")
    }
    assert set(re.findall(r"^\| `(amity_\w+)", PAGE, flags=re.MULTILINE)) == ours


def test_a_port_that_is_taken_is_told_and_port_0_serves_nothing() -> None:
    with serving_metrics(CollectorRegistry(), 0, "mdm") as port:
        assert port == 0
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(TransportError) as caught, serving_metrics(CollectorRegistry(), taken, "mdm"):
            pass
    assert "metrics_port" in (caught.value.next_step or "")
