"""The collection page, live."""

from collections.abc import Mapping

from nicegui import Client
from starlette.concurrency import run_in_threadpool

from amity.domain.collection import Outcome
from amity.kernel.time import time_zone
from amity.usecases.collection import collection_overview
from amity.usecases.services import Services
from amity.usecases.town import registered_town
from amity.web.live.page import REFRESH_S, LivePage
from amity.web.markup import Html, h, join
from amity.web.pages import collection
from amity.web.pages.parts import region


async def open_collection(client: Client, services: Services, outcome: str) -> None:
    """Show the state of collection; the chips choose an outcome."""
    page = LivePage(client, "/collection", "Collection")
    chosen = _outcome(outcome)

    async def regions() -> dict[str, Html]:
        return await run_in_threadpool(_regions, services, chosen)

    async def choose(value: str) -> None:
        nonlocal chosen
        chosen = _outcome(value)
        page.run("address", f"?outcome={chosen}" if chosen else "/collection")
        page.show(await regions())

    async def refresh() -> None:
        page.show(await regions())

    page.begin(_layout, await regions())
    page.on("outcome", choose)
    page.every(REFRESH_S, refresh)


def _layout(regions: Mapping[str, Html]) -> Html:
    return join(
        [
            h("div", h("h1", "Collection"), class_="headline"),
            region("filters", regions["filters"]),
            region("table", regions["table"]),
        ]
    )


def _regions(services: Services, chosen: Outcome | None) -> dict[str, Html]:
    overview = collection_overview(services, chosen)
    timezone = time_zone(registered_town(services.database).timezone)
    return {"filters": collection.filters(overview, chosen), "table": collection.table(overview, timezone)}


def _outcome(value: str) -> Outcome | None:
    return Outcome(value) if value in set(Outcome) else None
