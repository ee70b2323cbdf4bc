"""The collectors that are connected to this node; a meter behind one is reached through it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from amity.devices.profiles import DeviceProfile, packaged_profile
from amity.domain.collection import Outcome
from amity.headend.calls.callers import proves_itself
from amity.headend.collectors.connected import ConnectedCollector, Office
from amity.headend.collectors.failures import (
    BeyondCollectorError,
    CollectorNotConnectedError,
)
from amity.headend.collectors.ports import Presented
from amity.headend.ports import Channel, Connector, Endpoint
from amity.headend.route_document import route_document
from amity.kernel.errors import ConfigurationError, TransportError
from amity.protocols.relay.peer import Peer

OnNews = Callable[[str, Presented], None]
"""Told in a word what became of a collector."""
PARKED: Final = "parked"


class Collectors:
    """All of this node, by name; of two connections with one name the newer holds."""

    def __init__(self, office: Office, on_news: OnNews = lambda _what, _who: None) -> None:
        self._office = office
        self._on_news = on_news
        self._serving: dict[str, ConnectedCollector] = {}
        self._waiting: set[ConnectedCollector] = set()

    def greet(self, peer: Peer, presented: Presented) -> ConnectedCollector:
        """Somebody called and showed a certificate; give who hears him."""
        collector = ConnectedCollector(peer, presented, self._office, self._changed)
        self._waiting.add(collector)
        return collector

    def serving(self, name: str) -> ConnectedCollector:
        """The collector of this name; raise CollectorNotConnectedError when it is not here, or not accepted."""
        found = self._serving.get(name)
        if found is None:
            raise CollectorNotConnectedError(name)
        return found

    @property
    def all(self) -> tuple[ConnectedCollector, ...]:
        """Those that serve."""
        return tuple(self._serving.values())

    async def close(self) -> None:
        """Cut every connection."""
        connected = (*self._serving.values(), *self._waiting)
        for collector in connected:
            collector.close()
        for collector in connected:
            await collector.over()

    def _changed(self, collector: ConnectedCollector) -> None:
        presented = collector.presented
        self._waiting.discard(collector)
        if collector.gone:
            if self._serving.get(presented.name) is collector:
                del self._serving[presented.name]
            self._on_news("gone" if collector.admitted else PARKED, presented)
            return
        before = self._serving.get(presented.name)
        self._serving[presented.name] = collector
        if before is not None:
            self._on_news("replaced", before.presented)
            before.close()
        self._on_news("connected", presented)


class ReachConnector:
    """Implements `headend.ports.Connector`: straight to a meter, or through the collector that its route names."""

    def __init__(
        self,
        direct: Connector,
        serving: Callable[[str], ConnectedCollector],
        profile_of: Callable[[str], DeviceProfile] = packaged_profile,
    ) -> None:
        self._direct = direct
        self._serving = serving
        self._profile_of = profile_of

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> Channel:
        """Raise TransportError when there is no connection in time."""
        name = endpoint.route.collector
        if not name:
            return await self._direct.connect(endpoint, timeout_s)
        document = route_document(replace(endpoint.route, collector="", cell=""))
        if endpoint.route.calls_in:
            self._check_can_prove_itself(endpoint)
            document["called"] = [endpoint.meter_id, endpoint.system_title.hex()]
        from_there = json.dumps(document, separators=(",", ":"))
        return await self._serving(name).open(from_there, endpoint.client, endpoint.server, timeout_s)

    def _check_can_prove_itself(self, endpoint: Endpoint) -> None:
        """No password is sent to whoever says a meter's name to a collector."""
        if not endpoint.route.host and not proves_itself(endpoint, self._profile_of):
            raise ConfigurationError(
                f"meter {endpoint.meter_id} calls a collector from anywhere, and has nothing to prove itself by",
                next_step="give the meter HLS, or add it with the only address that it calls from",
            )

    def outcome_of(self, error: TransportError) -> Outcome:
        """What the collector met; that there is no collector means SILENT."""
        match error:
            case BeyondCollectorError():
                return error.outcome
            case CollectorNotConnectedError():
                return Outcome.SILENT
            case _:
                return self._direct.outcome_of(error)
