"""Errors on the way out: one table from the type of an error to its HTTP status, one body for all of them."""

from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from amity.kernel.errors import (
    AccessError,
    AmityError,
    LocalProtocolError,
    NotFoundError,
    RemoteProtocolError,
    RemoteRefusalError,
    RequestError,
    StorageError,
    TransportError,
)

STATUS_OF: Mapping[type[AmityError], int] = {
    AccessError: 401,
    NotFoundError: 404,
    RequestError: 422,
    LocalProtocolError: 422,
    RemoteRefusalError: 502,
    RemoteProtocolError: 502,
    TransportError: 504,
    StorageError: 503,
    AmityError: 500,
}


class Problem(BaseModel):
    """What went wrong: a sentence, what was tried, what came back, and the next thing to do."""

    what: str
    tried: str | None = None
    answer: str | None = None
    next: str | None = None


PROBLEM_RESPONSES: dict[int | str, dict[str, object]] = {
    401: {"model": Problem, "description": "no session and no API token"},
    404: {"model": Problem, "description": "what was named does not exist"},
    422: {"model": Problem, "description": "what was asked cannot be answered as asked"},
}


def status_of(error: AmityError) -> int:
    """The HTTP status of an error: that of its nearest kind in the table."""
    return next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)


def problem_response(status: int, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The one shape in which the API says no."""
    return JSONResponse(problem.model_dump(), status, dict(headers or {}))


def problem_of(error: AmityError) -> Problem:
    """An error as it is written into a body."""
    return Problem(what=error.what, tried=error.tried, answer=error.answer, next=error.next_step)


def answer_with_problems(app: FastAPI) -> None:
    """Make the app answer every expected error with a `Problem`."""

    @app.exception_handler(AmityError)
    def _amity(_request: Request, error: AmityError) -> Response:
        return problem_response(status_of(error), problem_of(error))

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(422, _invalid_parameters(request, error.errors()))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        what = f"{request.method} {request.url.path}: {error.detail}"
        problem = Problem(what=what, next="see /api/v1/openapi.json for what there is")
        return problem_response(error.status_code, problem, error.headers)


def _invalid_parameters(request: Request, errors: Sequence[Mapping[str, object]]) -> Problem:
    first = errors[0]
    location = first.get("loc", ())
    name = ".".join(map(str, location[1:])) if isinstance(location, Sequence) else ""
    context = first.get("ctx")
    own_step = context.get("next") if isinstance(context, Mapping) else None
    time_like = any(kind in str(first.get("type", "")) for kind in ("datetime", "timezone"))
    standard_step = _TIME_HINT if time_like else "see /api/v1/openapi.json for the parameters and their form"
    return Problem(
        what=f"{name or 'the request'}: {first.get('msg')}",
        tried=f"{request.method} {request.url.path}",
        answer=str(first.get("input"))[:200],
        next=str(own_step) if own_step else standard_step,
    )


_TIME_HINT = "write times with their zone, for example 2026-03-18T00:00:00Z (in a URL a + must be written %2B)"
