"""GET /api/v1/events: what meters said on their own, newest first."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from amity.api.access import Asked
from amity.api.models import EventModel
from amity.api.problems import PROBLEM_RESPONSES
from amity.domain.events import EventClass, Severity
from amity.usecases.findings import events_of
from amity.usecases.ports import EventQuery

router = APIRouter(prefix="/api/v1", tags=["events"], responses=PROBLEM_RESPONSES)

LIMIT_MAX = 1000


class EventsModel(BaseModel):
    """Newest first."""

    events: list[EventModel]


@router.get("/events")
def get_events(
    services: Asked,
    meter_id: str | None = None,
    event_class: Annotated[list[EventClass] | None, Query()] = None,
    severity: Annotated[list[Severity] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 200,
) -> EventsModel:
    """Events and alarms of all meters or of one, of these classes and severities."""
    stored = events_of(services, EventQuery(meter_id, frozenset(event_class or ()), frozenset(severity or ()), limit))
    return EventsModel(events=[EventModel.of(event) for event in stored])
