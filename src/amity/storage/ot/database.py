"""The OT zone's database, opened and brought up to date."""

from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from amity.storage.migrations import upgrade
from amity.storage.ot.called_in import SqlCalledIn
from amity.storage.ot.collection import SqlCollection
from amity.storage.ot.collectors import SqlCollectorBook, SqlForwardedPushes
from amity.storage.ot.counters import SqlCounters, SqlPushCounters
from amity.storage.ot.endpoints import SqlEndpoints
from amity.storage.ot.firings import SqlFirings
from amity.storage.ot.fleet_pages import SqlFleetPages
from amity.storage.ot.identity import SqlIdentity
from amity.storage.ot.job_book import SqlJobBook
from amity.storage.ot.job_log import SqlJobLog
from amity.storage.ot.jobs import SqlJobs
from amity.storage.ot.kept_deliveries import SqlKeptDeliveries
from amity.storage.ot.measures import SqlMeasures
from amity.storage.ot.meter_states import SqlMeterStates
from amity.storage.postgres import one_at_a_time, open_postgres
from amity.storage.sqlite import open_sqlite
from amity.storage.transactions import Transactions

MIGRATIONS: Final = "amity.storage.ot:migrations"


class OtDatabase:
    """All stores of the OT zone on one engine; safe to share between threads and asyncio tasks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        transactions = Transactions(engine)
        self.afterwards = transactions.afterwards
        self.endpoints = SqlEndpoints(transactions)
        self.identity = SqlIdentity(transactions)
        self.counters = SqlCounters(transactions)
        self.push_counters = SqlPushCounters(transactions)
        self.collection = SqlCollection(transactions)
        self.jobs = SqlJobs(transactions)
        self.job_book = SqlJobBook(transactions)
        self.job_log = SqlJobLog(transactions)
        self.called_in = SqlCalledIn(transactions)
        self.firings = SqlFirings(transactions)
        self.fleet_pages = SqlFleetPages(transactions)
        self.meter_states = SqlMeterStates(transactions)
        self.measures = SqlMeasures(transactions)
        self.kept_deliveries = SqlKeptDeliveries(transactions)
        self.collectors = SqlCollectorBook(transactions)
        self.forwarded_pushes = SqlForwardedPushes(transactions)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def open_database(path: Path) -> OtDatabase:
    """Open or create `ot.sqlite` and migrate it; raise StorageError when the disk or the file does not allow it."""
    engine = open_sqlite(path)
    upgrade(engine, MIGRATIONS)
    return OtDatabase(engine)


def open_shared_database(url: str) -> OtDatabase:
    """The same on PostgreSQL, for several nodes; raise StorageError when the server does not take us.

    Raise ConfigurationError for a URL that names no such server.
    """
    engine = open_postgres(url)
    with one_at_a_time(engine):
        upgrade(engine, MIGRATIONS)
    return OtDatabase(engine)
