"""GET /api/v1/collection: how the last session with every meter ended and what to do next."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from amity.api.access import Asked
from amity.api.models import MeterModel
from amity.api.problems import PROBLEM_RESPONSES
from amity.domain.collection import Outcome
from amity.usecases.collection import collection_overview, findings_and_next_step
from amity.usecases.meters import MeterRow

router = APIRouter(prefix="/api/v1", tags=["collection"], responses=PROBLEM_RESPONSES)


class CollectionRowModel(BaseModel):
    """One meter; `next` is the next step, when the session's detail names one."""

    meter: MeterModel
    findings: list[str]
    next: str | None

    @classmethod
    def of(cls, row: MeterRow) -> "CollectionRowModel":
        """From the use case."""
        findings, next_step = findings_and_next_step(row.state.detail if row.state else ())
        return cls(meter=MeterModel.of(row), findings=findings, next=next_step)


class CollectionModel(BaseModel):
    """Meters in trouble first; `outcomes` counts every meter that was tried, `waiting` those that were not."""

    at: datetime
    outcomes: dict[Outcome, int]
    waiting: int
    rows: list[CollectionRowModel]


@router.get("/collection")
def get_collection(services: Asked, outcome: Outcome | None = None) -> CollectionModel:
    """The state of collection of all meters, or of those with one outcome."""
    overview = collection_overview(services, outcome)
    return CollectionModel(
        at=overview.at,
        outcomes=dict(overview.outcomes),
        waiting=overview.waiting,
        rows=[CollectionRowModel.of(row) for row in overview.rows],
    )
