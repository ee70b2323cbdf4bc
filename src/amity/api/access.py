"""How an endpoint gets at the use cases' services, and what it asks of the one who calls."""

from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from amity.api.gate import COOKIE
from amity.usecases.services import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


_TOKEN = HTTPBearer(scheme_name="token", description="An API token from POST /api/v1/token.", auto_error=False)
_SESSION = APIKeyCookie(
    name=COOKIE, scheme_name="session", description="The session that a one-time link opens.", auto_error=False
)

IDENTITY: Final[list[Any]] = [Security(_TOKEN), Security(_SESSION)]
"""Either of the two, as the OpenAPI document tells it; the gate has looked at them before any endpoint is asked."""

Asked = Annotated[Services, Depends(_services)]
