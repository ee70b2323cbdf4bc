"""The chain behind one number, from the value on the page down to the octets on the wire."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from amity.domain.readings import Quality
from amity.usecases.data_tree import OctetRange
from amity.usecases.evidence import Evidence, EvidenceRow, ExplainedExchange
from amity.usecases.why import Explanation, Source, Version
from amity.web.markup import Html, h, join
from amity.web.pages.parts import facts
from amity.web.wording import DASH, ELLIPSIS, OUTCOME_WORDS, amount, clock, count, day, moment

_HASH = re.compile(r"[0-9a-f]{16,}")

OCTETS_A_LINE = 16
LINES_AROUND = 2
LINES_WHOLE_MAX = 24


def explanation(why: Explanation, now: datetime, timezone: ZoneInfo) -> Html:
    """The chain as steps from top to bottom."""
    steps = [
        _value(why, timezone),
        _rules(why),
        _versions(why, now, timezone),
        _raw(why, now, timezone),
        *[_source(source, now, timezone) for source in why.sources],
        _no_source(why),
    ]
    return h("ol", steps, class_="chain")


def _step(title: str, *content: Html | str | None, class_: str = "") -> Html:
    return h("li", h("h3", title), join(content), class_=class_)


def _amount(why: Explanation, value: int | None) -> str:
    return "no value" if value is None else amount(why.channel.quantity(value), why.unit)


def _words(quality: Quality) -> Html:
    return join(h("span", word, class_=f"chip {word}") for word in quality.words())


# ------------------------------------------------------------------ value, rules, versions
def _value(why: Explanation, timezone: ZoneInfo) -> Html:
    when = f"{day(why.start.astimezone(timezone).date())}, {clock(why.start, timezone)}{DASH}{clock(why.end, timezone)}"
    final = why.final
    return h(
        "li",
        h("p", when, f" · {why.channel.obis}", class_="soft"),
        h("p", _amount(why, final.value if final else None), class_="amount"),
        h("p", _words(final.quality if final else Quality.EMPTY)),
        h("p", why.summary, class_="summary"),
        class_="first",
    )


def _rules(why: Explanation) -> Html:
    if not why.findings:
        return _step("Validation", h("p", "No rule has an open finding here."))
    found = [h("li", h("b", f.rule), f" version {f.rule_version}", h("p", f.message)) for f in why.findings]
    return _step("Validation", h("ul", found))


def _versions(why: Explanation, now: datetime, timezone: ZoneInfo) -> Html:
    versions = sorted(
        [*why.raw_versions, *why.final_versions], key=lambda v: (v.recorded_at is not None, v.recorded_at or now)
    )
    if not versions:
        return _step("Versions in the store", h("p", "The store never had a value for this interval."))
    rows = [_version(version, why, now, timezone) for version in versions]
    head = h("thead", h("tr", [h("th", name) for name in ("Recorded", "Stage", "Value", "By")]))
    return _step("Versions in the store", h("table", head, h("tbody", rows), class_="plain"))


def _version(version: Version, why: Explanation, now: datetime, timezone: ZoneInfo) -> Html:
    recorded = moment(version.recorded_at, timezone, now) if version.recorded_at else DASH
    source = _HASH.sub(lambda found: f"{found[0][:8]}{ELLIPSIS}", version.source)
    return h(
        "tr",
        h("td", recorded),
        h("td", f"{version.stage} r{version.revision}"),
        h("td", _amount(why, version.value)),
        h("td", h("code", source, title=version.source)),
    )


def _raw(why: Explanation, now: datetime, timezone: ZoneInfo) -> Html:
    if why.raw is None or why.raw.value is None:
        leaning = [
            h("li", f"{moment(neighbour.start, timezone, now)}: {_amount(why, neighbour.value)}")
            for neighbour in why.neighbours
        ]
        text = "The meter sent no value for this interval."
        return _step(
            "Raw value",
            h("p", text, " The estimate leans on:" if leaning else ""),
            h("ul", leaning) if leaning else None,
        )
    same = why.final is not None and why.final.value == why.raw.value
    note = "Same as the final value." if same else "The final value differs."
    return _step("Raw value", h("p", h("b", _amount(why, why.raw.value)), " ", _words(why.raw.quality)), h("p", note))


# ------------------------------------------------------------------ deliveries and octets
def _no_source(why: Explanation) -> Html | None:
    if why.undecodable:
        return _step(
            "Deliveries",
            h("p", f"{count(why.undecodable, 'stored delivery', 'stored deliveries')} could not be decoded."),
        )
    return None if why.sources else _step("Deliveries", h("p", "No delivery in the store brought this interval."))


def _source(source: Source, now: datetime, timezone: ZoneInfo) -> Html:
    pairs = (
        ("Collected", f"{moment(source.collected_at, timezone, now)} · {OUTCOME_WORDS[source.outcome]}"),
        ("Session", h("code", source.session_id)),
        *((("Asked for as", h("code", source.correlation_id)),) if source.correlation_id else ()),
        ("Message", h("code", source.message_id)),
        ("Profile", f"{source.profile or DASH} · mapping {source.mapping_version or DASH}"),
    )
    return _step("Delivery from the meter", facts(pairs), _evidence(source.evidence))


def _evidence(evidence: Evidence) -> Html:
    parts = [h("p", evidence.problem, class_="doubt")] if evidence.problem else []
    if evidence.rows:
        parts.append(_rows(evidence))
    parts += [_exchange(exchange) for exchange in evidence.exchanges if exchange.marks]
    others = [_exchange(exchange) for exchange in evidence.exchanges if not exchange.marks]
    if others:
        summary = h("summary", count(len(others), "other exchange"), h("small", "of the same reading"))
        parts.append(h("details", summary, h("div", others, class_="evidence"), class_="exchange"))
    return h("div", parts or h("p", "The octets of this session are no longer kept."), class_="evidence")


def _rows(evidence: Evidence) -> Html:
    rows = [_row(row) for row in evidence.rows]
    caption = h("caption", f"The meter's own buffer, {count(evidence.row_count, 'row')}, decoded")
    return h("div", h("table", caption, h("tbody", rows), class_="plain buffer"), class_="scroll")


def _row(row: EvidenceRow) -> Html:
    cells = [
        h("td", cell.text, title=cell.label, class_="marked" if i == row.marked_cell else None)
        for i, cell in enumerate(row.cells)
    ]
    return h("tr", h("th", row.position + 1), cells, class_="marked" if row.marked else None)


def _exchange(exchange: ExplainedExchange) -> Html:
    summary = h("summary", exchange.apdu, h("small", f"{len(exchange.plain)} octets"))
    wire = join([_wire("We asked", exchange.request), _wire("The meter answered", exchange.response)])
    plain = [h("h4", "Answer in the clear"), hex_dump(exchange.plain, exchange.marks)]
    return h("details", summary, plain, wire, open=bool(exchange.marks), class_="exchange")


def _wire(title: str, octets: bytes) -> Html:
    if not octets:
        return Html()
    return h("details", h("summary", title, h("small", f"{len(octets)} octets on the wire")), hex_dump(octets, ()))


def hex_dump(octets: bytes, marks: Sequence[OctetRange]) -> Html:
    """Lines of 16 octets with their offset; marked octets stand out, lines far from them are left out."""
    lines = range(0, len(octets), OCTETS_A_LINE)
    shown = [start for start in lines if _near(start, marks) or (not marks and len(lines) <= LINES_WHOLE_MAX)]
    if not marks and len(lines) > LINES_WHOLE_MAX:
        shown = list(lines)[:LINES_WHOLE_MAX]
    hidden = len(lines) - len(shown)
    rest = h("p", f"{count(hidden, 'more line')} not shown; the API gives all", class_="soft") if hidden else None
    return h("div", h("pre", [_line(octets, start, marks) for start in shown], class_="hex"), rest)


def _near(start: int, marks: Iterable[OctetRange]) -> bool:
    reach = LINES_AROUND * OCTETS_A_LINE
    return any(mark.first - reach < start + OCTETS_A_LINE and start < mark.end + reach for mark in marks)


def _line(octets: bytes, start: int, marks: Sequence[OctetRange]) -> Html:
    pairs = [
        h("mark", f"{octet:02x}") if any(m.first <= i < m.end for m in marks) else Html(f"{octet:02x}")
        for i, octet in enumerate(octets[start : start + OCTETS_A_LINE], start)
    ]
    return join([h("span", f"{start:04x}"), "  ", Html(" ".join(pairs)), "\n"])
