"""The operator's console: pages of NiceGUI on the API's own app, behind the same gate.

The first markup of a page is part of the document itself, so it is there before any script; NiceGUI's socket then
brings what changes. Style, script and font all come from this process: an OT network has no internet.
"""

import hashlib
from collections.abc import Awaitable
from pathlib import Path

from fastapi import FastAPI, Request
from nicegui import Client, ui
from starlette.staticfiles import StaticFiles

from amity.kernel.errors import AmityError, NotFoundError
from amity.usecases.services import Services
from amity.web.glance import Glance
from amity.web.live.collection import open_collection
from amity.web.live.meter import open_meter
from amity.web.live.meters import open_meters
from amity.web.live.town import open_town
from amity.web.markup import Html
from amity.web.pages.parts import frame, no_such_page, problem

_ASSETS = Path(__file__).parent / "assets"
_ASSETS_PATH = "/console"


def attach(app: FastAPI, services: Services) -> None:
    """Put the console on the app: `/`, `/meters`, `/meters/{id}`, `/collection`.

    NiceGUI keeps its pages per process, so the latest attached services are the ones that they show.
    """
    glance = Glance(services)
    app.mount(_ASSETS_PATH, StaticFiles(directory=_ASSETS), name="console")
    ui.add_head_html(_head(), shared=True)

    @ui.page("/")
    async def town(client: Client) -> None:
        await _shown(client, open_town(client, glance))

    @ui.page("/meters")
    async def meters(client: Client, text: str = "", condition: str = "") -> None:
        await _shown(client, open_meters(client, services, text, condition))

    @ui.page("/meters/{meter_id}")
    async def meter(client: Client, meter_id: str, request: Request) -> None:
        await _shown(client, open_meter(client, services, meter_id, dict(request.query_params)))

    @ui.page("/collection")
    async def collection(client: Client, outcome: str = "") -> None:
        await _shown(client, open_collection(client, services, outcome))

    ui.run_with(
        app,
        root=_lost,
        title="Amity",
        favicon=_ASSETS / "favicon.svg",
        dark=None,
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        gzip_middleware_factory=None,  # the API compresses, after it has written its nonce into the page
        show_welcome_message=False,
    )


async def _shown(client: Client, opening: Awaitable[None]) -> None:
    """Open a page; an expected error becomes a page that says what to do next."""
    try:
        await opening
    except AmityError as error:
        client.status_code = 404 if isinstance(error, NotFoundError) else 500
        ui.add_body_html(frame("", problem(error)))


def _lost() -> None:
    ui.context.client.status_code = 404
    ui.add_body_html(no_such_page())


def _head() -> Html:
    """Style and script, named by their content so that a browser may keep them for ever; the theme before all else."""
    return Html(
        "<script>document.documentElement.dataset.theme = localStorage.getItem('amity-theme') || 'auto'</script>"
        f'<link rel="stylesheet" href="{_ASSETS_PATH}/theme.css?{_digest("theme.css")}">'
        f'<script defer src="{_ASSETS_PATH}/console.js?{_digest("console.js")}"></script>'
    )


def _digest(name: str) -> str:
    return hashlib.sha256((_ASSETS / name).read_bytes()).hexdigest()[:12]
