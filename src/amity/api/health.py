"""Is the process alive: for supervisors and load balancers, the one thing besides login that needs no identity."""

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """`status` is `ok` whenever there is an answer at all."""

    status: str = "ok"


@router.get("/healthz")
def healthz() -> Health:
    """Say that the process answers."""
    return Health()
