"""The state of collection: for every meter how the last session ended, what was tried and what to do next."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from amity.domain.collection import Outcome
from amity.usecases.condition import clock_is_off
from amity.usecases.meters import MeterRow, all_meters
from amity.usecases.services import Services

GROUP_ROWS_MIN = 3  # two meters are told one by one, more that fail alike at one transformer together
_NEXT = "next: "
_ATTEMPTS = re.compile(r"^meter .+?, \d+ attempts?: ")  # the heading names its meter, which no other has


@dataclass(frozen=True, slots=True)
class CollectionOverview:
    """Rows with the meters in trouble first; `outcomes` counts all meters that were tried, `waiting` the others."""

    at: datetime
    rows: tuple[MeterRow, ...]
    outcomes: Mapping[Outcome, int]
    waiting: int


@dataclass(frozen=True, slots=True)
class AlikeSessions:
    """Meters of one transformer whose last sessions ended alike, or one meter by itself.

    `findings` are what the sessions share; what names a single meter is left out where there are several.
    """

    rows: tuple[MeterRow, ...]
    findings: tuple[str, ...]
    next_step: str | None


def collection_overview(services: Services, outcome: Outcome | None = None) -> CollectionOverview:
    """Collection of all meters, or of those with one outcome; raise NotFoundError before the first provisioning."""
    rows = all_meters(services)
    wanted = [row for row in rows if outcome is None or (row.state is not None and row.state.outcome is outcome)]
    wanted.sort(key=_trouble_first)
    return CollectionOverview(
        at=services.clock.now(),
        rows=tuple(wanted),
        outcomes=Counter(row.state.outcome for row in rows if row.state is not None),
        waiting=sum(row.state is None for row in rows),
    )


def findings_and_next_step(detail: tuple[str, ...]) -> tuple[list[str], str | None]:
    """Split the lines of a session's detail into what happened and the next step (a line `next: …`), if any."""
    steps = [line.removeprefix(_NEXT) for line in detail if line.startswith(_NEXT)]
    return [line for line in detail if not line.startswith(_NEXT)], steps[0] if steps else None


def alike_sessions(rows: Iterable[MeterRow]) -> list[AlikeSessions]:
    """Put meters together that have the same transformer, outcome, trouble and next step; the order stays."""
    by_key: dict[tuple[object, ...], list[MeterRow]] = {}
    for row in rows:
        by_key.setdefault(_likeness(row), []).append(row)
    return [group for alike in by_key.values() for group in _groups(alike)]


def _groups(rows: list[MeterRow]) -> list[AlikeSessions]:
    if len(rows) < GROUP_ROWS_MIN:
        return [AlikeSessions((row,), *_told(row)) for row in rows]
    first, *others = ([_ATTEMPTS.sub("", line) for line in _told(row)[0]] for row in rows)
    shared = tuple(line for line in first if all(line in other for other in others))
    return [AlikeSessions(tuple(rows), shared, _told(rows[0])[1])]


def _told(row: MeterRow) -> tuple[tuple[str, ...], str | None]:
    """Everything that was found, also in the meter's clock, and the next step."""
    if row.state is None:
        return (), None
    findings, next_step = findings_and_next_step(row.state.detail)
    if clock_is_off(row.state):
        findings = [*findings, f"clock is off by {row.state.clock_offset_s} s"]
    return tuple(findings), next_step


def _likeness(row: MeterRow) -> tuple[object, ...]:
    findings, next_step = _told(row)
    trouble = _ATTEMPTS.sub("", findings[0]) if findings else ""
    return row.usage_point.transformer_id, row.state and row.state.outcome, trouble, next_step


def _trouble_first(row: MeterRow) -> tuple[int, int, str, str]:
    """Failures, meters that nobody tried, answers with something to say, plain answers; each by transformer."""
    place = row.usage_point.transformer_id, row.meter.meter_id
    if row.state is None:
        return 1, 0, *place
    if not row.state.outcome.answered:
        return 0, -row.state.failures_in_a_row, *place
    return (2 if any(_told(row)) else 3), 0, *place


def committed_at(services: Services, message_ids: Collection[str]) -> Mapping[str, datetime]:
    """When each of these messages of the head-end was committed here; one that was not is not named."""
    return services.database.deliveries.committed_at(message_ids)
