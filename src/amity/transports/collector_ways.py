"""The ways from a collector to the meters around it: only where its own rules let it go, one at a time on a line."""

import asyncio
import json
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from amity.collector.ports import Channel
from amity.domain.collection import Outcome
from amity.headend.calls.lines import NotCalledInError
from amity.headend.fields import Fields
from amity.headend.route_document import read_route
from amity.headend.routes import Route, SerialLine
from amity.kernel.errors import (
    AmityError,
    ConfigurationError,
    LocalProtocolError,
    RemoteProtocolError,
    TransportError,
)
from amity.protocols.relay.messages import FailureKind
from amity.transports.channel import MeterChannel
from amity.transports.collector_calls import CallersHere
from amity.transports.failures import SerialPortError
from amity.transports.meter_connector import MeterConnector, open_channel

_KINDS: Final = {
    Outcome.REFUSED: FailureKind.REFUSED,
    Outcome.SILENT: FailureKind.SILENT,
}


class _Way(NamedTuple):
    """A route, and the names under which its meter may have called if that is the way."""

    route: Route
    called: tuple[str, ...]


class CollectorWays:
    """Implements `collector.ports.Ways`. Hosts are addresses that `allows`, or names that are listed; so are devices.

    Meters that opened a connection themselves are among the `callers`, who came from where they may.

    A host name is not looked up before it is allowed: who resolves it could send us anywhere.
    """

    def __init__(
        self,
        allows: Callable[[str], bool],
        names: Collection[str],
        devices: Collection[str],
        callers: CallersHere | None = None,
    ) -> None:
        self._allows = allows
        self._callers = callers or CallersHere()
        self._names = frozenset(names)
        self._devices = frozenset(devices)
        self._lines: dict[str, asyncio.Lock] = {}

    def address(self, route: str) -> str:
        """What a route leads to; raise ConfigurationError for one that is none or not allowed."""
        way = self._way(route)
        return f"{way.called[0]}, called in" if way.called else str(way.route)

    async def open(self, route: str, client: int, server: int, timeout_s: float) -> Channel:
        """Open it; raise as `open_channel` does, SerialPortError when another session holds the line all that time."""
        document = self._way(route)
        way = document.route
        if way.calls_in:
            call = await self._callers.find(document.called, way.host)
            if call is None:
                raise NotCalledInError(str(way))
            return await call.open(way, client, server, timeout_s)
        if not way.shared_line:
            return await open_channel(way, client, server, timeout_s)
        line = self._lines.setdefault(way.shared_line, asyncio.Lock())
        try:
            async with asyncio.timeout(timeout_s):
                await line.acquire()
        except TimeoutError as error:
            raise SerialPortError(way.shared_line, "another meter on it is being read") from error
        try:
            return _OnLine(await open_channel(way, client, server, timeout_s), line)
        except BaseException:
            line.release()
            raise

    def kind_of(self, error: AmityError) -> FailureKind:
        """What the head-end is told of a failure."""
        match error:
            case NotCalledInError():
                return FailureKind.SILENT
            case TransportError():
                return _KINDS.get(MeterConnector().outcome_of(error), FailureKind.BROKEN)
            case RemoteProtocolError():
                return FailureKind.GARBLED
            case LocalProtocolError():
                return FailureKind.IMPOSSIBLE
            case _:
                return FailureKind.NOT_ALLOWED

    def _way(self, document: str) -> _Way:
        try:
            written = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError("a route is no JSON") from error
        route = read_route(Fields("the route", written))
        if route.collector or not self._may_go(route):
            raise ConfigurationError(
                "Not Allowed by the Collector",
                tried=f"a way to {route}",
                answer="outside the networks, names and devices that it may reach",
                next_step="correct the meter's address, or [collector] meters and devices at the collector",
            )
        return _Way(route, _names(written.get("called")) if route.calls_in else ())

    def _may_go(self, route: Route) -> bool:
        at = route.link.at
        if isinstance(at, SerialLine):
            return at.device in self._devices
        return route.calls_in or route.host in self._names or self._allows(route.host)


def _names(written: object) -> tuple[str, ...]:
    names = written if isinstance(written, list) else []
    return tuple(name for name in names if isinstance(name, str) and name)


class _OnLine(MeterChannel):
    """A channel on a line that others wait for."""

    __slots__ = ("_inner", "_line")

    def __init__(self, inner: MeterChannel, line: asyncio.Lock) -> None:
        super().__init__()
        self.unsolicited = inner.unsolicited
        self._inner = inner
        self._line: asyncio.Lock | None = line

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """As the channel on the line does."""
        return await self._inner.exchange(apdu, timeout_s)

    async def close(self) -> None:
        """Close it and let the next one have the line."""
        try:
            await self._inner.close()
        finally:
            if self._line is not None:
                self._line.release()
                self._line = None
