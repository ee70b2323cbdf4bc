"""What stands before every request, also before the console's web socket: host, origin, identity and headers.

Plain ASGI, because Starlette's function middleware does not see web sockets.
"""

import asyncio
import secrets
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from amity.api.problems import Problem, problem_response
from amity.security.permissions import Permission, allows
from amity.usecases.login import person_of
from amity.usecases.services import Services

COOKIE: Final = "amity_session"
API_PREFIX: Final = "/api/"
PUBLIC_PATHS: Final = frozenset({"/healthz", "/login", "/logout", "/api/v1/token"})
LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "::1")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY_VIOLATION: Final = 1008
BODY_OCTETS_MAX: Final = 256 * 1024
_LOOK_EVERY_S: Final = 5.0


def permission_of(path: str) -> Permission:
    """What a path asks for: everything is closed unless it stands in the short list."""
    return Permission.PUBLIC if path in PUBLIC_PATHS else Permission.READ


class Gate:
    """Lets a request through when host, origin and identity are right; says plainly what is wrong otherwise."""

    def __init__(self, app: ASGIApp, services: Services, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._services = services
        self._allowed_hosts = frozenset(host.lower().strip("[]") for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        if scope["type"] == "websocket":
            await self._socket(refusal, scope, receive, send)
        elif refusal is None and (replayed := await _small_body(receive)) is not None:
            await self._app(scope, replayed, send)
        else:
            await (refusal or _too_long())(scope, receive, send)

    async def _socket(self, refusal: Response | None, scope: Scope, receive: Receive, send: Send) -> None:
        """A web socket lives as long as its session: who signs out, or whose time is over, is cut off."""
        if refusal is not None:
            await WebSocketClose(_POLICY_VIOLATION)(scope, receive, send)
            return
        served = asyncio.ensure_future(self._app(scope, receive, send))
        ended = asyncio.ensure_future(self._until_unknown(_secret(Headers(scope=scope))))
        try:
            await asyncio.wait({served, ended}, return_when=asyncio.FIRST_COMPLETED)
            if served.done():
                served.result()
            else:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        finally:
            served.cancel()
            ended.cancel()
            await asyncio.gather(served, ended, return_exceptions=True)

    async def _until_unknown(self, secret: str | None) -> None:
        while await run_in_threadpool(person_of, self._services, secret) is not None:  # noqa: ASYNC110 - a store is asked
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _host_name(host) not in self._allowed_hosts:  # a name that an attacker rebound to our address
            return _wrong_host(host)
        if _crosses_origins(scope, headers, host):
            return _wrong_origin(headers["origin"])
        person = await run_in_threadpool(person_of, self._services, _secret(headers))
        scope.setdefault("state", {})["person"] = person
        return None if allows(permission_of(scope["path"]), person) else _who_are_you(scope, headers)


class SecurityHeaders:
    """Adds to every response what tells a browser to trust it with as little as possible.

    Pages get a fresh nonce in each of their scripts: scripts from elsewhere, event attributes and `javascript:` links
    cannot run. A whole script element that slipped into a page would get the nonce too; escaping (`web/markup.py`) is
    what keeps it out. `unsafe-eval` is what Vue's template compiler needs, and nothing but our own origin is asked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        page = _PageWithNonce(send)
        await self._app(scope, receive, page.send)


class _PageWithNonce:
    """Holds an HTML page back until it is whole, then writes nonce and headers; lets everything else pass."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        """Take one ASGI message of the response."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if _is_page(headers):
                self._start = message
            else:
                _write_headers(headers, "default-src 'none'; frame-ancestors 'none'")
                await self._send(message)
        elif self._start is None:
            await self._send(message)
        else:
            await self._collect(self._start, message)

    async def _collect(self, start: Message, message: Message) -> None:
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            nonce = secrets.token_urlsafe(16)
            body = bytes(self._body).replace(b"<script", f'<script nonce="{nonce}"'.encode())
            headers = MutableHeaders(scope=start)
            headers["content-length"] = str(len(body))
            _write_headers(headers, _page_policy(nonce))
            headers.setdefault("cache-control", "no-store")
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body})


async def _small_body(receive: Receive) -> Receive | None:
    """The request's body, held and given again; None when it is longer than anything that is asked here can be."""
    held: list[Message] = []
    octets = 0
    while True:
        message = await receive()
        held.append(message)
        octets += len(message.get("body", b""))
        if octets > BODY_OCTETS_MAX:
            return None
        if not message.get("more_body", False):
            break
    waiting = iter(held)

    async def again() -> Message:
        for message in waiting:
            return message
        return await receive()

    return again


def _page_policy(nonce: str) -> str:
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _is_page(headers: MutableHeaders) -> bool:
    return headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers


def _write_headers(headers: MutableHeaders, policy: str) -> None:
    headers["content-security-policy"] = policy
    headers["x-content-type-options"] = "nosniff"
    headers["x-frame-options"] = "DENY"
    headers["referrer-policy"] = "same-origin"  # no-referrer would make browsers send `Origin: null`
    headers["cross-origin-opener-policy"] = "same-origin"
    headers["cross-origin-resource-policy"] = "same-origin"
    headers["permissions-policy"] = "camera=(), geolocation=(), microphone=()"


def _host_name(host: str) -> str:
    """The name in a Host header, without port and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _crosses_origins(scope: Scope, headers: Headers, host: str) -> bool:
    """True for a web socket or a changing request that another site's page started."""
    origin = headers.get("origin")
    changing = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
    return changing and origin is not None and origin.partition("://")[2] != host


def _secret(headers: Headers) -> str | None:
    """The API token or the session cookie of a request."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None


def _wrong_host(host: str) -> Response:
    return problem_response(
        421,
        Problem(
            what=f"this server is not reached under the name {host!r}",
            next="use the address that it printed, or allow the name in its settings (allowed hosts)",
        ),
    )


def _wrong_origin(origin: str) -> Response:
    return problem_response(403, Problem(what=f"a page of {origin} may not act here", next="use the console itself"))


def _too_long() -> Response:
    return problem_response(
        413,
        Problem(
            what=f"a request of more than {BODY_OCTETS_MAX >> 10} KiB is not read",
            next="send less at once; files are taken by `amity import`",
        ),
        {"connection": "close"},
    )


def _who_are_you(scope: Scope, headers: Headers) -> Response:
    if "text/html" in headers.get("accept", "") and not scope["path"].startswith(API_PREFIX):
        return RedirectResponse("/login", 303)
    problem = Problem(
        what="who is asking is not known",
        answer="the request carries neither a living session nor a living API token",
        next="open a one-time login link, or send `Authorization: Bearer <API token>`",
    )
    return problem_response(401, problem, {"www-authenticate": "Bearer"})
