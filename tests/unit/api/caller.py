"""A synchronous HTTP client of the app, without a socket."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


class Caller:
    """Keeps headers and cookies between calls."""

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
