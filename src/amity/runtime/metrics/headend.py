"""What the head-end tells Prometheus: sessions as they end, and at each look what waits and what is open."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from amity.domain.collection import Delivery, Outcome
from amity.domain.jobs import Priority
from amity.headend.jobs.sessions import OnSession
from amity.headend.jobs.worker import Done
from amity.headend.urgency import Urgency
from amity.kernel.errors import AmityError
from amity.kernel.time import Clock
from amity.storage.ot.measures import SqlMeasures

_SESSION_BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 180.0)


class PushCounts(Protocol):
    """What a push listener has counted since it started."""

    taken: int

    @property
    def parked(self) -> Mapping[str, int]:
        """Pushes that were not believed, by reason."""
        ...


class SessionMetrics:
    """Counts sessions and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sessions = Counter("amity_sessions", "Sessions with meters that ended.", ["outcome"], registry=registry)
        self._duration = Histogram(
            "amity_session_duration_seconds",
            "From connect to close.",
            registry=registry,
            buckets=_SESSION_BUCKETS_S,
        )
        self._not_kept = Counter(
            "amity_sessions_not_kept", "Sessions whose delivery the disk did not take.", registry=registry
        )
        for outcome in Outcome:
            if outcome is not Outcome.PUSHED:
                self._sessions.labels(outcome.value)

    def counting(self, tell: OnSession) -> OnSession:
        """The same, with each session counted first."""

        def count_and_tell(delivery: Delivery) -> None:
            self._sessions.labels(delivery.outcome.value).inc()
            self._duration.observe(delivery.duration_ms / 1000)
            tell(delivery)

        return count_and_tell

    def given_back(self, done: Done) -> None:
        """Count what could not be kept."""
        if done.not_kept is not None:
            self._not_kept.inc()


class HeadendState(Collector):
    """What stands at the moment of a look: queues and leases in the database, sessions and pushes in this process."""

    def __init__(
        self,
        measures: SqlMeasures,
        clock: Clock,
        *,
        open_sessions: Callable[[], int],
        pushes: PushCounts,
        turned_away: Callable[[], int],
    ) -> None:
        self._measures = measures
        self._clock = clock
        self._open_sessions = open_sessions
        self._pushes = pushes
        self._turned_away = turned_away

    def describe(self) -> Iterable[Metric]:
        """Nothing is looked at before somebody asks."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every family; those of the database are absent while it cannot be read."""
        yield GaugeMetricFamily("amity_sessions_open", "Sessions that are open.", value=self._open_sessions())
        yield from self._of_pushes()
        try:
            stored = [*self._of_outbox(self._clock.now()), *self._of_jobs(self._clock.now())]
        except AmityError:
            stored = []
        readable = GaugeMetricFamily("amity_database_readable", "1 while the OT database can be read.")
        readable.add_metric([], int(bool(stored)))
        yield readable
        yield from stored

    def _of_pushes(self) -> Iterable[Metric]:
        pushes = self._pushes
        yield CounterMetricFamily("amity_pushes_accepted", "Pushes that became deliveries.", value=pushes.taken)
        parked = CounterMetricFamily("amity_pushes_parked", "Pushes that were not believed.", labels=["reason"])
        for reason, count in sorted(pushes.parked.items()):
            parked.add_metric([reason], count)
        yield parked
        turned_away = "Connections of callers that were closed before an octet was read."
        yield CounterMetricFamily("amity_callers_turned_away", turned_away, value=self._turned_away())

    def _of_outbox(self, now: datetime) -> Iterable[Metric]:
        lanes = {lane.urgency: lane for lane in self._measures.outbox()}
        waiting = GaugeMetricFamily(
            "amity_outbox_deliveries", "Deliveries that the broker does not have yet.", labels=["lane"]
        )
        age = GaugeMetricFamily(
            "amity_outbox_oldest_age_seconds", "Since the oldest of them was collected; 0 for none.", labels=["lane"]
        )
        for urgency in Urgency:
            lane = lanes.get(urgency)
            waiting.add_metric([urgency.name.lower()], lane.waiting if lane else 0)
            age.add_metric([urgency.name.lower()], max((now - lane.oldest).total_seconds(), 0.0) if lane else 0.0)
        yield from (waiting, age)

    def _of_jobs(self, now: datetime) -> Iterable[Metric]:
        queues = {queue.priority: queue for queue in self._measures.job_queues(now)}
        waiting = GaugeMetricFamily("amity_jobs_waiting", "Jobs that wait, also for their time.", labels=["priority"])
        due = GaugeMetricFamily("amity_jobs_due", "Jobs that might begin.", labels=["priority"])
        told = "Jobs that might begin if their meters did not rest until midnight."
        resting = GaugeMetricFamily("amity_jobs_resting", told, labels=["priority"])
        for priority in Priority:
            queue = queues.get(priority)
            name = priority.name.lower().replace("_", "-")
            waiting.add_metric([name], queue.waiting if queue else 0)
            due.add_metric([name], queue.due if queue else 0)
            resting.add_metric([name], queue.resting if queue else 0)
        yield from (waiting, due, resting)
        yield from self._of_leases(now)
        dead = self._measures.dead_letters()
        yield GaugeMetricFamily("amity_jobs_dead", "Jobs given up: a person has to look.", value=dead)

    def _of_leases(self, now: datetime) -> Iterable[Metric]:
        leases = self._measures.leases()
        yield GaugeMetricFamily("amity_leases", "Meters held by workers of the cluster.", value=leases.held)
        for name, told, since in (
            ("amity_lease_oldest_age_seconds", "Since the oldest session began that has not ended.", leases.oldest),
            ("amity_lease_overdue_seconds", "Since the first lease ran out that nobody took over.", leases.first_end),
        ):
            age_s = 0.0 if since is None else max((now - since).total_seconds(), 0.0)
            yield GaugeMetricFamily(name, f"{told[:-1]}; 0 for none.", value=age_s)
