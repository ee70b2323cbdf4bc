"""What the MDM side tells Prometheus: deliveries as they are stored, how late they were, events, dead letters."""

from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from amity.domain.collection import Delivery

_LAG_BUCKETS_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0)
_INGEST_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class MdmMetrics:
    """Counts what is taken in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._deliveries = Counter(
            "amity_deliveries_stored", "Deliveries committed for the first time.", ["outcome"], registry=registry
        )
        self._again = Counter(
            "amity_deliveries_known", "Deliveries that came again and changed nothing.", registry=registry
        )
        self._events = Counter(
            "amity_events_delivered",
            "Events in deliveries stored for the first time, one told twice counted twice.",
            ["event_class", "severity"],
            registry=registry,
        )
        self._lag = Histogram(
            "amity_delivery_lag_seconds",
            "From the end of the session or push to the commit, for deliveries with events and without.",
            ["lane"],
            registry=registry,
            buckets=_LAG_BUCKETS_S,
        )
        self._ingest = Histogram(
            "amity_ingest_duration_seconds", "To store one delivery, as its share of a message, VEE included.",
            registry=registry,
            buckets=_INGEST_BUCKETS_S,
        )  # fmt: skip
        self._dead = Counter(
            "amity_dead_letters", "Messages set aside because nobody could understand them.", registry=registry
        )
        self._refused = Counter(
            "amity_deliveries_refused", "Tries to store a delivery that failed: it comes again.", registry=registry
        )

    def took(self, seconds: float, deliveries: int) -> None:
        """To store the deliveries of one message."""
        for _ in range(deliveries):
            self._ingest.observe(seconds / deliveries)

    def stored(self, delivery: Delivery, *, new: bool, now: datetime) -> None:
        """One delivery is committed, or was already."""
        if not new:
            self._again.inc()
            return
        self._deliveries.labels(delivery.outcome.value).inc()
        for event in delivery.events:
            self._events.labels(event.event_class.value, event.severity.value).inc()
        lane = "events" if delivery.events else "readings"
        self._lag.labels(lane).observe(max((now - delivery.collected_at).total_seconds(), 0.0))

    def set_aside(self) -> None:
        """One message is a dead letter now."""
        self._dead.inc()

    def refused(self) -> None:
        """The database did not take a delivery."""
        self._refused.inc()
