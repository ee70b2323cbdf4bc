import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.types import Message

from amity.api.app import create_app
from amity.api.gate import COOKIE, Gate, permission_of
from amity.api.problems import STATUS_OF, status_of
from amity.kernel import errors
from amity.usecases.login import LINK_LIFETIME, SESSION_LIFETIME, close_session, offer_link, open_session
from amity.usecases.services import Services
from tests.unit.api.caller import Caller

GOLDEN = """
GET /api/v1/collection read
GET /api/v1/events read
GET /api/v1/meters read
GET /api/v1/meters/{meter_id} read
GET /api/v1/meters/{meter_id}/readings read
GET /api/v1/meters/{meter_id}/readings/{obis}/{start}/why read
GET /api/v1/openapi.json read
GET /api/v1/sla read
GET /api/v1/town read
GET /api/v1/vee/exceptions read
GET /healthz public
GET /login public
POST /api/v1/token public
POST /login public
POST /logout public
"""


def endpoints(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """(method, path) of every route, also those of routers that are kept as one entry."""
    for route in routes:
        inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        if inner:
            yield from endpoints(inner)
        elif getattr(route, "methods", None):
            yield from ((method, route.path) for method in route.methods - {"HEAD"})


def test_every_endpoint_stands_in_the_golden_list_with_its_permission(services: Services):
    app = create_app(services)
    found = {(method, path) for path, methods in app.openapi()["paths"].items() for method in map(str.upper, methods)}
    found |= set(endpoints(app.routes))
    lines = sorted(f"{method} {path} {permission_of(path)}" for method, path in found)
    assert lines == GOLDEN.strip().splitlines()


def test_whatever_is_not_in_the_short_list_is_closed():
    assert permission_of("/") == permission_of("/_nicegui/3/static/nicegui.js") == permission_of("/login/x") == "read"


def test_without_identity_the_api_says_how_to_get_one(nobody: Caller):
    answer = nobody.get("/api/v1/town")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "login link" in answer.json()["next"]


def test_without_identity_a_browser_is_sent_to_the_login_page(nobody: Caller):
    answer = nobody.get("/", headers={"accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_health_needs_no_identity(nobody: Caller):
    assert nobody.get("/healthz").json() == {"status": "ok"}


def test_looking_at_a_link_does_not_spend_it_and_the_button_spends_it_once(nobody: Caller, services: Services):
    secret = offer_link(services, "anna").secret
    for _ in range(3):
        assert "Open Amity" in nobody.get("/login", params={"token": secret}).text
    entered = nobody.post("/login", data={"token": secret}, headers={"origin": "http://127.0.0.1"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert f"max-age={int(SESSION_LIFETIME.total_seconds())}" in cookie
    assert nobody.get("/api/v1/town").status_code == 200
    again = nobody.post("/login", data={"token": secret})
    assert again.status_code == 401
    assert "new link" in again.text


def test_a_link_is_good_for_fifteen_minutes(nobody: Caller, services: Services):
    secret = offer_link(services, "anna").secret
    services.clock.time += LINK_LIFETIME
    assert nobody.post("/login", data={"token": secret}).status_code == 401


def test_signing_out_ends_the_session_for_whoever_holds_its_cookie(nobody: Caller, services: Services):
    nobody.post("/login", data={"token": offer_link(services, "anna").secret})
    stolen = httpx.Cookies(nobody.cookies)
    assert nobody.get("/api/v1/town").status_code == 200
    nobody.post("/logout", headers={"origin": "http://127.0.0.1"})
    nobody.cookies = stolen
    assert nobody.get("/api/v1/town").status_code == 401


def test_a_session_ends_after_twelve_hours(nobody: Caller, services: Services):
    nobody.post("/login", data={"token": offer_link(services, "anna").secret})
    services.clock.time += SESSION_LIFETIME - timedelta(seconds=1)
    assert nobody.get("/api/v1/events").status_code == 200
    services.clock.time += timedelta(seconds=1)
    assert nobody.get("/api/v1/events").status_code == 401


def test_a_link_can_be_spent_for_an_api_token_instead(nobody: Caller, services: Services):
    answer = nobody.post("/api/v1/token", json={"token": offer_link(services, "meter-reader").secret})
    assert answer.json()["person"] == "meter-reader"
    bearer = {"authorization": f"Bearer {answer.json()['api_token']}"}
    assert nobody.get("/api/v1/town", headers=bearer).status_code == 200
    assert nobody.get("/api/v1/town", headers={"authorization": "Bearer nonsense"}).status_code == 401


def test_only_hashes_are_stored(nobody: Caller, services: Services):
    link = offer_link(services, "anna").secret
    stored = set(services.logins.tokens)
    nobody.post("/login", data={"token": link})
    secret = nobody.cookies[COOKIE]
    stored |= set(services.logins.sessions)
    assert all(len(value) == 32 for value in stored)
    assert link.encode() not in stored
    assert secret.encode() not in stored


def test_no_secret_shows_in_the_repr_of_an_admission(services: Services):
    admission = offer_link(services, "anna")
    assert admission.secret not in repr(admission)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.", "[::2]:80"])
def test_a_name_that_was_rebound_to_us_is_refused(client: Caller, host: str):
    assert client.get("/healthz", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080"])
def test_our_own_names_are_taken(client: Caller, host: str):
    assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_another_sites_form_cannot_act(nobody: Caller, services: Services):
    answer = nobody.post(
        "/login", data={"token": offer_link(services, "anna").secret}, headers={"origin": "http://evil.example"}
    )
    assert answer.status_code == 403


def test_a_cookie_header_that_is_no_cookie_is_nobody(nobody: Caller):
    assert nobody.get("/api/v1/town", headers={"cookie": f"{COOKIE}=\x01; ;;==,"}).status_code == 401


@pytest.mark.parametrize("extra", [[], [(b"origin", b"http://evil.example")]])
def test_a_web_socket_without_identity_is_closed_before_it_opens(services: Services, extra: list[tuple[bytes, bytes]]):
    sent = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/_nicegui_ws/socket.io/",
        "headers": [(b"host", b"127.0.0.1"), *extra],
        "query_string": b"",
        "subprotocols": [],
    }
    asyncio.run(create_app(services)(scope, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize("path", ["/healthz", "/login", "/api/v1/town", "/nowhere"])
def test_every_answer_carries_the_security_headers(client: Caller, path: str):
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


def test_scripts_need_a_fresh_nonce_and_nothing_comes_from_elsewhere(client: Caller):
    policies = {client.get("/login").headers["content-security-policy"] for _ in range(2)}
    assert len(policies) == 2
    for policy in policies:
        script = re.search(r"script-src ([^;]*)", policy)[1]
        assert "'unsafe-inline'" not in script
        assert "http" not in policy


def test_the_login_page_cannot_be_made_to_carry_markup(nobody: Caller):
    page = nobody.get("/login", params={"token": '"><script>alert(1)</script>'}).text
    assert "<script" not in page


def test_every_kind_of_error_has_a_status():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AmityError)]
    assert {kind.__name__: status_of(kind("x")) for kind in kinds} == {
        "AmityError": 500,
        "LocalProtocolError": 422,
        "RemoteProtocolError": 502,
        "SecurityError": 502,
        "RemoteRefusalError": 502,
        "TransportError": 504,
        "RequestError": 422,
        "NotFoundError": 404,
        "AccessError": 401,
        "ConfigurationError": 500,
        "StorageError": 503,
    }
    assert set(STATUS_OF.values()) <= set(range(400, 600))


def test_an_unknown_address_of_the_api_is_a_problem_too(client: Caller):
    answer = client.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert set(answer.json()) == {"what", "tried", "answer", "next"}


def test_the_description_is_served_and_names_every_noun(client: Caller):
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert {"/api/v1/town", "/api/v1/meters", "/api/v1/collection", "/healthz"} <= set(paths)


@pytest.mark.parametrize("path", ["/api/v1/nope", "/api/", "/api/v2/town", "/api/v1/meters/a/b/c/d"])
def test_an_unknown_path_of_the_api_is_404_with_the_one_body(client: Caller, nobody: Caller, path: str):
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert set(answer.json()) == {"what", "tried", "answer", "next"}
    nobody.headers.clear()
    assert nobody.get(path, headers={"accept": "text/html"}).status_code == 401


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
def test_a_wrong_method_is_405_and_names_the_right_one(client: Caller, method: str):
    answer = client.request(method, "/api/v1/town")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert "GET" in answer.json()["what"]


def test_a_wrong_method_of_a_public_path_needs_no_identity(nobody: Caller):
    answer = nobody.get("/api/v1/token")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_openapi_document_says_who_may_ask(client: Caller):
    document = client.get("/api/v1/openapi.json").json()
    kinds = {name: scheme["type"] for name, scheme in document["components"]["securitySchemes"].items()}
    assert kinds == {"token": "http", "session": "apiKey"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            asked = operation.get("security", [])
            assert asked == ([] if permission_of(path) == "public" else [{"token": []}, {"session": []}])


def test_a_body_without_end_is_not_read_into_memory(nobody: Caller):
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * 1024 * 1024:
            sent += 65_536
            yield bytes(65_536)

    answer = nobody.post("/api/v1/token", content=endless())
    assert answer.status_code == 413
    assert sent < 1024 * 1024
    assert answer.json()["next"]


async def test_a_web_socket_ends_with_its_session(services: Services, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("amity.api.gate._LOOK_EVERY_S", 0.01)
    admission = open_session(services, offer_link(services, "anna").secret)
    said: list[dict[str, object]] = []

    async def app(_scope: object, receive: Callable[[], Awaitable[object]], _send: object) -> None:
        await receive()

    async def never() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        said.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"cookie", f"{COOKIE}={admission.secret}".encode())]
    scope = {"type": "websocket", "path": "/_nicegui_ws/socket.io/", "headers": headers}
    served = asyncio.ensure_future(Gate(app, services, ["127.0.0.1"])(scope, never, send))
    await asyncio.sleep(0.05)
    assert not served.done()
    close_session(services, admission.secret)
    await asyncio.wait_for(served, 5)
    assert said == [{"type": "websocket.close", "code": 1008}]
