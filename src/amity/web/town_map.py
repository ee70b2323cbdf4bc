"""The town as a map: feeders, transformers, and every meter as a mark whose shape says how it is doing."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from amity.domain.registry import Transformer
from amity.usecases.condition import Condition
from amity.usecases.town import MeterOnMap, TownOverview
from amity.web.markup import Html, h, join
from amity.web.wording import CONDITION_WORDS

WIDTH, HEIGHT, MARGIN = 720.0, 500.0, 32.0
METRES_PER_DEGREE = 111_320.0

Place = tuple[float, float]

_MARKS = {
    Condition.ANSWERED: Html('<circle r="4.2"/>'),
    Condition.INCOMPLETE: Html('<circle r="5" class="hollow"/><path d="M0-5a5 5 0 0 1 0 10z"/>'),
    Condition.WAITING: Html('<circle r="4.2" class="hollow"/>'),
    Condition.FAILING: Html('<path d="M0-6.6 6.2 4.6H-6.2z"/>'),
    Condition.SILENT: Html('<path d="M0-6.8 6.8 0 0 6.8-6.8 0z"/>'),
}


@dataclass(frozen=True, slots=True)
class Projection:
    """Degrees to drawing units, the same scale in both directions."""

    west: float
    north: float
    units_per_metre: float
    metres_per_degree_east: float
    left: float
    top: float

    def point(self, latitude: float, longitude: float) -> Place:
        """Where a place lies on the drawing."""
        x = self.left + (longitude - self.west) * self.metres_per_degree_east * self.units_per_metre
        y = self.top + (self.north - latitude) * METRES_PER_DEGREE * self.units_per_metre
        return round(x, 1), round(y, 1)


def fit(places: Sequence[Place]) -> Projection:
    """The projection that shows all places (latitude, longitude) as large as they fit; any for none."""
    latitudes, longitudes = [p[0] for p in places] or [0.0], [p[1] for p in places] or [0.0]
    east_scale = METRES_PER_DEGREE * math.cos(math.radians(sum(latitudes) / len(latitudes)))
    wide = max((max(longitudes) - min(longitudes)) * east_scale, 1.0)
    high = max((max(latitudes) - min(latitudes)) * METRES_PER_DEGREE, 1.0)
    scale = min((WIDTH - 2 * MARGIN) / wide, (HEIGHT - 2 * MARGIN) / high)
    left, top = (WIDTH - wide * scale) / 2, (HEIGHT - high * scale) / 2
    return Projection(min(longitudes), max(latitudes), scale, east_scale, left, top)


def town_map(town: TownOverview) -> Html:
    """The whole drawing; troubled transformers carry a halo and their name."""
    places = [(m.latitude, m.longitude) for m in town.meters] + [(t.latitude, t.longitude) for t in town.transformers]
    projection = fit(places)
    troubled = {t for issue in town.issues for t in issue.transformer_ids}
    by_transformer: dict[str, list[MeterOnMap]] = defaultdict(list)
    for meter in town.meters:
        by_transformer[meter.transformer_id].append(meter)
    drawing = h(
        "svg",
        _feeders(town.transformers, projection),
        [_service_lines(t, by_transformer[t.transformer_id], projection) for t in town.transformers],
        [
            _halo(t, by_transformer[t.transformer_id], projection)
            for t in town.transformers
            if t.transformer_id in troubled
        ],
        [_transformer(t, projection) for t in town.transformers],
        [_meter(meter, projection) for meter in sorted(town.meters, key=_urgency)],
        _scale_bar(projection),
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        role="img",
        aria_label=f"Map of {town.name}: {len(town.meters)} meters at {len(town.transformers)} transformers",
        class_="map",
    )
    return h("div", drawing, legend(town), class_="map-box")


def legend(town: TownOverview) -> Html:
    """Shape, word and number of each condition that occurs."""
    shown = [
        c
        for c in (Condition.ANSWERED, Condition.INCOMPLETE, Condition.SILENT, Condition.FAILING, Condition.WAITING)
        if town.conditions.get(c)
    ]
    return h("ul", [_legend_entry(c, town.conditions[c]) for c in shown], class_="legend")


def mark(condition: Condition) -> Html:
    """The small sign of a condition, for lists and badges."""
    return h(
        "svg",
        h("g", _MARKS[condition], class_=f"mark {condition}"),
        viewBox="-8 -8 16 16",
        class_="sign",
        aria_hidden="true",
    )


def _legend_entry(condition: Condition, number: int) -> Html:
    words = (CONDITION_WORDS[condition], " ", h("b", f"{number:,}"))
    return h("li", h("a", mark(condition), words, href=f"/meters?condition={condition}"))


def _urgency(meter: MeterOnMap) -> int:
    """Trouble is drawn last, on top."""
    return list(Condition).index(meter.condition)


def _feeders(transformers: Sequence[Transformer], projection: Projection) -> Html:
    by_feeder: dict[str, list[Place]] = defaultdict(list)
    for transformer in transformers:
        by_feeder[transformer.feeder_id].append(projection.point(transformer.latitude, transformer.longitude))
    return join(h("path", d=_path(_branches(points)), class_="feeder") for points in by_feeder.values())


def _branches(points: Sequence[Place]) -> list[tuple[Place, Place]]:
    """The shortest tree that reaches all points from the most central one (Prim): about how a feeder runs."""
    reached = [min(points, key=lambda point: math.dist(point, (WIDTH / 2, HEIGHT / 2)))]
    left = [point for point in points if point != reached[0]]
    branches: list[tuple[Place, Place]] = []
    while left:
        branch = min(((a, b) for a in reached for b in left), key=lambda ends: math.dist(*ends))
        branches.append(branch)
        reached.append(branch[1])
        left.remove(branch[1])
    return branches


def _service_lines(transformer: Transformer, meters: Iterable[MeterOnMap], projection: Projection) -> Html:
    start = projection.point(transformer.latitude, transformer.longitude)
    lines = ((start, projection.point(meter.latitude, meter.longitude)) for meter in meters)
    return h("path", d=_path(lines), class_="service")


def _halo(transformer: Transformer, meters: Iterable[MeterOnMap], projection: Projection) -> Html:
    x, y = projection.point(transformer.latitude, transformer.longitude)
    reach = max((math.dist((x, y), projection.point(m.latitude, m.longitude)) for m in meters), default=0.0)
    circle = h("circle", r=f"{reach + 13:.1f}", class_="halo")
    name = h("text", transformer.transformer_id, y=f"{-reach - 19:.1f}")
    return h("g", circle, name, transform=f"translate({x} {y})")


def _transformer(transformer: Transformer, projection: Projection) -> Html:
    x, y = projection.point(transformer.latitude, transformer.longitude)
    name = transformer.transformer_id
    box = h("rect", x="-4.5", y="-4.5", width="9", height="9", rx="2")
    about = h("title", f"Transformer {name} on feeder {transformer.feeder_id}")
    return h("g", about, box, transform=f"translate({x} {y})", class_="transformer")


def _meter(meter: MeterOnMap, projection: Projection) -> Html:
    x, y = projection.point(meter.latitude, meter.longitude)
    about = h("title", f"{meter.meter_id} · {meter.address} · {CONDITION_WORDS[meter.condition]}")
    return h(
        "a",
        about,
        h("circle", r="9", class_="target"),
        h("g", _MARKS[meter.condition], class_=f"mark {meter.condition}"),
        href=f"/meters/{meter.meter_id}",
        transform=f"translate({x} {y})",
        data_meter=meter.meter_id,
        class_="dot",
    )


def _scale_bar(projection: Projection) -> Html:
    metres = next((m for m in (2000, 1000, 500, 200, 100, 50, 20) if m * projection.units_per_metre < WIDTH / 5), 10)
    length = metres * projection.units_per_metre
    line = h("path", d=f"M0,-4V0H{length:.1f}V-4")
    text = f"{metres // 1000} km" if metres >= 1000 else f"{metres} m"  # noqa: PLR2004 - metres in a kilometre
    label = h("text", text, x=f"{length / 2:.1f}", y="-5")
    return h("g", line, label, transform=f"translate({WIDTH - MARGIN / 2 - length:.1f} {HEIGHT - 10})", class_="scale")


def _path(lines: Iterable[tuple[Place, Place]]) -> str:
    return "".join(f"M{ax},{ay}L{bx},{by}" for (ax, ay), (bx, by) in lines)
