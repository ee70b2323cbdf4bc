"""The collection page: how the last session with every meter ended, what was tried, what to do next."""

from zoneinfo import ZoneInfo

from amity.domain.collection import Outcome
from amity.usecases.collection import CollectionOverview, findings_and_next_step
from amity.usecases.condition import clock_is_off
from amity.usecases.meters import MeterRow
from amity.web.markup import Html, h, join
from amity.web.pages.parts import card, condition_badge, empty, meter_link, outcome_badge
from amity.web.wording import OUTCOME_WORDS, count, moment

ROWS_MAX = 300


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
    """The meters, those in trouble first."""
    if not overview.rows:
        return card("Sessions", empty("No meter here", "Choose another outcome, or wait for the first sessions."))
    rows = [_row(row, overview, timezone) for row in overview.rows[:ROWS_MAX]]
    names = ("Meter", "Outcome", "Last answer", "Attempts", "What happened and what to do next")
    head = h("thead", h("tr", [h("th", name, scope="col") for name in names]))
    rest = len(overview.rows) - ROWS_MAX
    more = h("p", f"{rest} more; choose an outcome to see fewer.", class_="soft note") if rest > 0 else None
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


def _row(row: MeterRow, overview: CollectionOverview, timezone: ZoneInfo) -> Html:
    state = row.state
    about = h("small", f"{row.usage_point.address} · {row.usage_point.transformer_id} · {row.meter.profile}")
    if state is None:
        return h(
            "tr", h("td", meter_link(row.meter.meter_id), about), h("td", condition_badge(row.condition)), [h("td")] * 3
        )
    answer = moment(state.last_answer_at, timezone, overview.at) if state.last_answer_at else "never"
    in_a_row = h("small", f"{state.failures_in_a_row} failures in a row") if state.failures_in_a_row > 1 else None
    return h(
        "tr",
        h("td", meter_link(row.meter.meter_id), about),
        h("td", outcome_badge(state.outcome, row.condition)),
        h("td", answer, data_name="Last answer"),
        h("td", state.attempts, in_a_row, data_name="Attempts"),
        h("td", _detail(row), class_="detail"),
    )


def _detail(row: MeterRow) -> Html:
    state = row.state
    findings, next_step = findings_and_next_step(state.detail if state else ())
    if state is not None and clock_is_off(state):
        findings = [*findings, f"clock is off by {state.clock_offset_s} s"]
    lines = [h("p", finding) for finding in findings]
    return join([lines, h("p", h("b", "Next: "), next_step) if next_step else None])
