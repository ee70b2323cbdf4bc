"""The list of meters, live."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from nicegui import Client
from starlette.concurrency import run_in_threadpool

from amity.kernel.time import time_zone
from amity.usecases.condition import Condition
from amity.usecases.meters import MeterQuery, list_meters
from amity.usecases.services import Services
from amity.usecases.town import registered_town
from amity.web.live.page import REFRESH_S, LivePage
from amity.web.markup import Html, h, join
from amity.web.pages import meters
from amity.web.pages.parts import region


async def open_meters(client: Client, services: Services, text: str, condition: str) -> None:
    """Show the list; typing and the chips narrow it."""
    page = LivePage(client, "/meters", "Meters")
    query = MeterQuery(text=text, conditions=_conditions(condition))

    async def look(narrowed: MeterQuery) -> None:
        nonlocal query
        query = narrowed
        page.run("address", _address(query))
        await refresh()

    async def refresh() -> None:
        page.show(await run_in_threadpool(_regions, services, query))

    def layout(regions: Mapping[str, Html]) -> Html:
        head = h("div", h("h1", "Meters"), meters.search(query), class_="headline")
        return join([head, region("filters", regions["filters"]), region("table", regions["table"])])

    page.begin(layout, await run_in_threadpool(_regions, services, query))
    page.on("text", lambda value: look(replace(query, text=value, offset=0)))
    page.on("condition", lambda value: look(replace(query, conditions=_conditions(value), offset=0)))
    page.on("offset", lambda value: look(replace(query, offset=int(value) if value.isdecimal() else 0)))
    page.every(REFRESH_S, refresh)


def _regions(services: Services, query: MeterQuery) -> dict[str, Html]:
    found = list_meters(services, query)
    timezone = time_zone(registered_town(services.database).timezone)
    table = meters.table(found, query, services.clock.now(), timezone)
    return {"filters": meters.filters(found, query), "table": table}


def _conditions(value: str) -> frozenset[Condition]:
    return frozenset({Condition(value)}) if value in set(Condition) else frozenset()


def _address(query: MeterQuery) -> str:
    parts = {"text": query.text} if query.text else {}
    if query.conditions:
        parts["condition"] = ",".join(sorted(query.conditions))
    return f"?{urlencode(parts)}" if parts else "/meters"
