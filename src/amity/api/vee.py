"""GET /api/v1/vee/exceptions: open findings of validation, newest first."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from amity.api.access import Asked
from amity.api.models import FindingModel
from amity.api.problems import PROBLEM_RESPONSES
from amity.usecases.findings import open_findings

router = APIRouter(prefix="/api/v1/vee", tags=["vee"], responses=PROBLEM_RESPONSES)

LIMIT_MAX = 5000


class FindingsModel(BaseModel):
    """Newest first."""

    exceptions: list[FindingModel]


@router.get("/exceptions")
def get_exceptions(
    services: Asked, meter_id: str | None = None, limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 500
) -> FindingsModel:
    """Open VEE findings of all meters or of one."""
    found = open_findings(services, meter_id, limit=limit)
    return FindingsModel(exceptions=[FindingModel.of(finding, channel) for finding, channel in found])
