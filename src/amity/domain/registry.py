"""The registry, enough for a town: meters at usage points of customers, fed by transformers on feeders."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transformer:
    """A distribution transformer on a feeder; latitude and longitude in degrees (WGS 84)."""

    transformer_id: str
    feeder_id: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """Where energy is used (CIM UsagePoint): premise address, its customer account and its transformer."""

    usage_point_id: str
    address: str
    account_id: str
    transformer_id: str
    latitude: float
    longitude: float
    has_solar: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter as the IT side knows it: `meter_id` is its logical device name; it holds no key and no address."""

    meter_id: str
    serial: str
    profile: str
    usage_point_id: str


@dataclass(frozen=True, slots=True)
class Town:
    """A registry document: what `amity demo` provisions before the first reading."""

    name: str
    timezone: str
    transformers: tuple[Transformer, ...]
    usage_points: tuple[UsagePoint, ...]
    meters: tuple[Meter, ...]
