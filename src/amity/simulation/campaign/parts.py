"""Which parts the processes of a simulated world are built of; a test puts a broken one in."""

from amity.collector.confirmations import Confirmations
from amity.collector.forwarder import Forwarder
from amity.collector.ports import Disk, PushStore
from amity.headend.collectors.ports import ForwardedPushes
from amity.headend.jobs.ports import FiringStore, JobStore
from amity.headend.jobs.worker import Worker
from amity.headend.ports import CollectionStore, Publisher, PushCounterStore
from amity.messaging.broker import JetStreamConsumer, JetStreamPublisher
from amity.storage.ot.counters import SqlCounters
from amity.storage.ot.database import OtDatabase


class Parts:
    """The real ones."""

    worker: type[Worker] = Worker
    consumer: type[JetStreamConsumer] = JetStreamConsumer

    def counters(self, database: OtDatabase) -> SqlCounters:
        """Where invocation counters come from."""
        return database.counters

    def jobs(self, database: OtDatabase) -> JobStore:
        """Where jobs are kept."""
        return database.jobs

    def firings(self, database: OtDatabase) -> FiringStore:
        """How far schedules have fired."""
        return database.firings

    def collection(self, database: OtDatabase) -> CollectionStore:
        """Progress and outbox."""
        return database.collection

    def push_counters(self, database: OtDatabase) -> PushCounterStore:
        """What was heard before."""
        return database.push_counters

    def forwarded(self, database: OtDatabase) -> ForwardedPushes:
        """What collectors forwarded before."""
        return database.forwarded_pushes

    def publisher(self, publisher: JetStreamPublisher) -> Publisher:
        """The courier's way to the broker."""
        return publisher

    def forwarder(self, store: PushStore, disk: Disk, confirmations: Confirmations) -> Forwarder:
        """A collector's way to the head-end."""
        return Forwarder(store, disk, confirmations)
