"""The page of one meter, live: its chart can be moved through time, and every interval can be asked why."""

from dataclasses import replace
from datetime import UTC, date, datetime

from nicegui import Client
from starlette.concurrency import run_in_threadpool

from amity.kernel.obis import Obis
from amity.kernel.time import from_epoch_s, time_zone
from amity.usecases.calendar import local_date, local_day
from amity.usecases.meters import MeterDetail, meter_detail
from amity.usecases.readings import Readings, newest_day, read_channel
from amity.usecases.services import Services
from amity.usecases.town import IMPORT
from amity.usecases.why import why
from amity.web.live.page import REFRESH_S, LivePage
from amity.web.markup import Html, join
from amity.web.pages import meter
from amity.web.pages import why as why_page
from amity.web.pages.meter import SPANS, View

_EPOCH_DIGITS_MAX = 11
_DAY_CHARACTERS_SHOWN = 30


async def open_meter(client: Client, services: Services, meter_id: str, wanted: dict[str, str]) -> None:
    """Show the meter; `wanted` are the address's own parameters (channel, day, days, why).

    Raise NotFoundError for an unknown meter.
    """
    detail = await run_in_threadpool(meter_detail, services, meter_id)
    page = LivePage(client, "/meters", meter_id)
    desk = _Desk(page, services, detail, _view(wanted, detail, services))
    page.begin(meter.layout, await run_in_threadpool(desk.regions))
    for event, handler in (("channel", desk.channel), ("days", desk.days), ("day", desk.day), ("why", desk.why)):
        page.on(event, handler)
    page.every(REFRESH_S, desk.refresh)
    if wanted.get("why"):
        await page.attempt(lambda: desk.why(wanted["why"]))


class _Desk:
    """What one person looks at on this page."""

    def __init__(self, page: LivePage, services: Services, detail: MeterDetail, view: View) -> None:
        self._page = page
        self._services = services
        self._detail = detail
        self._view = view
        self._timezone = time_zone(detail.timezone)

    def regions(self) -> dict[str, Html]:
        """Everything, read anew."""
        self._detail = meter_detail(self._services, self._detail.row.meter.meter_id)
        return meter.about(self._detail, self._services.clock.now(), self._timezone) | self._chart()

    def _chart(self) -> dict[str, Html]:
        now = self._services.clock.now()
        return {"chart": meter.chart(self._detail, self._readings(), self._view, now, self._timezone)}

    def _readings(self) -> Readings | None:
        view = self._view
        if view.obis not in {str(channel.obis) for channel in self._detail.channels}:
            return None
        start = from_epoch_s(local_day(view.first_day, self._timezone).start_s)
        end = from_epoch_s(local_day(view.day, self._timezone).end_s)
        return read_channel(self._services, self._detail.row.meter.meter_id, Obis.parse(view.obis), start, end)

    async def refresh(self) -> None:
        """Bring what changed."""
        self._page.show(await run_in_threadpool(self.regions))

    async def _look(self, view: View) -> None:
        self._view = replace(view, remark="")
        self._page.run("address", view.query())
        self._page.show(await run_in_threadpool(self._chart))

    async def channel(self, value: str) -> None:
        """Another channel."""
        if value in {str(channel.obis) for channel in self._detail.channels}:
            await self._look(replace(self._view, obis=value))

    async def days(self, value: str) -> None:
        """A longer or shorter span."""
        await self._look(replace(self._view, days=_days(value)))

    async def day(self, value: str) -> None:
        """Another day."""
        await self._look(replace(self._view, day=_day(value, self._view.day)))

    async def why(self, value: str) -> None:
        """Open the chain behind the interval that starts at this epoch second."""
        if not value.isdecimal() or len(value) > _EPOCH_DIGITS_MAX:
            return
        start, obis = from_epoch_s(int(value)), Obis.parse(self._view.obis)
        meter_id = self._detail.row.meter.meter_id
        self._page.show({"why": await run_in_threadpool(self._explained, meter_id, obis, start)})
        self._page.run("openDrawer", f"{self._view.query()}&why={value}")

    def _explained(self, meter_id: str, obis: Obis, start: datetime) -> Html:
        found = why(self._services, meter_id, obis, start)
        return join([why_page.explanation(found, self._services.clock.now(), self._timezone)])


def _view(wanted: dict[str, str], detail: MeterDetail, services: Services) -> View:
    channels = {str(channel.obis): channel for channel in detail.channels}
    standard = str(IMPORT) if str(IMPORT) in channels or not channels else next(iter(channels))
    obis = wanted["channel"] if wanted.get("channel") in channels else standard
    today = local_date(services.clock.now(), time_zone(detail.timezone))
    begin = today if detail.row.registered else newest_day(services, channels[obis], today)
    asked = wanted.get("day", "")
    view = View(obis, _day(asked, begin), _days(wanted.get("days", "")))
    if not asked or str(view.day) == asked:
        return view
    shown = "today" if begin == today else "its newest day"
    return replace(view, remark=f"“{asked[:_DAY_CHARACTERS_SHOWN]}” is not a day that can be shown; this is {shown}.")


def _days(value: str) -> int:
    return int(value) if value in {str(days) for days, _ in SPANS} else 1


def _day(value: str, otherwise: date) -> date:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return otherwise
    return day if datetime(1971, 1, 1, tzinfo=UTC).date() < day < datetime(2200, 1, 1, tzinfo=UTC).date() else otherwise
