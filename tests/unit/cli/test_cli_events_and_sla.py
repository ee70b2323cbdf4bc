"""`amity events` and `amity sla` on an installation in one folder."""

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventClass, EventKind, MeterEvent, Severity
from amity.domain.jobs import JobKind, JobOutcome, JobState, Priority
from amity.headend.jobs.ports import Finished, LeaseTerms
from amity.headend.ports import Endpoint
from amity.headend.routes import over_tcp
from amity.kernel.errors import ConfigurationError
from amity.storage.it.database import open_database as open_it_database
from amity.storage.ot.database import OtDatabase, open_database
from tests.unit.cli.test_cli_jobs import amity, end
from tests.unit.headend.jobs.requests import NOW, request


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for zone in ("ot", "it"):
        (tmp_path / zone).mkdir()
    return tmp_path


@pytest.fixture
def database(folder: Path) -> Iterator[OtDatabase]:
    opened = open_database(folder / "ot" / "ot.sqlite")
    opened.endpoints.put([
        Endpoint(name, over_tcp("127.0.0.1", 4059), 1, 1, "none", "quillon_q5", b"") for name in ("M1", "M2", "N3")
    ])  # fmt: skip
    yield opened
    opened.close()


# ------------------------------------------------------------------ events
def happen(folder: Path) -> None:
    tamper = MeterEvent(
        EventKind.COVER_OPENED, 44, NOW, "meter cover opened", log="fraud",
        event_class=EventClass.TAMPER, severity=Severity.ALARM,
    )  # fmt: skip
    events = (tamper, MeterEvent(EventKind.OTHER, 7001, NOW))
    database = open_it_database(folder / "it" / "it.sqlite")
    database.deliveries.record(Delivery("m", "M1", "s", NOW, Outcome.COMPLETE, events=events), b"", received_at=NOW)
    database.close()


def test_events_are_listed_by_class_and_severity_and_unknown_codes_by_themselves(folder: Path) -> None:
    happen(folder)
    assert len(json.loads(amity("events", "list", "--dir", folder, "--json"))) == 2
    (one,) = json.loads(amity("events", "list", "--dir", folder, "--class", "tamper", "--severity", "alarm", "--json"))
    assert (one["text"], one["log"], one["code"], len(one["event"])) == ("meter cover opened", "fraud", 44, 32)
    assert "7001" in amity("events", "list", "--dir", folder, "--meter", "M1")
    (unknown,) = json.loads(amity("events", "unknown", "--dir", folder, "--json"))
    assert (unknown["code"], unknown["events"]) == (7001, 1)


def test_no_word_of_an_event_is_cut_where_the_terminal_is_narrow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gasp = MeterEvent(
        EventKind.POWER_DOWN, 0, NOW, "power lost", log="alarm-2", event_class=EventClass.POWER,
        severity=Severity.ALARM, pushed=True,
    )  # fmt: skip
    named = "QUILLON-0000000000000017"
    with closing(open_it_database(folder / "it" / "it.sqlite")) as database:
        pushed = Delivery("p", named, "p", NOW, Outcome.PUSHED, events=(gasp,))
        database.deliveries.record(pushed, b"", received_at=NOW)
    monkeypatch.setenv("COLUMNS", "60")
    _, line = amity("events", "list", "--dir", folder).splitlines()
    assert line.split() == ["2026-11-20T06:17:42Z", named, "alarm", "power", "power", "lost", "alarm-2", "0", "yes"]


def test_a_gasp_that_was_pushed_and_then_read_is_listed_once_and_begins_an_outage(folder: Path) -> None:
    def power(log: str, code: int, minutes: int, text: str, kind: EventKind) -> MeterEvent:
        at = NOW + timedelta(minutes=minutes)
        return MeterEvent(kind, code, at, text, log=log, event_class=EventClass.POWER, severity=Severity.ALARM)

    gasp = power("alarm-2", 0, 1, "power lost", EventKind.POWER_DOWN)
    down, up = (
        power("standard", 1, 0, "power lost", EventKind.POWER_DOWN),
        power("standard", 2, 30, "power back", EventKind.POWER_UP),
    )
    database = open_it_database(folder / "it" / "it.sqlite")
    pushed = Delivery("p", "M1", "p", NOW, Outcome.PUSHED, events=(gasp,))
    read = Delivery("r", "M1", "r", NOW + timedelta(hours=1), Outcome.COMPLETE, events=(down, up))
    for one in (pushed, read, read):  # and the reading is delivered twice
        database.deliveries.record(one, b"", received_at=one.collected_at)
    database.close()
    told = json.loads(amity("events", "list", "--dir", folder, "--json"))
    assert (len(told), len({one["happening"] for one in told}), sum(one["leads"] for one in told)) == (3, 2, 2)
    shown = amity("events", "list", "--dir", folder)
    assert (shown.count("alarm-2 0"), shown.count("\n2026")) == (1, 2)  # a line for the loss and one for the return
    (outage,) = json.loads(amity("events", "outages", "--dir", folder, "--json"))
    assert (outage["began"], outage["lasted_s"]) == ("2026-11-20T06:17:42Z", 1800.0)
    assert outage["told by"] == "standard 1, alarm-2 0, standard 2"


def test_where_there_is_no_mdm_side_it_says_where_to_ask(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        amity("events", "list", "--dir", folder)
    assert "mdm" in (caught.value.next_step or "")


def test_a_code_is_explained_by_the_tables_of_the_installation(folder: Path) -> None:
    assert amity("events", "explain", "norrvik_n1", 42, "--dir", folder).startswith("strong magnetic field (tamper")
    with pytest.raises(ConfigurationError) as caught:
        amity("events", "explain", "norrvik_n1", 7001, "--dir", folder)
    assert "own.toml" in (caught.value.next_step or "")
    own = folder / "ot" / "events" / "own.toml"
    own.parent.mkdir()
    own.write_text('profiles = ["*"]\n[events]\n7001 = { class = "other", severity = "info", text = "fan stands" }\n')
    assert "1 codes for *" in amity("events", "check", own)
    told = json.loads(amity("events", "explain", "norrvik_n1", 7001, "--dir", folder, "--json"))
    assert told == {
        "class": "other", "severity": "info", "text": "fan stands", "kind": "other", "table": "own.toml", "source": "",
    }  # fmt: skip
    assert "own.toml: unverified" in amity("events", "explain", "norrvik_n1", 7001, "--dir", folder)
    assert "idis.toml: enumeration of events" in amity("events", "explain", "norrvik_n1", 42, "--dir", folder)


# ------------------------------------------------------------------ service levels
def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def test_a_report_with_groups_and_its_evidence(folder: Path, database: OtDatabase) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    jobs = [request(name, JobKind.PROFILES) for name in ("M1", "N3")]
    database.jobs.enqueue(jobs, NOW)
    end(database, JobState.DONE)
    end(database, JobState.DEAD, told="wrong key", remedy="mend it")
    evidence = folder / "evidence.csv"
    arguments = ("--preset", "india-rdss", "--zone", "UTC", "--date", yesterday, "--dir", folder)
    grouped = ("--by", "profile", "--group", "north=M*", "--evidence", evidence)
    told = json.loads(amity("sla", "report", *arguments, *grouped, "--json"))
    by_measure = {(one["measure"], one["group"]): one for one in told["results"]}
    whole = by_measure["complete by 24:00", "all"]
    assert (whole["counted"], whole["met"], whole["open"]) == (3, 1, 2)
    assert by_measure["complete by 24:00", "north"]["counted"] == 2
    assert by_measure["complete by 24:00", "profile=quillon_q5"]["counted"] == 3
    assert any("may still be met" in remark for remark in told["remarks"])
    rows = rows_of(evidence)
    assert told["against"] == sum(row["verdict"] == "missed" for row in rows)
    assert len(rows) == sum(one["counted"] + one["excluded"] for one in told["results"] if one["group"] == "all")
    assert "24:00" in amity("sla", "report", *arguments)


def test_no_figure_of_a_report_is_cut_where_the_terminal_is_narrow(
    folder: Path, database: OtDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.jobs.enqueue([request(name, priority=Priority.ON_DEMAND) for name in ("M1", "N3")], NOW)
    done_at = NOW + timedelta(seconds=49.8)
    for bundle in database.jobs.lease(LeaseTerms("w"), 9, done_at):
        done = tuple(JobOutcome(job.job_id, JobState.DONE) for job in bundle.jobs)
        database.jobs.finish([Finished(bundle.lease, done)], done_at)
    monkeypatch.setenv("COLUMNS", "80")
    level = ("--preset", "uk-dcc", "--zone", "UTC", "--date", NOW.date(), "--dir", folder, "--by", "profile")
    shown = amity("sla", "report", *level).splitlines()
    assert "…" not in "".join(shown)
    (found,) = (line.split() for line in shown if "all" in line and "49.8" in line)
    assert found[-3:] == ["49.8", "49.8", "49.8"]
    assert all(len(line) <= 80 for line in shown if "%" in line)


def test_a_row_of_a_report_is_one_line_where_no_terminal_is(
    folder: Path, database: OtDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.jobs.enqueue([request("M1", priority=Priority.ON_DEMAND)], NOW)
    end(database, JobState.DONE)
    monkeypatch.delenv("COLUMNS", raising=False)
    level = ("--preset", "uk-dcc", "--zone", "UTC", "--date", NOW.date(), "--dir", folder)
    long = f"--group={'north' * 20}=M*"
    shown = amity("sla", "report", *level, long).splitlines()
    assert any("on demand within 25 s" in line and "north" * 20 in line and "99.00 %" in line for line in shown)


def test_figures_for_prometheus_are_those_of_the_report(folder: Path, database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1", JobKind.PROFILES)], NOW)
    file = folder / "sla.prom"
    arguments = ("--preset", "ontario", "--date", "2026-11-18", "--dir", folder, "--group", "north=M*")
    told = json.loads(amity("sla", "report", *arguments, "--metrics", file, "--json"))
    samples = {
        (sample.name, *(sample.labels.get(name, "") for name in ("level", "measure", "group"))): sample.value
        for family in text_string_to_metric_families(file.read_text(encoding="utf-8"))
        for sample in family.samples
    }
    for one in told["results"]:
        labels = ("ontario", one["measure"], one["group"])
        assert samples["amity_sla_counted", *labels] == one["counted"]
        assert samples.get(("amity_sla_share_ratio", *labels)) == one["share"]
        assert samples.get(("amity_sla_target_ratio", *labels)) == one["target"]
    noon = datetime(2026, 11, 18, 12, tzinfo=UTC)
    assert samples["amity_sla_day_timestamp_seconds", "ontario", "", ""] == noon.timestamp()


def test_a_report_on_a_day_that_the_log_has_forgotten_says_so(folder: Path, database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    evidence = folder / "e.csv"
    arguments = ("sla", "report", "--preset", "ontario", "--date", "2026-01-01", "--dir", folder)
    told = json.loads(amity(*arguments, "--evidence", evidence, "--json"))
    assert any("the job log begins at 2026-11-20" in remark for remark in told["remarks"])
    assert told["results"][0]["share"] == 0
    rows = rows_of(evidence)
    assert [(row["measure"], row["meter"]) for row in rows[:3]] == [
        ("complete by 06:00", "M1"), ("complete by 06:00", "M2"), ("complete by 06:00", "N3"),
    ]  # fmt: skip
    assert rows[0]["due"] == "2026-01-02T11:00:00Z"  # 06:00 in Toronto


def test_presets_and_what_cannot_be_asked(folder: Path, tmp_path: Path) -> None:
    assert set(json.loads(amity("sla", "presets", "--json"))) == {"ontario", "uk-dcc", "india-rdss"}
    for wrong in (
        (),
        ("--preset", "ontario", "--file", tmp_path / "x"),
        ("--preset", "nobody"),
        ("--file", tmp_path / "nothing.toml"),
        ("--preset", "ontario", "--date", "yesterday"),
        ("--preset", "ontario", "--zone", "Mars"),
        ("--preset", "ontario", "--group", "north"),
    ):
        with pytest.raises(ConfigurationError):
            amity("sla", "report", *wrong, "--dir", folder)
