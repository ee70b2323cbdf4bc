"""The first page: the town, what is going wrong in it, its load and how complete the data are."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from amity.kernel.time import from_epoch_s, time_zone
from amity.usecases.condition import Condition
from amity.usecases.happenings import CorrelatedEvent
from amity.usecases.issues import Issue, Severity
from amity.usecases.load import DayLoad, Gap
from amity.usecases.town import MeterOnMap, TownOverview
from amity.web.charts import completeness_bars, load_chart
from amity.web.markup import Html, h, join
from amity.web.pages.parts import card, condition_badge, empty, facts, meter_link, region, told, unbroken
from amity.web.town_map import town_map
from amity.web.wording import DASH, EVENT_WORDS, clock, count, day, duration, energy, moment, percent, power, span

ROWS_SHOWN = 8
METERS_NAMED = 12
SHARE_COUNTED_MIN = 0.9


def layout(regions: Mapping[str, Html]) -> Html:
    """Where the regions stand."""
    grid = h(
        "div",
        region("map", regions["map"], class_="wide"),
        region("issues", regions["issues"]),
        region("load", regions["load"], class_="wide"),
        region("completeness", regions["completeness"]),
        region("silent", regions["silent"]),
        region("gaps", regions["gaps"]),
        region("events", regions["events"]),
        class_="town-grid",
    )
    return join([region("headline", regions["headline"]), region("tiles", regions["tiles"]), grid])


def content(town: TownOverview) -> dict[str, Html]:
    """The markup of every region."""
    timezone = time_zone(town.timezone)
    return {
        "headline": _headline(town, timezone),
        "tiles": _tiles(town, timezone),
        "map": card(f"Map of {town.name}", town_map(town)),
        "issues": _issues(town, timezone),
        "load": _load(town, timezone),
        "completeness": _completeness(town),
        "silent": _silent(town),
        "gaps": _gaps(town, timezone),
        "events": _events(town, timezone),
    }


def waiting(title: str, text: str) -> dict[str, Html]:
    """Every region before there is a town."""
    blank = {name: Html() for name in ("tiles", "map", "issues", "load", "completeness", "silent", "gaps", "events")}
    return blank | {"headline": empty(title, text)}


# ------------------------------------------------------------------ the first glance
def _headline(town: TownOverview, timezone: ZoneInfo) -> Html:
    local = town.at.astimezone(timezone)
    # coarse on purpose: it changes once a minute and not at each refresh
    when = f"{day(local.date())}, {local:%H:%M} · {count(len(town.meters), 'meter')} · {town.timezone}"
    severity, sentence = _verdict(town)
    return h(
        "div",
        h("div", h("h1", town.name), h("p", when, class_="soft"), class_="title"),
        h("p", h("i", class_="lamp"), h("span", unbroken(sentence)), class_=f"verdict {severity}"),
        class_="headline",
    )


def _verdict(town: TownOverview) -> tuple[str, str]:
    answered = town.conditions.get(Condition.ANSWERED, 0) + town.conditions.get(Condition.INCOMPLETE, 0)
    if town.conditions.get(Condition.WAITING, 0) == len(town.meters):
        return "waiting", "The first readings arrive within seconds."
    if not town.issues:
        return "fine", f"All is well: {answered} of {count(len(town.meters), 'meter')} answered."
    first = town.issues[0]
    others = len(town.issues) - 1
    more = f" and {count(others, 'other thing')} to look at" if others else ""
    return first.severity.name.lower(), f"{first.title}{more}."


def _tiles(town: TownOverview, timezone: ZoneInfo) -> Html:
    total = len(town.meters)
    answered = town.conditions.get(Condition.ANSWERED, 0) + town.conditions.get(Condition.INCOMPLETE, 0)
    silent, failing = town.conditions.get(Condition.SILENT, 0), town.conditions.get(Condition.FAILING, 0)
    now_kw, at = _newest_load(town.today, total, timezone)
    newest = town.days[-2] if len(town.days) > 1 else town.days[-1] if town.days else None
    return h(
        "div",
        _tile("Meters that answered", f"{answered}", f"of {total}", "/collection"),
        _tile("Silent", f"{silent}", f"{failing} more fail" if failing else "none fails", "/meters?condition=silent"),
        _tile("Load", now_kw, at),
        _tile("Taken today", energy(town.today.imported_kwh), f"{energy(town.yesterday.imported_kwh)} yesterday"),
        _tile("Fed in today", energy(town.today.exported_kwh), f"{energy(town.yesterday.exported_kwh)} yesterday"),
        _tile(
            "Measured",
            percent(newest.measured_percent) if newest else DASH,
            day(newest.day) if newest else "no day yet",
        ),
        class_="tiles",
    )


def _tile(name: str, value: str, note: str, href: str | None = None) -> Html:
    inner = join([h("span", name, class_="name"), h("b", value), h("span", note, class_="note")])
    return h("a", inner, href=href, class_="tile") if href else h("div", inner, class_="tile")


def _newest_load(load: DayLoad, meters: int, timezone: ZoneInfo) -> tuple[str, str]:
    """The newest quarter hour that most meters have reported."""
    power_kw = load.import_kw
    complete = [i for i, number in enumerate(load.meters) if number >= SHARE_COUNTED_MIN * meters]
    counted = complete or [i for i, value in enumerate(power_kw) if value is not None]
    if not counted:
        return DASH, "no value yet"
    newest = counted[-1]
    start, end = (from_epoch_s(load.start_s + i * load.interval_s) for i in (newest, newest + 1))
    return power(power_kw[newest] or 0.0), f"{clock(start, timezone)}{DASH}{clock(end, timezone)}"


# ------------------------------------------------------------------ what is going wrong
def _issues(town: TownOverview, timezone: ZoneInfo) -> Html:
    if not town.issues:
        return card("What is going wrong", empty("Nothing", "No silent area, no wrong key, no doubtful value."))
    entries = [_issue(issue, town, timezone, first=i == 0) for i, issue in enumerate(town.issues)]
    return card("What is going wrong", h("div", entries, class_="issues"), aside=f"{len(entries)}")


def _issue(issue: Issue, town: TownOverview, timezone: ZoneInfo, *, first: bool) -> Html:
    since = f"since {moment(issue.since, timezone, town.at)}" if issue.since else None
    summary = h("summary", h("i", class_="lamp"), h("span", unbroken(issue.title)), h("small", since))
    days = {meter_id: at.astimezone(timezone).date() for meter_id, at in issue.look_at.items()}
    named = [meter_link(meter_id, days.get(meter_id)) for meter_id in issue.meter_ids[:METERS_NAMED]]
    more = len(issue.meter_ids) - METERS_NAMED
    meters = h("p", named, f"and {more} more" if more > 0 else None, class_="meters") if named else None
    explanation = h("p", told(issue.explanation, timezone, town.at))
    body = h("div", explanation, h("p", h("b", "Next: "), issue.next_step), meters, class_="body")
    return h(
        "details",
        summary,
        body,
        open=first and issue.severity >= Severity.CRITICAL,
        data_key=issue.kind + ",".join(issue.transformer_ids),
        data_meters=" ".join(issue.meter_ids),
        class_=f"issue {issue.severity.name.lower()}",
    )


# ------------------------------------------------------------------ load and completeness
def _load(town: TownOverview, timezone: ZoneInfo) -> Html:
    if not (town.today.meters.any() or town.yesterday.meters.any()):
        return card("Load of the town", empty("No load profile yet", "The first readings arrive within seconds."))
    keys = [h("span", h("i", class_=kind), name) for name, kind in (("today", "today"), ("yesterday", "yesterday"))]
    if town.today.export_wh.any() or town.yesterday.export_wh.any():
        keys.append(h("span", h("i", class_="out"), "fed in"))
    return card(
        "Load of the town",
        load_chart(town.today, town.yesterday, town.at, timezone),
        _load_note(town, timezone),
        aside=h("div", keys, class_="keys"),
    )


def _load_note(town: TownOverview, timezone: ZoneInfo) -> Html:
    left_out = town.today.left_out + town.yesterday.left_out
    words = [f"Sum of {int(max(town.today.meters.max(initial=0), town.yesterday.meters.max(initial=0))):,} meters"]
    if town.known_until:
        words.append(f"complete until {clock(town.known_until, timezone)}")
    if left_out:
        words.append(f"{count(left_out, 'questionable value')} left out")
    return h("p", " · ".join(words), class_="soft note")


def _completeness(town: TownOverview) -> Html:
    if not town.days:
        return card("How complete", empty("Nothing to count yet", "Days appear with their first interval."))
    keys = [h("span", h("i", class_=name), name) for name in ("measured", "estimated", "missing")]
    note = h("div", keys, class_="keys below")
    estimated = sum(one.estimated for one in town.days)
    summary = facts(
        (
            ("Gaps", f"{count(len(town.gaps), 'gap')} open" if town.gaps else "none open"),
            ("Longest", duration(town.gaps[0].seconds) if town.gaps else None),
            ("Estimated", count(estimated, "interval")),
            ("Validation", f"{count(town.findings, 'open finding')}"),
        )
    )
    return card("How complete", completeness_bars(town.days), note, summary, aside="import, 15 min")


# ------------------------------------------------------------------ lists
def _silent(town: TownOverview) -> Html:
    quiet = [m for m in town.meters if m.condition in {Condition.SILENT, Condition.FAILING}]
    if not quiet:
        return card("Silent meters", empty("None", "Every meter that was tried has answered."))
    quiet.sort(key=lambda m: (m.condition is not Condition.SILENT, m.transformer_id, m.meter_id))
    rows = [_quiet_meter(meter) for meter in quiet[:ROWS_SHOWN]]
    link = h("a", "all", href="/collection") if len(quiet) > ROWS_SHOWN else None
    return card("Silent and failing", h("ul", rows, class_="rows"), aside=join([f"{len(quiet)} ", link]))


def _quiet_meter(meter: MeterOnMap) -> Html:
    place = h("small", unbroken(f"{meter.address} · {meter.transformer_id}"))
    return h("li", meter_link(meter.meter_id), condition_badge(meter.condition), place)


def _gaps(town: TownOverview, timezone: ZoneInfo) -> Html:
    if not town.gaps:
        return card("Gaps", empty("None", "Every interval that is due has a value."))
    rows = [_gap(gap, town, timezone) for gap in town.gaps[:ROWS_SHOWN]]
    return card("Gaps", h("ul", rows, class_="rows"), aside=f"{len(town.gaps)}")


def _gap(gap: Gap, town: TownOverview, timezone: ZoneInfo) -> Html:
    start, end = from_epoch_s(gap.start_s), from_epoch_s(gap.end_s)
    link = meter_link(gap.meter_id, start.astimezone(timezone).date())
    return h("li", link, h("b", duration(gap.seconds)), h("small", span(start, end, timezone, town.at)))


def _events(town: TownOverview, timezone: ZoneInfo) -> Html:
    if not town.events:
        return card("Newest events", empty("None yet", "Alarms and event logs appear here."))
    rows = [_event(stored, town, timezone) for stored in town.events if stored.leads][:ROWS_SHOWN]
    return card("Newest events", h("ul", rows, class_="rows"))


def _event(stored: CorrelatedEvent, town: TownOverview, timezone: ZoneInfo) -> Html:
    event = stored.event
    words = EVENT_WORDS[event.kind] + (" · called in" if event.pushed else "")
    return h("li", meter_link(stored.meter_id), h("b", moment(event.at, timezone, town.at)), h("small", words))
