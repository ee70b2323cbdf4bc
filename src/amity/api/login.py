"""One-time links: a GET only shows a page, so that no link preview spends the secret; the button spends it."""

from datetime import datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel

from amity.api.access import Asked
from amity.api.gate import COOKIE
from amity.api.problems import PROBLEM_RESPONSES
from amity.kernel.errors import AccessError
from amity.usecases.login import SESSION_LIFETIME, close_session, open_api_access, open_session

router = APIRouter(tags=["login"])

_PAGE = Template(files("amity.api").joinpath("login.html").read_text("utf-8"))
_ENTER = Template(
    "<h1>Welcome</h1><p>This link opens Amity once, for twelve hours, in this browser.</p>"
    '<form method="post" action="/login"><input type="hidden" name="token" value="$token">'
    "<button>Open Amity</button></form>"
)
_NO_LINK = (
    "<h1>You need a login link</h1><p>Amity has no passwords. The terminal that runs it prints links that work once, "
    "for fifteen minutes.</p><p>Just signed in elsewhere? <a href='/'>Go on to the console</a>.</p>"
)
_SPENT = Template("<h1>$what</h1><p>$answer</p><p><strong>Next:</strong> $next_step</p>")


class ApiToken(BaseModel):
    """An API token: send it as `Authorization: Bearer <api_token>`. It is shown once."""

    api_token: str
    person: str
    expires_at: datetime


class LinkSecret(BaseModel):
    """The secret of an unspent one-time link (what stands after `token=`)."""

    token: str


@router.get("/login", include_in_schema=False)
def show_login(token: str = "") -> HTMLResponse:
    """Show the button that spends the link; nothing is spent by looking."""
    return _page(_ENTER.substitute(token=escape(token)) if token else _NO_LINK)


@router.post("/login", include_in_schema=False)
def enter(request: Request, services: Asked, token: Annotated[str, Form()] = "") -> Response:
    """Spend the link and hand out the session cookie."""
    try:
        admission = open_session(services, token)
    except AccessError as error:
        return _page(_SPENT.substitute({k: escape(v or "") for k, v in vars(error).items()}), 401)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE,
        admission.secret,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout", include_in_schema=False)
def leave(request: Request, services: Asked) -> Response:
    """End the session, here and for whoever else holds its cookie."""
    close_session(services, request.cookies.get(COOKIE))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.post("/api/v1/token", responses={401: PROBLEM_RESPONSES[401]})
def exchange_link(services: Asked, link: LinkSecret) -> ApiToken:
    """Spend a one-time link for an API token."""
    admission = open_api_access(services, link.token)
    return ApiToken(api_token=admission.secret, person=admission.person, expires_at=admission.expires_at)


def _page(content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.substitute(content=content), status)
