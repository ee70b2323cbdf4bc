"""One open page in one browser: its document, its regions, and what people do on it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import Client, ui
from nicegui.events import GenericEventArguments

from amity.kernel.errors import AmityError
from amity.web.markup import Html
from amity.web.pages.parts import frame, problem

REFRESH_S = 5.0

Handler = Callable[[str], Awaitable[None]]


class LivePage:
    """The regions of an open page; only what changed is sent, and a refresh closes nothing that somebody opened."""

    def __init__(self, client: Client, here: str, title: str) -> None:
        self._client = client
        self._here = here
        self._shown: dict[str, str] = {}
        ui.page_title(f"{title} · Amity")

    def begin(self, layout: Callable[[Mapping[str, Html]], Html], regions: Mapping[str, Html]) -> None:
        """Write the document itself: it is on screen before any script runs."""
        self._shown.update(regions)
        ui.add_body_html(frame(self._here, layout(regions)))

    def show(self, regions: Mapping[str, Html]) -> None:
        """Send the regions whose markup differs from what the page shows."""
        changed = {name: html for name, html in regions.items() if self._shown.get(name) != html}
        if changed:
            self._shown.update(changed)
            self.run("show", changed)

    def run(self, function: str, *arguments: object) -> None:
        """Call a function of the page's script (`assets/console.js`)."""
        self._client.run_javascript(f"amity.{function}({', '.join(json.dumps(a) for a in arguments)})")

    def on(self, event: str, handler: Handler) -> None:
        """Answer an event that the page's script emits with one text; an expected error is shown, not thrown."""

        async def answer(arguments: GenericEventArguments) -> None:
            await self.attempt(lambda: handler(_text_of(arguments.args)))

        ui.on(event, answer)

    def every(self, interval_s: float, refresh: Callable[[], Awaitable[None]]) -> None:
        """Do this again and again while the page is open."""

        async def again() -> None:
            await self.attempt(refresh)

        ui.timer(interval_s, again, immediate=False)

    async def attempt(self, action: Callable[[], Awaitable[None]]) -> None:
        """Do it; an expected error stands at the head of the page until something works again."""
        try:
            await action()
        except AmityError as error:
            self.show({"notice": problem(error)})
        else:
            self.show({"notice": Html()})


def _text_of(arguments: Any) -> str:
    """The one text that an event carries, "" for anything else (a browser may send what it likes)."""
    first = arguments[0] if isinstance(arguments, list) and arguments else arguments
    return first if isinstance(first, str) else ""
