from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from amity.domain.events import EventClass, EventKind, MeterEvent, Severity, event_id
from amity.kernel.time import from_epoch_s
from amity.storage.it.database import MIGRATIONS, open_database
from amity.storage.it.tables import metadata
from amity.storage.migrations import upgrade
from amity.storage.sqlite import open_sqlite


def test_the_migrations_lead_to_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "a.sqlite")
    upgrade(engine, MIGRATIONS)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "a.sqlite")
    upgrade(engine, MIGRATIONS)
    before = inspect(engine).get_table_names()
    upgrade(engine, MIGRATIONS)
    assert inspect(engine).get_table_names() == before != []


def test_a_database_of_the_first_release_opens_with_what_it_knew(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "a.sqlite")
    upgrade(engine, MIGRATIONS, "0001")
    with engine.begin() as connection:
        for statement in _FIRST_RELEASE:
            connection.exec_driver_sql(statement)
    engine.dispose()
    opened = open_database(tmp_path / "a.sqlite")
    assert [state.mapping_version for state in opened.deliveries.states()] == [""]
    assert [str(thing.obis) for _, thing in opened.deliveries.unknown("M1")] == ["1.0.99.1.7.255"]
    (event,) = opened.deliveries.events("M1")
    assert event.event == MeterEvent(
        EventKind.COVER_OPENED, 44, from_epoch_s(1), event_class=EventClass.TAMPER, severity=Severity.ALARM
    )
    with opened._engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT event_id FROM meter_event").scalar_one()
    assert stored == event_id("M1", event.event)
    opened.close()


_FIRST_RELEASE = (
    """INSERT INTO delivery (message_id, meter_id, session_id, collected_at, received_at, outcome, body)
       VALUES ('a', 'M1', 's', 1, 1, 'complete', x'00')""",
    """INSERT INTO collection_state
       (meter_id, outcome, collected_at, detail, last_answer_at, attempts, failures_in_a_row)
       VALUES ('M1', 'complete', 1, '[]', 1, 1, 0)""",
    """INSERT INTO unknown_object (meter_id, class_id, obis, attribute, octets, at, evidence, message_id)
       VALUES ('M1', 3, x'0100630107FF', 2, x'1101', 1, '[]', 'a')""",
    """INSERT INTO meter_event (meter_id, at, code, kind, text, pushed, evidence, message_id)
       VALUES ('M1', 1000000, 44, 'cover-opened', '', 0, '[]', 'a')""",
)
