"""Pieces that several pages share: frame, cards, badges, sentences, problems."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from amity.domain.collection import Outcome
from amity.kernel.errors import AmityError
from amity.kernel.time import isoformat
from amity.usecases.calendar import KEPT_FROM, KEPT_UNTIL
from amity.usecases.condition import Condition
from amity.web.markup import Html, h, join
from amity.web.town_map import mark
from amity.web.wording import CONDITION_WORDS, OUTCOME_WORDS, dated_moment

NAVIGATION = (("/", "Town"), ("/meters", "Meters"), ("/collection", "Collection"))

_LOGO = Html(
    '<svg viewBox="0 0 26 26" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">'
    '<circle cx="13" cy="13" r="11"/><path d="M6 14h3.2l2.4-6 3.2 10 2.2-4H20" stroke-linejoin="round" '
    'stroke-linecap="round"/></svg>'
)
_HATCH = Html(
    '<svg class="defs" width="0" height="0" aria-hidden="true"><defs>'
    '<pattern id="hatch-estimated" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" class="paper"/><rect width="3" height="6" class="ink"/></pattern></defs></svg>'
)


_INSTANT = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")  # as `isoformat` prints it in findings
_CODE = re.compile(r"\b([A-Z]{1,3}-\d+)\b")  # a name such as T-02 must not break at its hyphen


def frame(here: str, content: Html) -> Html:
    """A whole page: bar with brand and navigation, then the content. `here` is the path of the page's section."""
    links = [h("a", name, href=path, aria_current="page" if path == here else None) for path, name in NAVIGATION]
    theme = h(
        "button",
        h("span", "Theme", class_="word"),
        type="button",
        id="theme",
        class_="quiet",
        title="Light, dark or as the system",
    )
    leave = h("form", h("button", "Sign out", class_="quiet"), method="post", action="/logout")
    live = h("span", h("i"), h("span", "live", class_="word"), id="live", class_="live", title="Updates by itself")
    bar = h(
        "header",
        h("a", _LOGO, "Amity", href="/", class_="brand"),
        h("nav", links, aria_label="Pages"),
        h("div", live, theme, leave, class_="tools"),
        class_="bar",
    )
    notice = region("notice", Html())
    return h("div", _HATCH, bar, h("main", notice, content), id="amity")


def region(name: str, content: Html, **attributes: str | None) -> Html:
    """A part of the page that is replaced as a whole when its content changes."""
    return h("div", content, id=f"r-{name}", **attributes)


def card(title: str, *content: Html | str | None, aside: Html | str | None = None, class_: str = "") -> Html:
    """A titled box; `aside` stands at the right of the title."""
    head = h("div", h("h2", title), h("div", aside, class_="aside") if aside else None, class_="head")
    return h("section", head, join(content), class_=f"card {class_}".strip())


def condition_badge(condition: Condition) -> Html:
    """Shape and word."""
    return h("span", mark(condition), CONDITION_WORDS[condition], class_=f"badge {condition}")


def outcome_badge(outcome: Outcome, condition: Condition) -> Html:
    """The outcome's word with the sign of the condition that it stands for."""
    return h("span", mark(condition), OUTCOME_WORDS[outcome], class_=f"badge {condition}")


def unregistered_badge() -> Html:
    """What stands in place of a condition for a meter that nobody collects."""
    return h("span", mark(Condition.WAITING), "imported", class_="badge waiting")


def meter_link(meter_id: str, day: date | None = None) -> Html:
    """A link to a meter's page, at one local day if there is something to see on it."""
    at_day = f"?day={day}" if day else ""
    return h("a", meter_id, href=f"/meters/{quote(meter_id)}{at_day}", class_="meter-id")


def unbroken(text: str) -> Html:
    """A sentence in which names such as T-02 stay in one piece."""
    parts = _CODE.split(text)
    return join(h("span", part, class_="whole") if i % 2 else part for i, part in enumerate(parts))


def instant(at: datetime, words: str) -> Html:
    """A time in local words; UTC stands in its title."""
    utc = isoformat(at)
    return h("time", words, datetime=utc, title=f"{utc} (UTC)")


def told(text: str, timezone: ZoneInfo, now: datetime) -> Html:
    """A sentence of validation or collection: its times in local words, its names in one piece."""
    parts = _INSTANT.split(text)
    return join(_instant(part, timezone, now) if i % 2 else unbroken(part) for i, part in enumerate(parts))


def _instant(text: str, timezone: ZoneInfo, now: datetime) -> Html:
    at = _parsed(text)
    return instant(at, dated_moment(at, timezone, now)) if at else unbroken(text)


def _parsed(text: str) -> datetime | None:
    """A meter may say 2026-02-30; that is no time, and stays as it was said."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if KEPT_FROM <= at < KEPT_UNTIL else None


def facts(pairs: Iterable[tuple[str, Html | str | int | None]]) -> Html:
    """A list of names and values; pairs without a value are left out."""
    return h(
        "dl",
        [h("div", h("dt", name), h("dd", value)) for name, value in pairs if value not in {None, ""}],
        class_="facts",
    )


def empty(title: str, text: str) -> Html:
    """What stands where there is nothing yet."""
    return h("div", h("p", title, class_="title"), h("p", text), class_="empty")


def problem(error: AmityError) -> Html:
    """An error as a person reads it: what, what was tried, what came back, what to do next."""
    pairs = facts((("Tried", error.tried), ("Answer", error.answer), ("Next", error.next_step)))
    return h("div", h("h2", error.what[:1].upper() + error.what[1:]), pairs, class_="card problem", role="alert")


def no_such_page() -> Html:
    """What is shown for an address that leads nowhere."""
    text = h("p", "The address may be mistyped. ", h("a", "Go to the town", href="/"), ".")
    return frame("", h("div", h("h2", "There is no such page"), text, class_="card problem"))
