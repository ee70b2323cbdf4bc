"""GET /api/v1/town: the town at a glance."""

from datetime import date, datetime

from fastapi import APIRouter
from pydantic import BaseModel

from amity.api.access import Asked
from amity.api.models import EventModel
from amity.api.problems import PROBLEM_RESPONSES
from amity.kernel.time import from_epoch_s
from amity.usecases.condition import Condition
from amity.usecases.issues import Issue
from amity.usecases.load import DayCompleteness, DayLoad, Gap
from amity.usecases.town import TownOverview, town_overview

router = APIRouter(prefix="/api/v1", tags=["town"], responses=PROBLEM_RESPONSES)


class DayLoadModel(BaseModel):
    """One local day of the town in equal intervals from `start` on; power in kW is null where no meter has a value.

    `meters` counts the meters each import sum rests on; `left_out` the values that validation questions.
    """

    day: date
    start: datetime
    interval_s: int
    import_kw: list[float | None]
    export_kw: list[float | None]
    import_kwh: float
    export_kwh: float
    meters: list[int]
    left_out: int

    @classmethod
    def of(cls, load: DayLoad) -> "DayLoadModel":
        """From the use case."""
        return cls(
            day=load.day,
            start=from_epoch_s(load.start_s),
            interval_s=load.interval_s,
            import_kw=load.import_kw,
            export_kw=load.export_kw,
            import_kwh=load.imported_kwh,
            export_kwh=load.exported_kwh,
            meters=load.meters.tolist(),
            left_out=load.left_out,
        )


class CompletenessModel(BaseModel):
    """Import intervals of one day: expected = measured + estimated + missing."""

    day: date
    expected: int
    measured: int
    estimated: int
    missing: int
    measured_percent: float

    @classmethod
    def of(cls, day: DayCompleteness) -> "CompletenessModel":
        """From the use case."""
        return cls(
            day=day.day,
            expected=day.expected,
            measured=day.measured,
            estimated=day.estimated,
            missing=day.missing,
            measured_percent=round(day.measured_percent, 3),
        )


class GapModel(BaseModel):
    """Intervals without a value: [start, end)."""

    meter_id: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, gap: Gap) -> "GapModel":
        """From the use case."""
        return cls(meter_id=gap.meter_id, start=from_epoch_s(gap.start_s), end=from_epoch_s(gap.end_s))


class IssueModel(BaseModel):
    """One thing that is going wrong; `severity` is notice, warning, critical or blind (the rest may be old).

    `look_at` says of some meters at which time there is something to see.
    """

    kind: str
    severity: str
    title: str
    explanation: str
    next: str
    meter_ids: list[str]
    transformer_ids: list[str]
    since: datetime | None
    look_at: dict[str, datetime]

    @classmethod
    def of(cls, issue: Issue) -> "IssueModel":
        """From the use case."""
        return cls(
            kind=issue.kind,
            severity=issue.severity.name.lower(),
            title=issue.title,
            explanation=issue.explanation,
            next=issue.next_step,
            meter_ids=list(issue.meter_ids),
            transformer_ids=list(issue.transformer_ids),
            since=issue.since,
            look_at=dict(issue.look_at),
        )


class TownModel(BaseModel):
    """The town as known at `at`; what is going wrong comes worst first."""

    name: str
    timezone: str
    at: datetime
    meters: int
    conditions: dict[Condition, int]
    known_until: datetime | None
    yesterday: DayLoadModel
    today: DayLoadModel
    days: list[CompletenessModel]
    gaps: list[GapModel]
    findings: int
    issues: list[IssueModel]
    events: list[EventModel]

    @classmethod
    def of(cls, town: TownOverview) -> "TownModel":
        """From the use case."""
        return cls(
            name=town.name,
            timezone=town.timezone,
            at=town.at,
            meters=len(town.meters),
            conditions=dict(town.conditions),
            known_until=town.known_until,
            yesterday=DayLoadModel.of(town.yesterday),
            today=DayLoadModel.of(town.today),
            days=[CompletenessModel.of(day) for day in town.days],
            gaps=[GapModel.of(gap) for gap in town.gaps],
            findings=town.findings,
            issues=[IssueModel.of(issue) for issue in town.issues],
            events=[EventModel.of(event) for event in town.events],
        )


@router.get("/town")
def get_town(services: Asked) -> TownModel:
    """The town at a glance: who answered, yesterday's and today's load, completeness, gaps, what is going wrong."""
    return TownModel.of(town_overview(services))
