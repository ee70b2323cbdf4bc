"""Which intervals count as missing, when the meter's clock is a few seconds behind ours."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np

from amity.devices.profiles import packaged_profile
from amity.domain.spans import TimeSpan
from amity.headend.conversation import MeterReadout
from amity.headend.digest import Digest, Digester
from amity.headend.plan import ReadingRules, make_plan
from amity.headend.ports import Progress
from amity.kernel.time import epoch_s

PROFILE = packaged_profile("norrvik_n1")
EIGHT = datetime(2026, 3, 1, 20, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


@dataclass
class Rows:
    """A load profile with a row for each of these intervals, already decoded; what it holds does not matter here."""

    starts: list[datetime]
    result: Any = field(default_factory=lambda: SimpleNamespace(unmapped=frozenset(), remarks=[]))

    def columns(self, *_: object, **__: object) -> Any:
        return SimpleNamespace(rows=0, columns=())

    def shape(self, _model: str) -> str:
        return ""

    def values(self, values: Any) -> None:
        list(values)

    def load_profile(self, _buffer: object, **_: object) -> Any:
        return np.array([epoch_s(one) for one in self.starts], np.int64)


def digest_of(starts: list[datetime], *, since: datetime, now: datetime, clock_offset_s: int) -> Digest:
    rows: Any = Rows(starts)
    templates: Any = SimpleNamespace(of=lambda _: None)
    plan = make_plan(PROFILE, Progress(since, now, now), now, ReadingRules())
    digester = Digester(PROFILE, plan, rows, templates, now=now, clock_tolerance=timedelta(minutes=1))
    return digester.digest(MeterReadout(clock_offset_s, (), rows, None, None, ()), lambda _: now)


def test_a_row_that_is_there_early_does_not_hide_one_that_is_missing() -> None:
    """By the meter's clock the interval from 20:00 has hardly ended; its row came, that of 19:45 did not."""
    since, now = EIGHT - 2 * QUARTER, EIGHT + QUARTER + timedelta(seconds=20)
    found = digest_of([EIGHT - 2 * QUARTER, EIGHT], since=since, now=now, clock_offset_s=-7)
    assert found.missing == [TimeSpan(EIGHT - QUARTER, EIGHT)]
    assert found.remarks == ["1 of 2 intervals are missing in the meter's load profile"]
    assert found.progress.intervals_until == EIGHT + QUARTER


def test_a_row_that_is_not_there_yet_is_not_missing() -> None:
    since, now = EIGHT - 2 * QUARTER, EIGHT + QUARTER + timedelta(seconds=6)
    found = digest_of([EIGHT - 2 * QUARTER, EIGHT - QUARTER], since=since, now=now, clock_offset_s=-7)
    assert (found.missing, found.remarks, found.incomplete) == ([], [], False)
    assert found.progress.intervals_until == EIGHT
