import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.unit.api.caller import Caller
from tests.web.plausible_town import IMPORT, NOW, meter_name

OBIS = str(IMPORT.obis)
DAY = {"obis": OBIS, "from": "2026-03-17T00:00:00Z", "to": "2026-03-18T00:00:00Z"}


def readings_path(number: int) -> str:
    return f"/api/v1/meters/{meter_name(number)}/readings"


def test_the_town_names_the_outage_first(client: Caller):
    town = client.get("/api/v1/town").json()
    assert town["name"] == "Ravensbrook"
    assert town["meters"] == 200
    assert sum(town["conditions"].values()) == 200
    assert town["issues"][0]["kind"] == "outage-suspected"
    assert town["issues"][0]["transformer_ids"] == ["T-07"]
    assert len(town["today"]["import_kw"]) == 96
    assert [day["expected"] - day["measured"] - day["estimated"] - day["missing"] for day in town["days"]] == [0, 0, 0]


def test_meters_are_filtered_sorted_and_paged(client: Caller):
    silent = client.get("/api/v1/meters", params={"condition": "silent", "limit": 5, "order": "transformer"}).json()
    assert silent["total"] == 12
    assert len(silent["meters"]) == 5
    assert {meter["condition"] for meter in silent["meters"]} == {"silent"}
    assert silent["conditions"]["answered"] == 183
    rest = client.get("/api/v1/meters", params={"condition": "silent", "offset": 10}).json()
    assert len(rest["meters"]) == 2


def test_a_meter_shows_channels_registers_and_events(client: Caller):
    meter = client.get(f"/api/v1/meters/{meter_name(6)}").json()
    assert meter["meter"]["transformer_id"] == "T-07"
    assert {channel["obis"] for channel in meter["channels"]} >= {OBIS}
    assert {register["obis"] for register in meter["registers"]} >= {"1.0.1.8.0.255"}
    assert meter["events"][0]["kind"] == "power-down"


def test_readings_come_as_json_with_every_interval(client: Caller):
    answer = client.get(readings_path(12), params=DAY).json()
    assert len(answer["intervals"]) == 96
    assert answer["intervals"][0]["start"] == "2026-03-17T00:00:00Z"
    assert answer["channel"]["unit"] == "Wh"
    assert all(interval["value"] is not None for interval in answer["intervals"])


def test_a_missing_interval_is_null_and_says_so(client: Caller):
    answer = client.get(readings_path(92), params=DAY).json()
    missing = [interval for interval in answer["intervals"] if interval["value"] is None]
    assert missing
    assert {tuple(interval["quality"]) for interval in missing} == {("missing",)}


@pytest.mark.parametrize(
    "how", [{"params": DAY | {"format": "csv"}}, {"params": DAY, "headers": {"accept": "text/csv"}}]
)
def test_readings_come_as_csv_by_parameter_or_by_accept_header(client: Caller, how: dict[str, Any]):
    answer = client.get(readings_path(12), **how)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    whole = client.get(readings_path(12), params=DAY).json()
    assert [int(row["value"]) for row in rows] == [interval["value"] for interval in whole["intervals"]]
    assert rows[0]["start"] == "2026-03-17T00:00:00Z"


def test_readings_come_as_parquet_with_the_unit_in_the_metadata(client: Caller):
    answer = client.get(readings_path(92), params=DAY | {"format": "parquet"})
    table = pq.read_table(io.BytesIO(answer.content))
    whole = client.get(readings_path(92), params=DAY).json()
    assert table["value"].to_pylist() == [interval["value"] for interval in whole["intervals"]]
    assert table["start"].to_pylist()[0] == datetime(2026, 3, 17, tzinfo=UTC)
    assert table.schema.metadata[b"unit"] == b"Wh"


def test_a_long_parquet_answer_has_several_row_groups_and_stays_whole(client: Caller):
    wide = {"obis": OBIS, "from": "2025-06-01T00:00:00Z", "to": "2026-03-19T00:00:00Z", "format": "parquet"}
    table = pq.ParquetFile(io.BytesIO(client.get(readings_path(12), params=wide).content))
    assert table.metadata.num_row_groups > 1
    assert table.metadata.num_rows == 291 * 96


def test_as_known_at_shows_what_was_known_then(client: Caller):
    before = (NOW - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    answer = client.get(readings_path(12), params=DAY | {"as_known_at": before}).json()
    assert answer["known"] == 0


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"from": "2026-03-17T00:00:00"}, 422, "zone"),
        ({"from": "yesterday"}, 422, "from"),
        ({"to": "2026-03-16T00:00:00Z"}, 422, "empty"),
        ({"from": "2020-01-01T00:00:00Z"}, 422, "longer"),
        ({"obis": "1.2.3"}, 422, "OBIS"),
        ({"obis": "1.0.99.29.0.255"}, 404, "no interval channel"),
        ({"format": "xml"}, 422, "format"),
        ({"stage": "cooked"}, 422, "stage"),
    ],
)
def test_a_bad_question_is_answered_with_what_and_next(client: Caller, change: dict[str, str], status: int, named: str):
    answer = client.get(readings_path(12), params=DAY | change)
    body = answer.json()
    assert set(body) == {"what", "tried", "answer", "next"}
    assert named in " ".join(str(value) for value in body.values())
    assert body["next"]
    assert answer.status_code == status


def test_an_unknown_meter_is_404_with_a_next_step(client: Caller):
    answer = client.get("/api/v1/meters/NOBODY")
    assert answer.status_code == 404
    assert "NOBODY" in answer.json()["what"]
    assert answer.json()["next"]


def test_collection_puts_trouble_first_and_names_the_next_step(client: Caller):
    answer = client.get("/api/v1/collection").json()
    first = answer["rows"][0]
    assert first["meter"]["condition"] != "answered"
    assert first["next"]
    assert not any(line.startswith("next:") for line in first["findings"])
    only = client.get("/api/v1/collection", params={"outcome": "wrong-key"}).json()
    assert len(only["rows"]) == 2
    assert only["outcomes"]["complete"] == answer["outcomes"]["complete"]


def test_events_and_exceptions_can_be_asked_for_one_meter(client: Caller):
    events = client.get("/api/v1/events", params={"meter_id": meter_name(101)}).json()["events"]
    assert [event["kind"] for event in events] == ["terminal-cover-opened"]
    found = client.get("/api/v1/vee/exceptions", params={"meter_id": meter_name(12)}).json()["exceptions"]
    assert {(f["rule"], f["meter_id"], f["obis"]) for f in found} == {("spike-check", meter_name(12), OBIS)}


def test_why_goes_down_to_the_octets_of_the_cell(client: Caller):
    answer = client.get(f"{readings_path(12)}/{OBIS}/2026-03-18T09:00:00Z/why").json()
    source = answer["sources"][0]
    marked = [row for row in source["rows"] if row["marked"]]
    cell = marked[0]["cells"][marked[0]["marked_cell"]]
    assert int(cell["text"]) == answer["final"]["value"] == source["value"]
    exchange = next(exchange for exchange in source["exchanges"] if exchange["marks"])
    first, end = exchange["marks"][0]
    assert int.from_bytes(bytes.fromhex(exchange["plain"])[first + 1 : end]) == source["value"]


def test_why_of_a_start_between_intervals_names_the_right_start(client: Caller):
    answer = client.get(f"{readings_path(12)}/{OBIS}/2026-03-18T09:07:00Z/why")
    assert answer.status_code == 422
    assert "2026-03-18T09:00:00Z" in answer.json()["next"]


@pytest.mark.parametrize("name", ["from", "to", "as_known_at"])
@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-01-01T00:00:00Z", "1969-12-31T23:59:59Z"]
)
def test_a_time_outside_the_years_that_are_kept_is_named_and_refused(client: Caller, name: str, time: str):
    answer = client.get(readings_path(12), params=DAY | {name: time})
    assert answer.status_code == 422
    assert time[:4] in answer.json()["what"]
    assert answer.json()["next"] == "check the year of that time"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:45:00-14:00"])
def test_why_of_another_age_is_refused(client: Caller, time: str):
    answer = client.get(f"{readings_path(12)}/{OBIS}/{time}/why")
    assert (answer.status_code, answer.json()["next"]) == (422, "check the year of that time")


def test_the_next_step_of_a_bad_parameter_stands_by_itself(client: Caller):
    problem = client.get(readings_path(12), params=DAY | {"obis": "1.2.3"}).json()
    assert "next" not in problem["what"]
    assert "Value error" not in problem["what"]
    assert "1.0.1.8.0.255" in problem["next"]
