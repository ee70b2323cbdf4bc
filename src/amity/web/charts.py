"""Charts as SVG that follows the theme and any width; words stand beside the drawing, so they never shrink."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np

from amity.domain.blocks import Channel
from amity.domain.readings import Quality
from amity.kernel.time import epoch_s, from_epoch_s
from amity.kernel.units import Unit
from amity.usecases.load import ESTIMATED, DayCompleteness, DayLoad
from amity.usecases.readings import Readings
from amity.web.markup import Html, h, join
from amity.web.scale import axis, tick_text
from amity.web.wording import DASH, amount, day, percent, power

WIDTH, HEIGHT = 1000.0, 300.0
SLOTS_WITH_SPACE_MAX = 200  # more bars than that stand without a gap between them
_HOURS_SHOWN = (0, 6, 12, 18, 24)


@dataclass(frozen=True, slots=True)
class Plot:
    """What surrounds a drawing: y positions are shares of the height from the top, x of the width from the left."""

    shapes: Html
    y_ticks: Sequence[tuple[float, str]]
    x_ticks: Sequence[tuple[float, str]]
    unit: str
    label: str
    hover: dict[str, object]
    zero: float = 1.0


def plot_frame(plot: Plot, *, clickable: bool = False) -> Html:
    """The drawing with its axes; the script reads `data-hover` for the cross-hair and the tooltip."""
    lines = join(_grid_line(y, strong=abs(y - plot.zero) < 1e-6) for y, _ in plot.y_ticks)  # noqa: PLR2004 - equal
    drawing = h(
        "svg",
        lines,
        plot.shapes,
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    field = h(
        "div",
        drawing,
        h("div", class_="cross", hidden=True),
        h("div", class_="tip", role="status", hidden=True),
        class_="field",
        data_hover=json.dumps(plot.hover, separators=(",", ":")),
        data_clickable=clickable,
        tabindex="0",
        role="img",
        aria_label=plot.label,
    )
    ys = join(h("span", text, style=f"top:{y:.2%}") for y, text in plot.y_ticks)
    xs = join(h("span", text, style=f"left:{x:.2%}") for x, text in plot.x_ticks)
    unit = h("span", plot.unit, class_="unit")
    return h("div", h("div", unit, ys, class_="y-axis"), field, h("div", xs, class_="x-axis"), class_="plot")


def _grid_line(y: float, *, strong: bool) -> Html:
    at = f"{y * HEIGHT:.1f}"
    return h("line", x1="0", x2=f"{WIDTH:.0f}", y1=at, y2=at, class_="zero" if strong else "grid")


# ------------------------------------------------------------------ the town's load
def load_chart(today: DayLoad, yesterday: DayLoad, now: datetime, timezone: ZoneInfo) -> Html:
    """Today over yesterday: import above the line, export below it."""
    lines = [today.import_kw, yesterday.import_kw, today.export_kw, yesterday.export_kw]
    highest = max((v for line in lines[:2] for v in line if v is not None), default=0.0)
    lowest = -max((v for line in lines[2:] for v in line if v is not None), default=0.0)
    ticks = axis(lowest, highest, steps=6)
    y = _height_of(ticks)
    below = [[None if v is None else -v for v in line] for line in lines[2:]]
    slots = max(len(today.import_kw), len(yesterday.import_kw))
    shapes = join(
        [
            h("path", d=_line(lines[1], slots, y), class_="yesterday"),
            h("path", d=_line(below[1], slots, y), class_="yesterday out"),
            h("path", d=_area(lines[0], slots, y), class_="area today"),
            h("path", d=_area(below[0], slots, y), class_="area out"),
            h("path", d=_line(lines[0], slots, y), class_="line today"),
            h("path", d=_line(below[0], slots, y), class_="line out"),
            _now_line(today, slots, now),
        ]
    )
    hover = {
        "times": [_local_time(today.start_s + i * today.interval_s, timezone) for i in range(slots)],
        "series": [
            {"name": name, "kind": kind, "values": [None if v is None else power(v) for v in line]}
            for name, kind, line in zip(
                ("Today", "Yesterday", "Fed in today", "Fed in yesterday"),
                ("today", "yesterday", "out", "out faint"),
                lines,
                strict=True,
            )
            if any(line)
        ],
    }
    y_ticks = [(y(tick) / HEIGHT, tick_text(tick, ticks)) for tick in ticks]
    label = "Load of the town in kilowatts per quarter hour, today and yesterday"
    return plot_frame(Plot(shapes, y_ticks, _day_ticks(today, slots, timezone), "kW", label, hover, y(0) / HEIGHT))


def _now_line(today: DayLoad, slots: int, now: datetime) -> Html:
    x = (epoch_s(now) - today.start_s) / (slots * today.interval_s) * WIDTH
    return h("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1="0", y2=f"{HEIGHT:.0f}", class_="now")


def _day_ticks(load: DayLoad, slots: int, timezone: ZoneInfo) -> list[tuple[float, str]]:
    start = from_epoch_s(load.start_s).astimezone(timezone)
    length_s = slots * load.interval_s
    ticks = []
    for hour in _HOURS_SHOWN:
        at = start.replace(hour=hour) if hour < 24 else start + timedelta(days=1)  # noqa: PLR2004 - hours of a day
        ticks.append(((epoch_s(at) - load.start_s) / length_s, f"{hour:02}:00"))
    return ticks


Height = Callable[[float], float]


def _height_of(ticks: Sequence[float]) -> Height:
    """A function from a value to its distance from the top."""
    bottom, top = ticks[0], ticks[-1]
    return lambda value: (top - value) / (top - bottom) * HEIGHT


def _local_time(start_s: int, timezone: ZoneInfo) -> str:
    return f"{from_epoch_s(start_s).astimezone(timezone):%H:%M}"


def _runs(values: Sequence[float | None]) -> Iterable[list[tuple[int, float]]]:
    """Stretches of neighbouring values that are there."""
    for known, run in groupby(enumerate(values), key=lambda pair: pair[1] is not None):
        if known:
            yield [(i, v) for i, v in run if v is not None]


def _line(values: Sequence[float | None], slots: int, y: Height) -> str:
    step = WIDTH / slots
    return "".join("M" + "L".join(f"{(i + 0.5) * step:.1f},{y(v):.1f}" for i, v in run) for run in _runs(values))


def _area(values: Sequence[float | None], slots: int, y: Height) -> str:
    step, zero = WIDTH / slots, y(0)
    parts = []
    for run in _runs(values):
        top = "L".join(f"{(i + 0.5) * step:.1f},{y(v):.1f}" for i, v in run)
        parts.append(f"M{(run[0][0] + 0.5) * step:.1f},{zero:.1f}L{top}L{(run[-1][0] + 0.5) * step:.1f},{zero:.1f}Z")
    return "".join(parts)


# ------------------------------------------------------------------ one channel of one meter
_KINDS = (("edited", Quality.EDITED), ("questionable", Quality.QUESTIONABLE), ("estimated", ESTIMATED))


def interval_chart(readings: Readings, now: datetime, timezone: ZoneInfo) -> Html:
    """One bar per interval; estimated, questionable, edited and missing ones look different, also without colour.

    The scale follows the values that nobody questions; a questionable bar beyond it is cut off at the top.
    """
    channel, slots = readings.channel, len(readings.values)
    unit = Unit(channel.unit)
    values = readings.values * 10.0**channel.exponent  # for the eye; the words keep every digit
    kinds = [
        _kind(int(q), int(s), readings.channel.interval_s, now)
        for q, s in zip(readings.qualities, readings.starts, strict=True)
    ]
    trusted = [float(v) for v, kind in zip(values, kinds, strict=True) if kind in {"measured", "estimated", "edited"}]
    ticks = axis(0, max(trusted, default=0.0) or float(values.max(initial=0.0)) or 1.0)
    shapes = join(
        h("path", d=_bars(values, kinds, kind, ticks[-1]), class_=f"bar {kind}")
        for kind in ("missing", "measured", "estimated", "edited", "questionable")
    )
    hover = {
        "times": [_bar_time(int(s), readings.channel.interval_s, slots, timezone) for s in readings.starts],
        "starts": [int(s) for s in readings.starts],
        "series": [
            {
                "name": "",
                "kind": "by-interval",
                "kinds": kinds,
                "values": [
                    _bar_text(v, kind, channel) for v, kind in zip(readings.values.tolist(), kinds, strict=True)
                ],
            }
        ],
    }
    y_ticks = [(1 - tick / ticks[-1], tick_text(tick, ticks)) for tick in ticks]
    label = f"{slots} interval readings in {unit.symbol}; use the arrow keys to move, Enter to ask why"
    plot = Plot(shapes, y_ticks, _span_ticks(readings, timezone), unit.symbol, label, hover)
    return plot_frame(plot, clickable=True)


def _kind(quality: int, start_s: int, interval_s: int, now: datetime) -> str:
    if not quality:
        return "missing" if start_s + interval_s <= epoch_s(now) else "future"
    return next((kind for kind, bits in _KINDS if quality & bits), "measured")


def _bar_text(value: int, kind: str, channel: Channel) -> str | None:
    if kind == "future":
        return None
    if kind == "missing":
        return "missing"
    words = amount(channel.quantity(value), Unit(channel.unit))
    return words if kind == "measured" else f"{words} · {kind}"


def _bar_time(start_s: int, interval_s: int, slots: int, timezone: ZoneInfo) -> str:
    start, end = (from_epoch_s(at).astimezone(timezone) for at in (start_s, start_s + interval_s))
    date = f"{start:%a} {start.day} {start:%b} " if slots > SLOTS_WITH_SPACE_MAX / 2 else ""
    return f"{date}{start:%H:%M}{DASH}{end:%H:%M}"


def _bars(values: np.ndarray, kinds: Sequence[str], wanted: str, top: float) -> str:
    step = WIDTH / max(1, len(values))
    space = step * 0.18 if len(values) <= SLOTS_WITH_SPACE_MAX else 0.0
    parts = []
    for i, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        if kind == wanted:
            height = HEIGHT if kind == "missing" else max(1.5, min(1.0, float(value) / top) * HEIGHT)
            width = step if kind == "missing" else step - space
            parts.append(f"M{i * step + (step - width) / 2:.2f},{HEIGHT:.0f}v{-height:.1f}h{width:.2f}v{height:.1f}z")
    return "".join(parts)


def _span_ticks(readings: Readings, timezone: ZoneInfo) -> list[tuple[float, str]]:
    """Every third hour of one day, every midnight of several."""
    slots, step_s = len(readings.starts), readings.channel.interval_s
    ticks = []
    for i, start_s in enumerate(readings.starts):
        local = from_epoch_s(int(start_s)).astimezone(timezone)
        if local.minute == 0 and slots * step_s <= 2 * 86_400 and local.hour % 6 == 0:
            ticks.append((i / slots, f"{local:%H:%M}"))
        elif local.minute == 0 and local.hour == 0 and slots * step_s > 2 * 86_400:
            ticks.append((i / slots, f"{local:%a} {local.day}"))
    return ticks


# ------------------------------------------------------------------ completeness
def completeness_bars(days: Iterable[DayCompleteness]) -> Html:
    """One bar a day: measured, estimated, missing."""
    return h("div", [_completeness_bar(one) for one in reversed(list(days))], class_="completeness")


def _completeness_bar(one: DayCompleteness) -> Html:
    parts = (("measured", one.measured), ("estimated", one.estimated), ("missing", one.missing))
    title = ", ".join(f"{number:,} {name}" for name, number in parts) + f" of {one.expected:,}"
    shares = [h("i", class_=name, style=f"flex:{number}") for name, number in parts if number > 0]
    name = h("span", day(one.day), class_="name")
    bar = h("span", shares, class_="share", role="img", aria_label=title)
    return h("div", name, bar, h("b", percent(one.measured_percent)), title=title, class_="row")
