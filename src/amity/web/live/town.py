"""The first page, live."""

from nicegui import Client
from starlette.concurrency import run_in_threadpool

from amity.kernel.errors import NotFoundError
from amity.web.glance import Glance
from amity.web.live.page import REFRESH_S, LivePage
from amity.web.markup import Html
from amity.web.pages import town


async def open_town(client: Client, glance: Glance) -> None:
    """Show the town and keep it up to date."""
    page = LivePage(client, "/", "Town")
    page.begin(town.layout, await _regions(glance))

    async def refresh() -> None:
        page.show(await _regions(glance))

    page.every(REFRESH_S, refresh)


async def _regions(glance: Glance) -> dict[str, Html]:
    try:
        overview = await run_in_threadpool(glance.town)
    except NotFoundError as error:
        return town.waiting("The town is being set up", error.next_step or "It appears here by itself.")
    return await run_in_threadpool(town.content, overview)
