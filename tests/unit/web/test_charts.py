import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.domain.blocks import Channel
from amity.domain.readings import Quality
from amity.kernel.obis import Obis
from amity.usecases.load import DayCompleteness, DayLoad
from amity.usecases.readings import Readings
from amity.web.charts import completeness_bars, interval_chart, load_chart
from amity.web.scale import axis, tick_text
from amity.web.wording import count, duration, energy, moment, percent, power

VIENNA = ZoneInfo("Europe/Vienna")
NOON = datetime(2026, 3, 18, 11, 0, tzinfo=UTC)
M = int(Quality.MEASURED)


@given(st.floats(-1e7, 0), st.floats(0, 1e7), st.integers(2, 8))
def test_an_axis_covers_its_values_with_few_round_ticks_and_zero(lowest: float, highest: float, steps: int):
    ticks = axis(lowest, highest, steps)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= lowest + step * 1e-6
    assert ticks[-1] >= highest - step * 1e-6
    assert any(abs(tick) < 1e-9 for tick in ticks)
    assert 2 <= len(ticks) <= steps + 3


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0, 0.5, 1], ["0.0", "0.5", "1.0"]),
        ([0, 2.5, 5], ["0.0", "2.5", "5.0"]),
        ([-200, 0, 2000], ["200", "0", "2,000"]),
    ],
)
def test_ticks_have_the_decimals_they_need(ticks: list[float], texts: list[str]):
    assert [tick_text(tick, ticks) for tick in ticks] == texts


def readings(qualities: Sequence[int], values: Sequence[int] | None = None, exponent: int = 0) -> Readings:
    interval_s = 900
    channel = Channel(1, "M", Obis.parse("1.0.1.29.0.255"), 30, exponent, interval_s)
    first = int(datetime(2026, 3, 18, tzinfo=VIENNA).timestamp())
    starts = first + interval_s * np.arange(len(qualities), dtype=np.int64)
    numbers = np.array(values if values is not None else [100] * len(qualities), np.int64)
    return Readings(channel, starts, numbers, np.array(qualities, np.uint8))


def hover_of(markup: str) -> dict:
    return json.loads(unescape(re.search(r'data-hover="([^"]*)"', markup)[1]))


def bars_of(markup: str, kind: str) -> int:
    return re.search(rf'<path d="([^"]*)" class="bar {kind}"', markup)[1].count("z")


def test_each_quality_has_its_own_bars():
    kinds = [M, M, int(Quality.LINEAR), M | int(Quality.QUESTIONABLE), 0, M | int(Quality.EDITED)]
    markup = interval_chart(readings(kinds), NOON, VIENNA)
    found = {kind: bars_of(markup, kind) for kind in ("measured", "estimated", "questionable", "missing", "edited")}
    assert found == {"measured": 2, "estimated": 1, "questionable": 1, "missing": 1, "edited": 1}
    assert hover_of(markup)["series"][0]["values"][4] == "missing"


def test_the_future_is_not_missing():
    markup = interval_chart(readings([0] * 96), NOON, VIENNA)
    assert bars_of(markup, "missing") == 48
    assert hover_of(markup)["series"][0]["values"][50] is None


def test_a_questionable_peak_does_not_flatten_the_day():
    markup = interval_chart(readings([M, M | int(Quality.QUESTIONABLE), M], [150, 98_000, 90]), NOON, VIENNA)
    assert "98,000" in hover_of(markup)["series"][0]["values"][1]
    assert ">150<" in markup.split('class="field"')[0]


def test_a_channel_of_zeros_still_has_an_axis():
    assert bars_of(interval_chart(readings([M] * 4, [0] * 4), NOON, VIENNA), "measured") == 4


@pytest.mark.parametrize(("exponent", "text"), [(-1, "12,345.6 Wh"), (0, "123,456 Wh"), (3, "123,456,000 Wh")])
def test_a_finer_or_coarser_channel_is_shown_in_its_unit_with_every_digit(exponent: int, text: str):
    markup = interval_chart(readings([M], [123_456], exponent), NOON, VIENNA)
    assert hover_of(markup)["series"][0]["values"] == [text]


def load(day: date, known: int = 96, slots: int = 96, export: int = 0) -> DayLoad:
    start = int(datetime(day.year, day.month, day.day, tzinfo=VIENNA).timestamp())
    meters = np.array([5] * known + [0] * (slots - known), np.int64)
    return DayLoad(day, start, 900, meters * 50, meters * export, meters, 0)


def test_the_load_chart_names_both_days_and_export_only_when_there_is_some():
    today, yesterday = load(date(2026, 3, 18), known=48), load(date(2026, 3, 17))
    names = [series["name"] for series in hover_of(load_chart(today, yesterday, NOON, VIENNA))["series"]]
    assert names == ["Today", "Yesterday"]
    sunny = load_chart(load(date(2026, 3, 18), export=9), yesterday, NOON, VIENNA)
    assert [series["name"] for series in hover_of(sunny)["series"]] == ["Today", "Yesterday", "Fed in today"]


def test_a_short_day_has_its_slots_and_a_gap_breaks_the_line():
    short = load(date(2026, 3, 29), slots=92, known=92)
    short.meters[40:44] = 0
    markup = load_chart(short, load(date(2026, 3, 28)), datetime(2026, 3, 29, 20, tzinfo=UTC), VIENNA)
    line = re.search(r'<path d="([^"]*)" class="line today"', markup)[1]
    assert line.count("M") == 2


def test_completeness_says_its_numbers_in_words():
    markup = completeness_bars(
        [DayCompleteness(date(2026, 3, 17), 1000, 900, 40), DayCompleteness(date(2026, 3, 18), 10, 10, 0)]
    )
    assert "900 measured, 40 estimated, 60 missing of 1,000" in markup
    assert markup.index("18 March") < markup.index("17 March")
    assert "flex:0" not in markup


@pytest.mark.parametrize(("share", "text"), [(100.0, "100 %"), (99.97, "99.9 %"), (0.0, "0 %"), (42.25, "42.2 %")])
def test_one_hundred_percent_is_only_said_of_all(share: float, text: str):
    assert percent(share) == text


def test_numbers_and_times_as_people_write_them():
    assert (energy(940), energy(12_400)) == ("940 kWh", "12.4 MWh")
    assert (power(86.24), power(12_400)) == ("86.2 kW", "12.40 MW")
    assert (count(1, "meter"), count(2300, "meter")) == ("1 meter", "2,300 meters")
    assert (duration(2700), duration(8100), duration(100_000), duration(86_400)) == (
        "45 min",
        "2 h 15 min",
        "1 day 3 h",
        "1 day",
    )
    assert moment(NOON, VIENNA, NOON) == "12:00"
    assert moment(NOON - timedelta(days=1), VIENNA, NOON) == "yesterday 12:00"
    assert moment(NOON - timedelta(days=9), VIENNA, NOON) == "Mon 9 Mar 12:00"
