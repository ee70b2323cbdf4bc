"""The list of meters: looked through by word and by condition."""

from datetime import datetime
from zoneinfo import ZoneInfo

from amity.usecases.condition import Condition
from amity.usecases.meters import MeterPage, MeterQuery, MeterRow
from amity.web.markup import Html, h
from amity.web.pages.parts import card, condition_badge, empty, meter_link, unbroken, unregistered_badge
from amity.web.town_map import mark
from amity.web.wording import CONDITION_WORDS, DASH, count, moment


def search(query: MeterQuery) -> Html:
    """The field to type into; the script sends it as one types."""
    return h(
        "input", type="search", value=query.text, placeholder="Meter, serial, address, transformer or maker",
        aria_label="Look for meters", data_emit="text", class_="search", autocomplete="off",
    )  # fmt: skip


def filters(page: MeterPage, query: MeterQuery) -> Html:
    """One button per condition that occurs."""
    every = h(
        "button",
        "all ",
        h("b", sum(page.conditions.values())),
        type="button",
        aria_pressed=_pressed(not query.conditions),
        data_emit="condition",
        data_value="",
    )
    ones = [
        h(
            "button", mark(condition), f"{CONDITION_WORDS[condition]} ", h("b", page.conditions.get(condition, 0)),
            type="button", aria_pressed=_pressed(condition in query.conditions), data_emit="condition",
            data_value=condition,
        )
        for condition in Condition
        if page.conditions.get(condition) or condition in query.conditions
    ]  # fmt: skip
    return h("div", every, ones, class_="chips", role="group", aria_label="Condition")


def table(page: MeterPage, query: MeterQuery, now: datetime, timezone: ZoneInfo) -> Html:
    """The rows, and the way to the next ones."""
    if not page.rows:
        return card("Meters", empty("No meter matches", "Try fewer letters or another condition."))
    names = ("Meter", "Condition", "Address", "Transformer", "Maker", "Last answer")
    head = h("thead", h("tr", [h("th", name, scope="col") for name in names]))
    rows = h("tbody", [_row(row, now, timezone) for row in page.rows])
    shown = f"{query.offset + 1}{DASH}{query.offset + len(page.rows)} of {count(page.total, 'meter')}"
    return card("Meters", h("div", h("table", head, rows), class_="scroll"), _pager(page, query), aside=shown)


def _row(row: MeterRow, now: datetime, timezone: ZoneInfo) -> Html:
    if not row.registered:
        return _imported_row(row)
    answer = moment(row.last_answer_at, timezone, now) if row.last_answer_at else "never"
    solar = h("small", "solar") if row.usage_point.has_solar else None
    return h(
        "tr",
        h("td", meter_link(row.meter.meter_id), h("small", row.meter.serial)),
        h("td", condition_badge(row.condition)),
        h("td", row.usage_point.address, solar),
        h("td", unbroken(row.usage_point.transformer_id), data_name="Transformer"),
        h("td", row.maker or row.meter.profile, data_name="Maker"),
        h("td", answer, data_name="Last answer"),
    )


def _imported_row(row: MeterRow) -> Html:
    about = h("td", "not in the registry; its readings were imported", colspan=4)
    return h("tr", h("td", meter_link(row.meter.meter_id)), h("td", unregistered_badge()), about)


def _pager(page: MeterPage, query: MeterQuery) -> Html | None:
    if page.total <= query.limit:
        return None
    before, after = query.offset - query.limit, query.offset + query.limit
    buttons = [
        h(
            "button",
            name,
            type="button",
            disabled=not possible,
            data_emit="offset",
            data_value=str(max(0, offset)),
            class_="quiet",
        )
        for name, offset, possible in (("Earlier", before, query.offset > 0), ("More", after, after < page.total))
    ]
    return h("div", buttons, class_="pager")


def _pressed(pressed: bool) -> str:
    return "true" if pressed else "false"
