"""GET /api/v1/sla: how complete a day of readings was by when, against what was promised."""

from datetime import date

from fastapi import APIRouter
from pydantic import BaseModel

from amity.api.access import Asked
from amity.api.problems import PROBLEM_RESPONSES
from amity.headend.sla.report import Result, ServiceReport
from amity.usecases.sla import SOURCE, completeness

router = APIRouter(prefix="/api/v1", tags=["sla"], responses=PROBLEM_RESPONSES)


class SlaResultModel(BaseModel):
    """One measure for one group of meters; `share` is null where nothing is decided, `kept` where nothing is judged."""

    measure: str
    group: str
    counted: int
    met: int
    open: int
    share: float | None
    target: float | None
    kept: bool | None

    @classmethod
    def of(cls, result: Result) -> "SlaResultModel":
        """From the report."""
        return cls(
            measure=result.measure.name,
            group=result.group,
            counted=result.counted,
            met=result.met,
            open=result.open_,
            share=result.share,
            target=result.measure.target,
            kept=result.kept,
        )


class SlaModel(BaseModel):
    """A report on one local day; `source` says what it was computed from, `against` are the meters that missed."""

    level: str
    title: str
    zone: str
    date: date
    source: str
    results: list[SlaResultModel]
    against: dict[str, list[str]]
    remarks: list[str]

    @classmethod
    def of(cls, made: ServiceReport) -> "SlaModel":
        """From the use case."""
        against: dict[str, list[str]] = {}
        for one in made.against:
            against.setdefault(one.measure, []).append(one.meter_id)
        return cls(
            level=made.level.name,
            title=made.level.title,
            zone=made.level.zone.key,
            date=made.day,
            source=SOURCE,
            results=[SlaResultModel.of(one) for one in made.results],
            against=against,
            remarks=list(made.remarks),
        )


@router.get("/sla")
def get_sla(services: Asked, preset: str = "ontario", day: date | None = None) -> SlaModel:
    """Completeness by what was delivered; how on-demand reads and commands went, the head-end's job log knows."""
    return SlaModel.of(completeness(services, preset, day))
