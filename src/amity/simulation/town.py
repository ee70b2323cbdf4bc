"""A fictional town from a seed: feeders, transformers, premises with solar roofs and the meters in them."""

import math
from dataclasses import dataclass

from amity.devices.profiles import DeviceProfile
from amity.domain.registry import Meter, Town, Transformer, UsagePoint
from amity.simulation.chance import between, draw, stream

TIMEZONE = "Europe/Vienna"
SOLAR_SHARE = 0.18

_NAMES = ("Larkenfeld", "Ambertal", "Mirrenbach", "Silberaue", "Thornwied", "Quellhausen")
_STREETS = (
    "Lindengasse", "Mühlweg", "Am Anger", "Bachstraße", "Birkenweg", "Schulgasse", "Feldgasse", "Kirchplatz",
    "Sonnenhang", "Gartenweg", "Bahnhofstraße", "Weinbergweg", "Ahornallee", "Kastaniengasse", "Am Mühlbach",
    "Rosenweg", "Steinbruchweg", "Wiesenweg", "Marktplatz", "Obere Zeile", "Untere Zeile", "Erlenweg", "Hauptstraße",
    "Färbergasse", "Brunnengasse", "Lerchenfeld", "Tannenweg", "Uferstraße", "Am Teich", "Nussbaumweg",
)  # fmt: skip
_CENTRE = (47.18, 15.84)  # hills with nobody in particular
_METERS_PER_TRANSFORMER = (4, 17)  # from and to: a small town has small areas, so that an outage never takes most of it
_AREAS = 12
_TRANSFORMERS_PER_FEEDER = 4
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
_KM_PER_DEGREE = 111.2
_SERIAL_STEP = 37  # serial numbers of a delivery have holes


@dataclass(frozen=True, slots=True)
class Premise:
    """One place with its meter: the registry's two records and the model of the meter."""

    usage_point: UsagePoint
    meter: Meter
    profile: DeviceProfile


@dataclass(frozen=True, slots=True)
class SimulatedTown:
    """The registry document and, meter by meter, what stands behind it."""

    town: Town
    premises: tuple[Premise, ...]


def build_town(seed: int, meters: int, profiles: tuple[DeviceProfile, ...]) -> SimulatedTown:
    """A town of `meters` premises; the models alternate over `profiles`. The same arguments give the same town."""
    transformers = _transformers(seed, max(1, meters // _meters_per_transformer(meters)))
    premises = tuple(
        _premise(seed, number, transformers[number * len(transformers) // meters], profiles) for number in range(meters)
    )
    town = Town(
        name=_NAMES[int(draw(stream(seed, "town")) * len(_NAMES))],
        timezone=TIMEZONE,
        transformers=transformers,
        usage_points=tuple(premise.usage_point for premise in premises),
        meters=tuple(premise.meter for premise in premises),
    )
    return SimulatedTown(town, premises)


def _meters_per_transformer(meters: int) -> int:
    least, most = _METERS_PER_TRANSFORMER
    return min(max(meters // _AREAS, least), most)


def centre() -> tuple[float, float]:
    """Latitude and longitude of the town."""
    return _CENTRE


def _transformers(seed: int, count: int) -> tuple[Transformer, ...]:
    """Along a sunflower spiral, so that they cover the town evenly however many there are; a feeder is a sector."""
    turn = between(stream(seed, "spiral"), 0, math.tau)
    directions = [(turn + number * _GOLDEN_ANGLE) % math.tau for number in range(count)]
    around = sorted(range(count), key=directions.__getitem__)
    feeder_of = {number: place // _TRANSFORMERS_PER_FEEDER + 1 for place, number in enumerate(around)}
    places = (_offset(_CENTRE, directions[number], 0.32 * math.sqrt(number + 0.5)) for number in range(count))
    return tuple(
        Transformer(f"T-{number + 1:02}", f"F-{feeder_of[number]}", latitude, longitude)
        for number, (latitude, longitude) in enumerate(places)
    )


def _premise(seed: int, number: int, transformer: Transformer, profiles: tuple[DeviceProfile, ...]) -> Premise:
    chance = stream(seed, "premise", number)
    latitude, longitude = _offset(
        (transformer.latitude, transformer.longitude), between(chance, 0, math.tau), between(chance, 0.02, 0.2, 1)
    )
    usage_point = UsagePoint(
        usage_point_id=f"UP-{number + 1:06}",
        address=_address(seed, number),
        account_id=f"A-{100_000 + (stream(seed, 'account') + number * 7_919) % 900_000}",
        transformer_id=transformer.transformer_id,
        latitude=latitude,
        longitude=longitude,
        has_solar=draw(chance, 2) < SOLAR_SHARE,
    )
    profile = profiles[(number + stream(seed, "models")) % len(profiles)]
    serial = f"{20_000_000 + stream(seed, 'serials') % 40_000_000 + number * _SERIAL_STEP:08}"
    meter = Meter(f"{profile.flag}{serial}", serial, profile.key, usage_point.usage_point_id)
    return Premise(usage_point, meter, profile)


def _address(seed: int, number: int) -> str:
    """Houses in a row share a street; no street number comes twice."""
    block, house = divmod(number, 12)
    block += stream(seed, "streets") % len(_STREETS)
    round_trip, street = divmod(block, len(_STREETS))
    return f"{_STREETS[street]} {round_trip * 24 + house * 2 + 1}"


def _offset(place: tuple[float, float], direction: float, distance_km: float) -> tuple[float, float]:
    latitude = place[0] + math.sin(direction) * distance_km / _KM_PER_DEGREE
    longitude = place[1] + math.cos(direction) * distance_km / _KM_PER_DEGREE / math.cos(math.radians(place[0]))
    return round(latitude, 6), round(longitude, 6)
