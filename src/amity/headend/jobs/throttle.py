"""How many sessions, and how many new ones a second, may share one collector, one cell, one address range.

The pace is kept by the generic cell rate algorithm (ITU-T I.371): of each gate only the instant is stored from which
the next session keeps to the rate.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final

from amity.domain.jobs import Place

ALL: Final = "all"
_PREFIX: Final = {4: 24, 6: 48}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `sessions` at once and `per_second` new ones, of which `burst` may come together; None is no limit."""

    sessions: int | None = None
    per_second: float | None = None
    burst: int = 1


@dataclass(frozen=True, slots=True)
class ThrottleRules:
    """Limits for each kind of gate, and of single gates by name (`collector:DC7`) that replace them."""

    all: Limit = Limit()
    collector: Limit = Limit()
    cell: Limit = Limit()
    network: Limit = Limit()
    named: Mapping[str, Limit] = field(default_factory=dict, hash=False)

    def limit(self, gate: str) -> Limit:
        """The limit of a gate by its name."""
        own = self.named.get(gate)
        if own is not None:
            return own
        limit: Limit = getattr(self, gate.partition(":")[0])
        return limit

    @property
    def none(self) -> bool:
        """True when nothing is limited."""
        return not self.named and {self.all, self.collector, self.cell, self.network} == {Limit()}


def gates_of(place: Place) -> Iterator[str]:
    """The gates that a session with a meter at this place goes through."""
    yield ALL
    yield from (f"{kind}:{name}" for kind, name in place._asdict().items() if name)


def network_of(host: str) -> str:
    """The address range of a host, /24 or /48; empty for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return ""
    return str(ip_network((address, _PREFIX[address.version]), strict=False))


class Gates:
    """Lets sessions through one by one as the rules allow at this instant.

    `sessions` is how many are open by gate, `paced` the instants from which the next session keeps to a gate's rate;
    both grow with what is admitted.
    """

    def __init__(
        self, rules: ThrottleRules, sessions: Mapping[str, int], paced: Mapping[str, datetime], now: datetime
    ) -> None:
        self._rules = rules
        self._now = now
        self.sessions = dict(sessions)
        self.paced = dict(paced)

    def admits(self, place: Place) -> bool:
        """True, and the session counts at every gate of the place, when all of them let it through."""
        gates = list(gates_of(place))
        if any(self.is_shut(gate) for gate in gates):
            return False
        for gate in gates:
            self._enter(gate)
        return True

    def is_shut(self, gate: str) -> bool:
        """True when the gate lets nobody through at this instant."""
        limit = self._rules.limit(gate)
        if limit.sessions is not None and self.sessions.get(gate, 0) >= limit.sessions:
            return True
        if limit.per_second is None:
            return False
        tolerance = (limit.burst - 1) * _pause(limit.per_second)
        return self.paced.get(gate, self._now) - tolerance > self._now

    def _enter(self, gate: str) -> None:
        limit = self._rules.limit(gate)
        self.sessions[gate] = self.sessions.get(gate, 0) + 1
        if limit.per_second is not None:
            self.paced[gate] = max(self.paced.get(gate, self._now), self._now) + _pause(limit.per_second)


def _pause(per_second: float) -> timedelta:
    return timedelta(seconds=1 / per_second)
