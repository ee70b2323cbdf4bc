"""How many machines a fleet needs: arithmetic over measured costs. The costs are data (`capacity_costs.toml`).

What a session costs is a fixed part and one for each thousand interval values that it brings; a push costs the same
each time. Nothing here is measured: `python -m benchmarks.capacity` writes the data. Outside the values for which it
was measured a plan is drawn on from there, and says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, NamedTuple

from amity.kernel.errors import ConfigurationError
from amity.kernel.time import SECONDS_PER_DAY
from amity.kernel.toml import parse_toml

HEADER_OCTETS: Final = 40  # IPv4 (RFC 791) and TCP (RFC 9293) without options, of each segment
OPEN_AND_CLOSE_SEGMENTS: Final = 7
MINUTES_PER_DAY: Final = 24 * 60
_SECONDS_PER_HOUR: Final = 3600
_MEGA: Final = 1_000_000
_GIGA: Final = 1_000_000_000
_BITS: Final = 8
_METERS_MAX: Final = 1_000_000_000
_COSTS: Final = "capacity_costs.toml"
ROLES: Final = ("headend", "database", "broker", "mdm")


class Linear(NamedTuple):
    """A cost that grows with the values a session brings."""

    fixed: float
    per_kilovalue: float

    def of(self, values: float) -> float:
        """For a session with so many values."""
        return self.fixed + self.per_kilovalue * values / 1000


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured: when, on which machine; CPU in ms, sizes in octets, memory in MB or octets.

    `session` and `push` have `cpu_ms` by role (of one broker), `wire_octets` (both ways, without headers) in so many
    `segments`, `message_octets` (to the broker, compressed), `database_octets` and `mdm_octets` (on disk) and
    `wal_octets`. `limits` are rates that were reached and not passed. Sessions were measured with so few and so many
    `values`: what lies outside is drawn on from there.
    """

    measured_on: str
    machine: str
    how: str
    session: Mapping[str, Linear]
    push: Mapping[str, float]
    memory: Mapping[str, float]
    limits: Mapping[str, float]
    values: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Load:
    """What a fleet asks for. All meters are read once a day within `window_h`; pushes are spread over the day.

    `session_s` is how long an association lasts, which is the network's doing. `used` is the share of a core that is
    planned with. For `outage_h` nobody takes what the brokers hold.
    """

    meters: int
    interval_minutes: int = 15
    channels: int = 4
    pushes_per_day: float = 0
    window_h: float = 4
    session_s: float = 10
    used: float = 0.6
    brokers: int = 3
    kept_days: int = 7
    outage_h: float = 24

    def __post_init__(self) -> None:
        """Raise ConfigurationError for what no fleet can be."""
        wrong = [
            name
            for name, good in {
                "meters": 1 <= self.meters <= _METERS_MAX,
                "interval-minutes": 1 <= self.interval_minutes <= MINUTES_PER_DAY,
                "channels": 1 <= self.channels <= 64,  # noqa: PLR2004 - more than any meter records
                "pushes-per-day": 0 <= self.pushes_per_day <= MINUTES_PER_DAY,
                "window-h": 0 < self.window_h <= 24,  # noqa: PLR2004 - hours of a day
                "session-s": 0 < self.session_s <= SECONDS_PER_DAY,
            }.items()
            if not good
        ]
        if wrong:
            raise ConfigurationError(
                f"no plan can be made with this --{wrong[0]}", next_step="choose one that a fleet can have"
            )

    @property
    def values(self) -> float:
        """Interval values of one meter and day."""
        return MINUTES_PER_DAY / self.interval_minutes * self.channels

    @property
    def sessions_per_s(self) -> float:
        """While the window is open."""
        return self.meters / (self.window_h * _SECONDS_PER_HOUR)

    @property
    def pushes_per_s(self) -> float:
        """On average; a storm of last gasps is another matter."""
        return self.meters * self.pushes_per_day / SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class Plan:
    """What the fleet needs while its window is open; `cores` by role are busy ones divided by the share planned with.

    Each broker has all messages. `mdm_h` is how long the MDM side's one process needs for a day's sessions and pushes.
    `warning` says that the costs were not measured for so many values, and is empty where they were.
    """

    load: Load
    cores: Mapping[str, float]
    headend_processes: int
    open_associations: int
    memory_gb: Mapping[str, float]
    wire_mbit_s: float
    broker_mbit_s: float
    broker_disk_gb: float
    database_disk_gb: float
    wal_mb_s: float
    mdm_disk_gb_year: float
    mdm_h: float
    warning: str
    notes: tuple[str, ...] = field(default=())


def plan(load: Load, costs: Costs) -> Plan:
    """The needs of one fleet; raise ConfigurationError for pushes when what they cost was not measured."""
    if load.pushes_per_day and not costs.push:
        raise ConfigurationError(
            "what a push costs was not measured on that machine", next_step="measure: python -m benchmarks.capacity"
        )
    push = costs.push or dict.fromkeys(costs.session, 0.0)
    sessions, pushes, values = load.sessions_per_s, load.pushes_per_s, load.values
    session = {name: cost.of(values) for name, cost in costs.session.items()}

    def rate(name: str) -> float:
        return sessions * session[name] + pushes * push[name]

    def a_day(name: str) -> float:
        return load.meters * (session[name] + load.pushes_per_day * push[name])

    cores = {role: rate(f"{role}_cpu_ms") / 1000 / load.used for role in ROLES}
    cores["broker"] *= load.brokers
    associations = math.ceil(sessions * load.session_s)
    processes = math.ceil(cores["headend"])
    made = Plan(
        load=load,
        cores=cores,
        headend_processes=processes,
        open_associations=associations,
        memory_gb=_memory_gb(load, costs, processes, associations),
        wire_mbit_s=_on_the_line(rate("wire_octets"), rate("segments") + OPEN_AND_CLOSE_SEGMENTS * (sessions + pushes)),
        broker_mbit_s=rate("message_octets") * _BITS / _MEGA,
        broker_disk_gb=a_day("message_octets") * load.outage_h / 24 / _GIGA,
        database_disk_gb=a_day("database_octets") * load.kept_days / _GIGA,
        wal_mb_s=rate("wal_octets") / _MEGA,
        mdm_disk_gb_year=a_day("mdm_octets") * 365 / _GIGA,
        mdm_h=a_day("mdm_cpu_ms") / 1000 / load.used / _SECONDS_PER_HOUR,
        warning=_warning(values, costs),
    )
    return _with_notes(made, costs)


def _on_the_line(octets_per_s: float, segments_per_s: float) -> float:
    """Mbit/s with headers; an answer acknowledges its request, so that no segment is spent on it."""
    return (octets_per_s + HEADER_OCTETS * segments_per_s) * _BITS / _MEGA


def _memory_gb(load: Load, costs: Costs, processes: int, associations: int) -> dict[str, float]:
    """Each head-end process knows every meter; an association is held by one of them."""
    process = costs.memory["headend_mb"] * _MEGA + load.meters * costs.memory["meter_octets"]
    return {
        "headend": (processes * process + associations * costs.memory["association_octets"]) / _GIGA,
        "broker": load.brokers * costs.memory["broker_mb"] * _MEGA / _GIGA,
        "mdm": costs.memory["mdm_mb"] * _MEGA / _GIGA,
    }


def _with_notes(made: Plan, costs: Costs) -> Plan:
    """Where the plan passes what was ever reached."""
    load, limits, notes = made.load, costs.limits, []
    if made.mdm_h > load.window_h:
        notes.append(
            f"the MDM side is one process: it is done with a day after {made.mdm_h:.1f} h"
            + ("" if made.mdm_h <= 24 else ", so this fleet needs several installations")  # noqa: PLR2004 - a day
        )
    if load.sessions_per_s > limits["leases_per_s"]:
        notes.append(f"more meters a second than were ever leased from one database ({limits['leases_per_s']:,.0f})")
    return Plan(**{name: getattr(made, name) for name in Plan.__slots__ if name != "notes"}, notes=tuple(notes))


def _warning(values: float, costs: Costs) -> str:
    """Empty for as many values as sessions were measured with."""
    least, most = costs.values
    if least <= values <= most:
        return ""
    note = f"{values:,.0f} values of a meter a day lie outside what was measured ({least:,.0f} to {most:,.0f})"
    flat = ", ".join(name for name, cost in costs.session.items() if not cost.per_kilovalue)
    if values > most and flat:
        return f"{note}: these costs do not grow with the values, and are too small: {flat}, and what is made of them"
    return f"{note}: the figures are drawn on from there"


# ------------------------------------------------------------------ data
def packaged_costs() -> Costs:
    """Those that come with Amity."""
    return parse_costs((files("amity.usecases") / _COSTS).read_text(encoding="utf-8"))


def parse_costs(text: str) -> Costs:
    """Costs as TOML; raise ConfigurationError when something is missing or no number."""
    try:
        document = parse_toml(text)
        costs = Costs(
            measured_on=str(document["measured_on"]),
            machine=str(document["machine"]),
            how=str(document["how"]),
            session={name: Linear(**_numbers(cost)) for name, cost in document["session"].items()},
            push=_numbers(document.get("push", {})),
            memory=_numbers(document["memory"]),
            limits=_numbers(document["limits"]),
            values=_ends(*document["values_measured"]),
        )
        plan(Load(1, pushes_per_day=1 if costs.push else 0), costs)  # everything that a plan looks up is there
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            "the measured costs cannot be used", answer=str(error), next_step="measure: python -m benchmarks.capacity"
        ) from error
    return costs


def _ends(least: Any, most: Any) -> tuple[float, float]:
    return float(least), float(most)


def _numbers(table: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in table.items()}
