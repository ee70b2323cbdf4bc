"""What is asked for under /api and does not exist: the API says so itself, before the console takes it for a page."""

from collections.abc import Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

_METHODS: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")


class Nowhere:
    """An ASGI endpoint behind all of `routes`: 405 with the methods that a path knows, else 404."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = tuple(routes)

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        """Raise HTTPException, which becomes the one body of all errors."""
        known = [method for method in _METHODS if self._answers({**scope, "method": method})]
        if known:
            raise HTTPException(405, f"this path answers {', '.join(known)} only", {"allow": ", ".join(known)})
        raise HTTPException(404, "there is no such path")

    def _answers(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._routes)
