"""The collection page: how the last session with every meter ended, what was tried, what to do next."""

from zoneinfo import ZoneInfo

from amity.domain.collection import Outcome
from amity.usecases.collection import AlikeSessions, CollectionOverview, alike_sessions
from amity.usecases.meters import MeterRow
from amity.web.markup import Html, h, join
from amity.web.pages.parts import card, condition_badge, empty, meter_link, outcome_badge, told, unbroken
from amity.web.wording import DASH, OUTCOME_WORDS, count, moment

ENTRIES_MAX = 60


def filters(overview: CollectionOverview, chosen: Outcome | None) -> Html:
    """One button per outcome that occurs, with its number."""
    total = sum(overview.outcomes.values()) + overview.waiting
    buttons = [_filter("", "all", total, chosen is None)]
    buttons += [
        _filter(outcome, OUTCOME_WORDS[outcome], overview.outcomes[outcome], outcome is chosen)
        for outcome in Outcome
        if overview.outcomes.get(outcome) or outcome is chosen
    ]
    return h("div", buttons, class_="chips", role="group", aria_label="Outcome")


def table(overview: CollectionOverview, timezone: ZoneInfo) -> Html:
    """The meters, those in trouble first; what fails alike at one transformer is one entry that opens."""
    if not overview.rows:
        return card("Sessions", empty("No meter here", "Choose another outcome, or wait for the first sessions."))
    groups = alike_sessions(overview.rows)
    rows = [_entry(group, overview, timezone) for group in groups[:ENTRIES_MAX]]
    names = ("Meter", "Outcome", "Last answer", "Attempts", "What happened and what to do next")
    head = h("thead", h("tr", [h("th", name, scope="col") for name in names]))
    rest = sum(len(group.rows) for group in groups[ENTRIES_MAX:])
    words = f"{count(rest, 'meter')} more; choose an outcome to see fewer."
    more = h("p", words, class_="soft note") if rest else None
    return card(
        "Sessions",
        h("div", h("table", head, h("tbody", rows)), class_="scroll"),
        more,
        aside=count(len(overview.rows), "meter"),
    )


def _filter(value: str, name: str, number: int, pressed: bool) -> Html:
    return h(
        "button", name, " ", h("b", number), type="button", aria_pressed="true" if pressed else "false",
        data_emit="outcome", data_value=value,
    )  # fmt: skip


def _entry(group: AlikeSessions, overview: CollectionOverview, timezone: ZoneInfo) -> Html:
    first = group.rows[0]
    who = _one(first) if len(group.rows) == 1 else _many(group)
    if first.state is None:
        return h("tr", h("td", who), h("td", condition_badge(first.condition)), [h("td")] * 3)
    return h(
        "tr",
        h("td", who),
        h("td", outcome_badge(first.state.outcome, first.condition)),
        h("td", _last_answers(group, overview, timezone), data_name="Last answer"),
        h("td", _attempts(group), data_name="Attempts"),
        h("td", _detail(group, overview, timezone), class_="detail"),
    )


def _one(row: MeterRow) -> Html:
    about = (row.usage_point.address, row.usage_point.transformer_id, row.maker or row.meter.profile)
    return join([meter_link(row.meter.meter_id), h("small", unbroken(" · ".join(about)), class_="about")])


def _many(group: AlikeSessions) -> Html:
    first = group.rows[0]
    transformer_id = first.usage_point.transformer_id
    title = unbroken(f"{count(len(group.rows), 'meter')} at {transformer_id}")
    links = h("p", [meter_link(row.meter.meter_id) for row in group.rows], class_="meters")
    trouble = "|".join((*group.findings[:1], group.next_step or ""))
    key = f"{transformer_id} {first.state and first.state.outcome} {trouble}"
    return h("details", h("summary", h("span", title)), links, data_key=key, class_="alike")


def _last_answers(group: AlikeSessions, overview: CollectionOverview, timezone: ZoneInfo) -> str:
    """The only one, or from the oldest to the newest."""
    answers = sorted(row.last_answer_at for row in group.rows if row.last_answer_at)
    if not answers:
        return "never"
    words = [moment(answer, timezone, overview.at) for answer in (answers[0], answers[-1])]
    return words[0] if words[0] == words[1] else f" {DASH} ".join(words)


def _attempts(group: AlikeSessions) -> Html:
    """The most that any of them took."""
    states = [row.state for row in group.rows if row.state]
    attempts = max(state.attempts for state in states)
    failures = max(state.failures_in_a_row for state in states)
    return join([attempts, h("small", f"{failures} failures in a row") if failures > 1 else None])


def _detail(group: AlikeSessions, overview: CollectionOverview, timezone: ZoneInfo) -> Html:
    lines = [h("p", told(finding, timezone, overview.at)) for finding in group.findings]
    return join([lines, h("p", h("b", "Next: "), group.next_step) if group.next_step else None])
