"""One meter: its load with the quality of every interval, registers, events, findings, how collection goes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from amity.domain.blocks import Channel
from amity.domain.readings import Int64Column, Quality, RegisterReading
from amity.kernel.time import epoch_s, from_epoch_s
from amity.kernel.units import Unit
from amity.usecases.collection import findings_and_next_step
from amity.usecases.meters import MeterDetail, MeterRow
from amity.usecases.ports import VeeException
from amity.usecases.readings import Readings
from amity.web.charts import interval_chart
from amity.web.markup import Html, h, join
from amity.web.pages.parts import (
    card,
    condition_badge,
    empty,
    facts,
    instant,
    outcome_badge,
    region,
    told,
    unbroken,
    unregistered_badge,
)
from amity.web.wording import (
    CHANNEL_WORDS,
    DASH,
    EVENT_WORDS,
    REGISTER_WORDS,
    RULE_WORDS,
    TIMES,
    amount,
    count,
    day,
    moment,
    register_value,
    short_moment,
)

SPANS = ((1, "day"), (3, "3 days"), (7, "week"))
ROWS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class View:
    """What of the meter is looked at: a channel and `days` local days up to and with `day`.

    `remark` says what could not be shown as it was asked for.
    """

    obis: str
    day: date
    days: int = 1
    remark: str = ""

    @property
    def first_day(self) -> date:
        """The earliest day shown."""
        return self.day - timedelta(days=self.days - 1)

    def query(self) -> str:
        """The view as the query part of an address."""
        return f"?channel={self.obis}&day={self.day}&days={self.days}"


def layout(regions: Mapping[str, Html]) -> Html:
    """Where the regions stand."""
    side = ("registers", "collection", "events", "unknown")
    grid = h(
        "div",
        h("div", region("chart", regions["chart"]), region("findings", regions["findings"]), class_="wide stack"),
        h("div", [region(name, regions[name]) for name in side], class_="stack"),
        class_="meter-grid",
    )
    return join([region("head", regions["head"]), grid, drawer()])


def drawer() -> Html:
    """The place that "why" opens into, at the right edge (the whole width on a small screen)."""
    close = h("button", TIMES, type="button", id="close-drawer", class_="quiet", aria_label="Close")
    panel = h(
        "aside", close, region("why", Html()), id="drawer", hidden=True, role="dialog", aria_label="Why this value"
    )
    return join([h("div", id="veil", hidden=True), panel])


def about(detail: MeterDetail, now: datetime, timezone: ZoneInfo) -> dict[str, Html]:
    """Every region but the chart."""
    return {
        "head": _head(detail),
        "registers": _registers(detail, timezone),
        "collection": _collection(detail, now, timezone),
        "events": _events(detail, now, timezone),
        "findings": _findings(detail, now, timezone),
        "unknown": _unknown(detail),
    }


def chart(detail: MeterDetail, readings: Readings | None, view: View, now: datetime, timezone: ZoneInfo) -> Html:
    """The chart with its controls; without readings, what is missing."""
    controls = _controls(detail.channels, view, now.astimezone(timezone).date())
    if readings is None:
        return card(
            "Load profile", controls, empty("No interval channel yet", "It appears with the first load profile.")
        )
    keys = [h("span", h("i", class_=name), name) for name in ("measured", "estimated", "questionable", "missing")]
    return card(
        "Load profile",
        controls,
        h("p", view.remark, class_="remark", role="status") if view.remark else None,
        interval_chart(readings, now, timezone),
        h("div", h("div", keys, class_="keys"), _summary(readings, now), class_="under"),
    )


def _summary(readings: Readings, now: datetime) -> Html:
    channel, questioned = readings.channel, readings.qualities & Quality.QUESTIONABLE != 0
    due = int((readings.starts + channel.interval_s <= epoch_s(now)).sum())
    missing = max(0, due - readings.known)
    words = [f"{_sum(channel, readings.values)} in {count(readings.known, 'interval')}"]
    if questioned.any():
        words.append(f"{_sum(channel, readings.values[questioned])} of it questionable")
    if missing:
        words.append(f"{missing:,} without a value")
    return h("p", ", ".join(words), ". Click one to ask why.", class_="soft note")


def _sum(channel: Channel, values: Int64Column) -> str:
    return amount(channel.quantity(int(values.sum())), Unit(channel.unit))


# ------------------------------------------------------------------ controls
def _controls(channels: Sequence[Channel], view: View, today: date) -> Html:
    channel_buttons = [
        _button("channel", str(c.obis), CHANNEL_WORDS.get(str(c.obis), str(c.obis)), pressed=str(c.obis) == view.obis)
        for c in sorted(channels, key=lambda c: bytes(c.obis))
    ]
    span_buttons = [_button("days", str(days), name, pressed=days == view.days) for days, name in SPANS]
    return h(
        "div",
        h("div", channel_buttons, class_="chips", role="group", aria_label="Channel") if channel_buttons else None,
        h("div", span_buttons, class_="chips", role="group", aria_label="Span"),
        _day_steps(view, today),
        class_="controls",
    )


def _day_steps(view: View, today: date) -> Html:
    last = day(view.day, today)
    title = last if view.days == 1 else f"{day(view.first_day, today)} {DASH} {last}"
    before, after = view.day - timedelta(days=view.days), min(view.day + timedelta(days=view.days), today)
    return h(
        "div",
        _step("day", str(before), "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", "Earlier"),
        h("b", title),
        _step("day", str(after), "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}", "Later", disabled=view.day >= today),
        class_="steps",
    )


def _button(event: str, value: str, name: str, *, pressed: bool) -> Html:
    state = "true" if pressed else "false"
    return h("button", name, type="button", aria_pressed=state, data_emit=event, data_value=value)


def _step(event: str, value: str, name: str, label: str, *, disabled: bool = False) -> Html:
    return h(
        "button", name, type="button", aria_label=label, disabled=disabled, class_="quiet", data_emit=event,
        data_value=value,
    )  # fmt: skip


# ------------------------------------------------------------------ what is known of it
def _head(detail: MeterDetail) -> Html:
    row = detail.row
    badge = condition_badge(row.condition) if row.registered else unregistered_badge()
    return h(
        "div",
        h("div", h("h1", row.meter.meter_id), badge, class_="title"),
        h("p", unbroken(" · ".join(_about(detail))), class_="soft"),
        class_="headline",
    )


def _about(detail: MeterDetail) -> list[str]:
    row, transformer = detail.row, detail.transformer
    if transformer is None:
        return ["not in the registry; imported"]
    point = row.usage_point
    place = [point.address, f"transformer {point.transformer_id} on feeder {transformer.feeder_id}"]
    kind = [f"serial {row.meter.serial}", row.maker or row.meter.profile]
    return [*place, *kind, *(["solar"] if point.has_solar else [])]


def _registers(detail: MeterDetail, timezone: ZoneInfo) -> Html:
    if not detail.registers:
        return card("Registers", _no_register(detail.row))
    decimals = {r.reading_type.unit for r in detail.registers if r.quantity() % 1}
    rows = [
        h(
            "tr",
            h("td", _register_name(str(reading.reading_type.obis))),
            h("td", h("b", _digits(reading, decimals)), f" {reading.reading_type.unit.symbol}", class_="number"),
            h("td", short_moment(reading.at, timezone), class_="number"),
        )
        for reading in detail.registers
    ]
    head = h("thead", h("tr", h("th", "Register"), h("th", "Value", class_="number"), h("th", "At", class_="number")))
    return card("Registers", h("table", head, h("tbody", rows), class_="plain"))


def _digits(reading: RegisterReading, decimals: Collection[Unit]) -> str:
    """Without decimals in units of which every register of the meter is whole."""
    return register_value(reading.quantity(), whole=reading.reading_type.unit not in decimals)


def _no_register(row: MeterRow) -> Html:
    if not row.registered:
        return empty("None", "The imported file holds intervals only.")
    if row.last_answer_at is None:
        return empty("Nothing read yet", "This meter has not answered so far.")
    return empty("None read yet", "Daily snapshots arrive with the billing profile.")


def _register_name(obis: str) -> Html:
    return join([REGISTER_WORDS[obis], h("small", obis)]) if obis in REGISTER_WORDS else join([obis])


def _collection(detail: MeterDetail, now: datetime, timezone: ZoneInfo) -> Html:
    state = detail.row.state
    if not detail.row.registered:
        return card("Collection", empty("Not collected", "The registry does not know this meter, so nobody reads it."))
    if state is None:
        return card("Collection", empty("Not tried yet", "The first session follows within seconds."))
    findings, next_step = findings_and_next_step(state.detail)
    pairs = (
        (
            "Last session",
            join([moment(state.collected_at, timezone, now), " ", outcome_badge(state.outcome, detail.row.condition)]),
        ),
        ("Last answer", moment(state.last_answer_at, timezone, now) if state.last_answer_at else "never"),
        ("Attempts", state.attempts),
        ("Failures in a row", state.failures_in_a_row or None),
        ("Clock", f"{state.clock_offset_s:+d} s" if state.clock_offset_s is not None else None),
        ("What happened", join(h("p", told(line, timezone, now)) for line in findings) if findings else None),
        ("Next", next_step),
    )
    return card("Collection", facts(pairs))


def _events(detail: MeterDetail, now: datetime, timezone: ZoneInfo) -> Html:
    if not detail.events:
        return card("Events", empty("None", "The event log is empty."))
    rows = [
        h(
            "li",
            h("span", EVENT_WORDS[stored.event.kind], " · called in" if stored.event.pushed else None),
            h("b", moment(stored.event.at, timezone, now)),
            h("small", f"code {stored.event.code}", f" · {stored.event.text}" if stored.event.text else None),
        )
        for stored in [one for one in detail.events if one.leads][:ROWS_SHOWN]
    ]
    return card("Events", h("ul", rows, class_="rows"), aside=f"{len(detail.events)}")


def _findings(detail: MeterDetail, now: datetime, timezone: ZoneInfo) -> Html:
    if not detail.channels:
        return card("What validation found", empty("Nothing to look at yet", "No interval was read so far."))
    if not detail.findings:
        return card("What validation found", empty("Nothing", "Every rule that ran is content with this meter."))
    channels = {channel.channel_id: channel for channel in detail.channels}
    rows = [
        h(
            "li",
            h("span", RULE_WORDS.get(found.rule, found.rule), _rule(found, channels.get(found.channel_id))),
            h("b", _start(found, timezone, now)),
            h("small", told(found.message, timezone, now)),
        )
        for found in detail.findings[:ROWS_SHOWN]
    ]
    return card("What validation found", h("ul", rows, class_="rows"), aside=f"{len(detail.findings)}")


def _start(found: VeeException, timezone: ZoneInfo, now: datetime) -> Html:
    start = from_epoch_s(found.start_s)
    return instant(start, moment(start, timezone, now))


def _rule(found: VeeException, channel: Channel | None) -> Html:
    """The rule's own name, in small, and the channel in words."""
    words = [f"{found.rule} v{found.rule_version}"]
    words += [CHANNEL_WORDS.get(str(channel.obis), str(channel.obis))] if channel else []
    return h("small", f" {' · '.join(words)}")


def _unknown(detail: MeterDetail) -> Html:
    if not detail.unknown:
        return Html()
    rows = [
        h(
            "li",
            h("span", f"class {one.class_id} · {one.obis} · attribute {one.attribute}"),
            h("code", one.octets[:24].hex(" ")),
        )
        for one in detail.unknown[:ROWS_SHOWN]
    ]
    note = h(
        "p", "Kept as the meter sent them; name them in mapping.json and they become readings.", class_="soft note"
    )
    return card("Objects no mapping names", h("ul", rows, class_="rows"), note, aside=f"{len(detail.unknown)}")
