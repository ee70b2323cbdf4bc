"""The lines that meters hold open to this node, by meter, and the way over them for whoever reads the meters."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from amity.domain.collection import Delivery, Outcome
from amity.headend.ports import Channel, Connector, Endpoint, NoWayHereError
from amity.headend.routes import Route
from amity.kernel.errors import TransportError

_FOUND_OUT: Final = frozenset({Outcome.REJECTED, Outcome.WRONG_KEY, Outcome.BROKEN, Outcome.SILENT})


class NotCalledInError(NoWayHereError):
    """The meter opens the connection, and has none open with this node."""

    def __init__(self, where: str) -> None:
        super().__init__(
            "Meter Has Not Called In",
            tried=where,
            answer="no connection of it is open here",
            next_step="nothing if it calls now and then: what waits is done when it calls; else look whether it is"
            " among the parked callers (amity pushes parked), then check its modem and where it is told to call",
        )


class CalledLine(Protocol):
    """A connection that somebody opened."""

    @property
    def ended(self) -> bool:
        """True when it is gone."""
        ...

    async def open(self, route: Route, client: int, server: int, timeout_s: float) -> Channel:
        """Borrow the line; raise TransportError when it is lent already or has ended."""
        ...

    def hang_up(self) -> None:
        """Cut it."""
        ...


class _Claim(NamedTuple):
    line: CalledLine
    proven: bool


class CalledLines:
    """Who is on the line. `on_line` is told of a meter that was not before.

    Whoever says a meter's name could be anybody. So a line on which the meter proved itself (by a push under its key,
    or by a session) is not given up for one on which somebody merely named it: that one waits its turn, and is cut off
    when reading over it fails.
    """

    def __init__(self, on_line: Callable[[str], None] = lambda _meter_id: None) -> None:
        self.on_line = on_line
        self._claims: dict[str, list[_Claim]] = {}
        self._meter_of: dict[CalledLine, str] = {}
        self._only_named: set[str] = set()

    def __len__(self) -> int:
        """How many meters are on the line."""
        return len(self._claims)

    @property
    def meters(self) -> dict[str, bool]:
        """Those on the line, and whether they proved themselves."""
        return {meter_id: claims[0].proven for meter_id, claims in self._claims.items()}

    def claim(self, line: CalledLine, meter_id: str, *, proven: bool) -> None:
        """This line is that meter's, as somebody on it said or `proven`; it is one meter's for as long as it stands."""
        if line.ended or self._meter_of.setdefault(line, meter_id) != meter_id:
            return
        was_here = meter_id in self._claims
        claims = self._claims.setdefault(meter_id, [])
        proven = proven or any(one.proven for one in claims if one.line is line)
        others = [one for one in claims if one.line is not line]
        claims[:] = sorted([_Claim(line, proven), *others], key=lambda one: not one.proven)
        for replaced in self._replaced(claims):
            replaced.line.hang_up()
        if not was_here:
            self.on_line(meter_id)

    def gone(self, line: CalledLine) -> None:
        """The line has ended."""
        meter_id = self._meter_of.pop(line, None)
        if meter_id is None:
            return
        claims = [one for one in self._claims[meter_id] if one.line is not line]
        if claims:
            self._claims[meter_id] = claims
        else:
            del self._claims[meter_id]

    def is_proven(self, line: CalledLine) -> bool:
        """Whether the meter whose line this is proved itself on it."""
        claims = self._claims.get(self._meter_of.get(line, ""), ())
        return any(one.proven for one in claims if one.line is line)

    def line_of(self, meter_id: str) -> CalledLine | None:
        """The line to read this meter over, None when it has not called."""
        claims = self._claims.get(meter_id)
        return claims[0].line if claims else None

    def line_for_session(self, meter_id: str) -> CalledLine | None:
        """The same; `only_named` then speaks of this session, also when the line has ended since."""
        self._only_named.discard(meter_id)
        claims = self._claims.get(meter_id)
        if not claims:
            return None
        if not claims[0].proven:
            self._only_named.add(meter_id)
        return claims[0].line

    def only_named(self, meter_id: str) -> bool:
        """Whether all that whoever was spoken with last did, to be taken for this meter, was to say its name."""
        return meter_id in self._only_named

    def told(self, delivery: Delivery) -> None:
        """How reading a meter went: it proved itself, or whoever named it is cut off."""
        if delivery.outcome.answered:
            self._only_named.discard(delivery.meter_id)
        claims = self._claims.get(delivery.meter_id)
        if not claims:
            return
        if delivery.outcome.answered:
            self.claim(claims[0].line, delivery.meter_id, proven=True)
        elif delivery.outcome in _FOUND_OUT and not claims[0].proven:
            claims[0].line.hang_up()

    @staticmethod
    def _replaced(claims: list[_Claim]) -> list[_Claim]:
        """The newest of those that are proven stands, and the newest of the others behind it."""
        proven = [one for one in claims if one.proven]
        others = [one for one in claims if not one.proven]
        return [*proven[1:], *others[1:]]


class CalledInConnector:
    """Implements `headend.ports.Connector`: over the line that the meter opened to us, else another way."""

    def __init__(self, lines: CalledLines, otherwise: Connector) -> None:
        self._lines = lines
        self._otherwise = otherwise

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> Channel:
        """Raise TransportError when the meter has no line open, or it is lent."""
        if not endpoint.route.calls_in or endpoint.route.collector:
            return await self._otherwise.connect(endpoint, timeout_s)
        line = self._lines.line_for_session(endpoint.meter_id)
        if line is None:
            raise NotCalledInError(str(endpoint.route))
        return await line.open(endpoint.route, endpoint.client, endpoint.server, timeout_s)

    def outcome_of(self, error: TransportError) -> Outcome:
        """That it has not called means SILENT; else as the other way says."""
        if isinstance(error, NotCalledInError):
            return Outcome.SILENT
        return self._otherwise.outcome_of(error)
