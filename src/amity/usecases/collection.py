"""The state of collection: for every meter how the last session ended, what was tried and what to do next."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from amity.domain.collection import Outcome
from amity.usecases.meters import MeterRow, all_meters
from amity.usecases.services import Services

_NEXT = "next: "


@dataclass(frozen=True, slots=True)
class CollectionOverview:
    """Rows with the meters in trouble first; `outcomes` counts all meters that were tried, `waiting` the others."""

    at: datetime
    rows: tuple[MeterRow, ...]
    outcomes: Mapping[Outcome, int]
    waiting: int


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


def _trouble_first(row: MeterRow) -> tuple[int, int, str]:
    if row.state is None:
        return 1, 0, row.meter.meter_id
    answered = row.state.outcome.answered
    return (2 if answered else 0), -row.state.failures_in_a_row, row.meter.meter_id
