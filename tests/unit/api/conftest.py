import asyncio
import hashlib
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from amity.api.app import create_app
from amity.messaging.codec import ProtobufCodec
from amity.usecases.login import grant_api_token
from amity.usecases.services import Services
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import NOW, fill


def counting_octets():
    """Chance that is different each time and the same in each run."""
    state = iter(range(1 << 30))
    return lambda count: hashlib.shake_256(str(next(state)).encode()).digest(count)


@pytest.fixture(scope="session")
def filled_database() -> MemoryDatabase:
    database = MemoryDatabase()
    fill(database, ProtobufCodec())
    return database


@pytest.fixture
def services(filled_database: MemoryDatabase) -> Services:
    return Services(filled_database, MemoryLogins(), ProtobufCodec(), FixedClock(NOW), counting_octets())


class Caller:
    """A synchronous HTTP client of the app; keeps headers and cookies between calls."""

    def __init__(self, app: FastAPI, host: str = "127.0.0.1") -> None:
        self.app = app
        self.base_url = f"http://{host}"
        self.headers: dict[str, str] = {}
        self.cookies = httpx.Cookies()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._request(method, path, options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    async def _request(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        options["headers"] = self.headers | options.get("headers", {})
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=self.base_url, cookies=self.cookies) as client:
            response = await client.request(method, path, **options)
            self.cookies = client.cookies
        return response


@pytest.fixture
def nobody(services: Services) -> Caller:
    """A client without any identity."""
    return Caller(create_app(services))


@pytest.fixture
def client(nobody: Caller, services: Services) -> Caller:
    """A client with an API token."""
    nobody.headers["authorization"] = f"Bearer {grant_api_token(services, 'anna').secret}"
    return nobody
