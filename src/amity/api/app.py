"""The HTTP API as one FastAPI app; the console attaches itself to the same app and passes the same gate."""

from collections.abc import Collection

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from amity.api import collection, events, health, login, meters, readings, sla, town, vee, why
from amity.api.access import IDENTITY
from amity.api.gate import LOOPBACK_HOSTS, Gate, SecurityHeaders
from amity.api.nowhere import Nowhere
from amity.api.problems import answer_with_problems
from amity.usecases.services import Services

_DESCRIPTION = (
    "Everything needs a session or an API token but /healthz and the login. Times are ISO 8601 with their zone, "
    "ranges half-open. Every error has the same body: what, tried, answer, next."
)


def create_app(services: Services, *, allowed_hosts: Collection[str] = LOOPBACK_HOSTS) -> FastAPI:
    """Build the API. `allowed_hosts` are the names (without port) under which it may be reached."""
    app = FastAPI(
        title="Amity",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # those pages load their scripts from somebody else's server
        redoc_url=None,
    )
    app.state.services = services
    for public in (health, login):
        app.include_router(public.router)
    for noun in (town, meters, readings, why, collection, vee, events, sla):
        app.include_router(noun.router, dependencies=IDENTITY)
    app.router.routes.append(Route("/api/{path:path}", Nowhere(app.routes), include_in_schema=False))
    answer_with_problems(app)
    app.add_middleware(Gate, services=services, allowed_hosts=allowed_hosts)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=4)
    return app
