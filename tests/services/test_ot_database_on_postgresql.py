"""Everything that holds for the head-end's state on SQLite, on a real PostgreSQL: the same tests, another database."""

import gc
import signal
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, text

from amity.headend.ports import PushClaim
from amity.kernel.errors import ConfigurationError, StorageError
from amity.storage.ot.database import OtDatabase, open_shared_database
from amity.storage.ot.tables import metadata, push_counter
from amity.storage.postgres import open_postgres
from tests.services import postgres
from tests.unit.headend.jobs.test_scheduler import *  # noqa: F403 - every test of that module, on this database
from tests.unit.headend.jobs.test_worker import *  # noqa: F403 - as above
from tests.unit.storage_ot.test_job_log_and_measures import *  # noqa: F403 - as above
from tests.unit.storage_ot.test_job_store import *  # noqa: F403 - as above
from tests.unit.storage_ot.test_ot_collection import *  # noqa: F403 - as above
from tests.unit.storage_ot.test_ot_counters import (
    KEY,
    NEW_KEY,
    check_takers_believe_each_once,
    test_a_key_under_which_nothing_is_believed_takes_no_room,  # noqa: F401 - as above
    test_each_key_of_a_meter_begins_anew_and_none_is_heard_twice,  # noqa: F401 - as above
    test_of_many_keys_those_in_use_are_remembered,  # noqa: F401 - as above
    test_one_batch_may_come_under_two_keys,  # noqa: F401 - as above
    test_what_was_heard_before_keys_had_names_is_of_the_first_that_a_push_names,  # noqa: F401 - as above
)
from tests.unit.storage_ot.test_ot_schema import (
    check_management_comes_and_goes,
    check_overtaken_pushes_come_and_go,
    check_push_counters_by_key_come_and_go,
    check_what_was_lacking,
    check_when_they_were_asked,
    database_before_as_asked,
    database_before_lacking,
)
from tests.unit.storage_ot.test_workers_are_killed import *  # noqa: F403 - as above


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    if reason := postgres.why_missing():
        pytest.skip(reason)
    with postgres.server() as running:
        yield running


@pytest.fixture(scope="session")
def server_url(server: postgres.Server) -> str:
    return server.url


@pytest.fixture
def database(server_url: str) -> Iterator[OtDatabase]:
    """An empty database: every table is emptied, none is made anew."""
    opened = open_shared_database(server_url)
    names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
    with opened._engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
    yield opened
    opened.close()


@pytest.fixture
def where(server_url: str) -> str:
    """How a child opens the database."""
    return server_url


def test_the_migrated_database_has_the_tables_of_the_code(database: OtDatabase) -> None:
    with database._engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def new_database(server_url: str, name: str) -> str:
    """The URL of an empty database of this name."""
    engine = open_postgres(server_url)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server_url.replace("/postgres?", f"/{name}?")


def test_nodes_that_start_together_migrate_once(server_url: str) -> None:
    """Each has an empty schema to fill; they wait for each other."""
    url = new_database(server_url, "together")
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda _: open_shared_database(url), range(4)))
    for one in opened:
        one.close()


def test_what_jobs_told_before_there_was_a_column_for_it_is_still_what_they_lack(server_url: str) -> None:
    url = new_database(server_url, "before_lacking")
    database_before_lacking(open_postgres(url))
    check_what_was_lacking(open_shared_database(url))


def test_jobs_from_before_it_was_kept_were_asked_for_no_later_than_is_known(server_url: str) -> None:
    url = new_database(server_url, "before_as_asked")
    database_before_as_asked(open_postgres(url))
    check_when_they_were_asked(open_shared_database(url))


def test_a_management_association_comes_with_its_revision_and_goes_with_it(server_url: str) -> None:
    check_management_comes_and_goes(open_postgres(new_database(server_url, "before_management")))


def test_the_window_of_push_counters_comes_and_goes_as_in_sqlite(server_url: str) -> None:
    check_overtaken_pushes_come_and_go(open_postgres(new_database(server_url, "before_overtaken")))


def test_the_push_counters_of_each_key_come_and_go_as_in_sqlite(server_url: str) -> None:
    check_push_counters_by_key_come_and_go(open_postgres(new_database(server_url, "before_keys")))


def test_a_server_that_is_not_there_is_a_storage_error(tmp_path: object) -> None:
    with pytest.raises(StorageError, match="not there") as caught:
        open_shared_database(f"postgresql://amity@/postgres?host={tmp_path}")
    assert caught.value.next_step


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the driver leaves its socket behind
def test_a_server_that_goes_during_the_handshake_is_a_storage_error() -> None:
    def hang_up(listener: socket.socket) -> None:
        caller, _ = listener.accept()
        with caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no word
            caller.recv(8)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        gone = thread.submit(hang_up, listener)
        with pytest.raises(StorageError, match="not there"):
            open_postgres(f"postgresql://amity@127.0.0.1:{listener.getsockname()[1]}/amity").connect()
        gone.result()
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the driver leaves its socket behind
def test_a_database_that_is_not_there_is_told(server_url: str) -> None:
    with pytest.raises(StorageError, match="no such database"):
        open_shared_database(server_url.replace("/postgres?", "/nowhere?"))
    gc.collect()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_was_restarted_is_met_without_an_error(
    database: OtDatabase, server: postgres.Server, how: signal.Signals
) -> None:
    """The pool's old connections are gone; nobody who asks is to know."""
    with database._engine.connect(), database._engine.connect():
        pass
    server.stop(how)
    server.start()
    with database._engine.connect() as one, database._engine.connect() as another:
        assert one.scalar(text("SELECT 1")) == another.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("url", ["mysql://x/y", "not a url", "postgresql://host", "postgresql://h/d?surprise=1"])
def test_a_url_that_names_no_postgresql_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_postgres(url)
    assert url not in str(caught.value)


def test_a_batch_of_pushes_moves_its_counters_as_in_sqlite(database: OtDatabase) -> None:
    proved = partial(PushClaim, authenticated=True, heard_s=0)
    claims = [proved("M1", KEY, 5), proved("M2", KEY, 9, late=True)]
    for refused in (False, True):
        with database.push_counters.transaction():
            refusals = database.push_counters.move_all(claims)
        assert [one is not None for one in refusals] == [refused, refused]
    older = [proved("M2", KEY, 8, late=True), proved("M1", KEY, 4)]
    assert [one is None for one in database.push_counters.move_all(older)] == [True, False]


def test_takers_on_several_machines_believe_each_push_once(database: OtDatabase, server_url: str) -> None:
    check_takers_believe_each_once([database, *(open_shared_database(server_url) for _ in range(3))])


@pytest.mark.parametrize("before", [None, "", NEW_KEY.hex()])
def test_the_first_push_under_a_key_is_believed_by_one_of_two_nodes_that_take_it_at_once(
    database: OtDatabase, server_url: str, before: str | None
) -> None:
    """There is no row of that key yet; there is none of the meter, one from before keys had names, or another key's."""
    if before is not None:
        with database._engine.begin() as connection:
            connection.execute(insert(push_counter).values(meter_id="M1", key_name=before, last_counter=4))
    other, claims = open_shared_database(server_url), [PushClaim("M1", KEY, 5, authenticated=True, heard_s=0)]
    with ThreadPoolExecutor(1) as thread:
        with database.push_counters.transaction():
            assert database.push_counters.move_all(claims) == [None]
            second = thread.submit(other.push_counters.move_all, claims)
            with database._engine.connect() as watched:
                while not watched.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                    assert not second.done()
                    watched.rollback()
        (refusal,) = second.result()
    assert "heard before" in str(refusal)
    other.close()
