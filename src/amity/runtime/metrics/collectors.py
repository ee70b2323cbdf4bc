"""What the head-end tells Prometheus of the collectors that are connected to it: how their links do, what they hold."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from amity.headend.collectors.connected import ConnectedCollector

_COLLECTOR: Final = "collector"
_WAY: Final = "direction"


class CollectorLinks(Collector):
    """The collectors at the moment of a look; one that is gone is absent."""

    def __init__(self, connected: Callable[[], Iterable[ConnectedCollector]]) -> None:
        self._connected = connected

    def describe(self) -> Iterable[Metric]:
        """Nothing is looked at before somebody asks."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every family."""
        connected = tuple(self._connected())
        yield from _of_links(connected)
        yield from _of_reports(connected)


def _of_links(connected: Iterable[ConnectedCollector]) -> Iterable[Metric]:
    """What is measured here."""
    rtt = GaugeMetricFamily("amity_collector_rtt_seconds", "From here to the collector and back.", labels=[_COLLECTOR])
    channels = GaugeMetricFamily("amity_collector_channels", "Meters being read through it.", labels=[_COLLECTOR])
    pushes = CounterMetricFamily("amity_collector_pushes", "Pushes taken since it connected.", labels=[_COLLECTOR])
    labels = [_COLLECTOR, _WAY]
    plain = CounterMetricFamily("amity_collector_plain_bytes", "Octets of the relay before compression.", labels=labels)
    wire = CounterMetricFamily("amity_collector_wire_bytes", "The same as they cross the WAN.", labels=labels)
    for one in connected:
        name, traffic = one.presented.name, one.traffic
        if one.rtt_s is not None:
            rtt.add_metric([name], one.rtt_s)
        channels.add_metric([name], one.channels)
        pushes.add_metric([name], one.taken)
        plain.add_metric([name, "in"], traffic.plain_in)
        plain.add_metric([name, "out"], traffic.plain_out)
        wire.add_metric([name, "in"], traffic.packed_in)
        wire.add_metric([name, "out"], traffic.packed_out)
    yield from (rtt, channels, pushes, plain, wire)


def _of_reports(connected: Iterable[ConnectedCollector]) -> Iterable[Metric]:
    """What the collectors say of themselves."""
    held = GaugeMetricFamily(
        "amity_collector_held_pushes", "Pushes that wait in the collector.", labels=[_COLLECTOR, "class"]
    )
    dropped = CounterMetricFamily(
        "amity_collector_dropped_pushes", "Bulk that made room for others, ever.", labels=[_COLLECTOR]
    )
    rssi = GaugeMetricFamily("amity_collector_rssi_dbm", "Signal strength, where it is known.", labels=[_COLLECTOR])
    failing = GaugeMetricFamily(
        "amity_collector_failed_exchanges_ratio", "Share of exchanges with meters without answer.", labels=[_COLLECTOR]
    )
    for one in connected:
        name, report = one.presented.name, one.report
        held.add_metric([name, "alarm"], report.held.alarms)
        held.add_metric([name, "bulk"], report.held.bulk)
        dropped.add_metric([name], report.held.dropped)
        if report.rssi_dbm is not None:
            rssi.add_metric([name], report.rssi_dbm)
        if report.exchanges:
            failing.add_metric([name], report.failures / report.exchanges)
    yield from (held, dropped, rssi, failing)
