import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from amity.kernel.errors import StorageError
from amity.storage.sqlite import open_sqlite
from amity.storage.transactions import Transactions


@pytest.fixture
def transactions(tmp_path: Path) -> Transactions:
    opened = Transactions(open_sqlite(tmp_path / "zone" / "a.sqlite", busy_timeout_s=0.05))
    with opened.write() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER PRIMARY KEY)"))
    return opened


def rows(transactions: Transactions) -> list[int]:
    with transactions.read() as connection:
        return list(connection.execute(text("SELECT x FROM t ORDER BY x")).scalars())


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 50)]
)
def test_a_connection_is_safe_for_acknowledged_data(transactions: Transactions, pragma: str, value: object) -> None:
    with transactions.read() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar_one() == value


def test_file_and_log_are_for_their_owner_only(tmp_path: Path, transactions: Transactions) -> None:
    assert rows(transactions) == []
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "zone").iterdir()}
    assert set(modes) >= {"a.sqlite", "a.sqlite-wal"}
    assert set(modes.values()) == {0o600}


def test_an_exception_rolls_the_whole_transaction_back(transactions: Transactions) -> None:
    def fail_half_way() -> None:
        with transactions.write() as connection:
            connection.execute(text("INSERT INTO t VALUES (1)"))
            raise KeyError("on the way")

    with pytest.raises(KeyError):
        fail_half_way()
    assert rows(transactions) == []


def test_a_write_inside_a_write_joins_it_and_reads_see_it(transactions: Transactions) -> None:
    def fail_after_the_inner_one() -> None:
        with transactions.write() as outer:
            with transactions.write() as inner:
                assert inner is outer
                inner.execute(text("INSERT INTO t VALUES (1)"))
            assert rows(transactions) == [1]
            raise KeyError("after the inner one ended")

    with pytest.raises(KeyError):
        fail_after_the_inner_one()
    assert rows(transactions) == []


def test_a_reader_does_not_wait_for_a_writer(transactions: Transactions, tmp_path: Path) -> None:
    other = Transactions(open_sqlite(tmp_path / "zone" / "a.sqlite", busy_timeout_s=0.05))
    with transactions.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        assert rows(other) == []
    assert rows(other) == [1]


def test_a_second_writer_is_told_who_is_in_the_way(transactions: Transactions, tmp_path: Path) -> None:
    other = Transactions(open_sqlite(tmp_path / "zone" / "a.sqlite", busy_timeout_s=0.05))
    with transactions.write(), pytest.raises(StorageError, match="locked") as raised, other.write():
        pytest.fail("two writers at once")
    assert "BEGIN IMMEDIATE" in str(raised.value.tried)
    assert "fuser" in str(raised.value.next_step)


def test_a_full_disk_says_so_and_keeps_what_was_there(transactions: Transactions) -> None:
    with transactions.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        connection.execute(text("CREATE TABLE big (b BLOB)"))
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()

    def write_too_much() -> None:
        with transactions.write() as connection:
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
            connection.execute(text("INSERT INTO t VALUES (2)"))
            connection.execute(text("INSERT INTO big VALUES (zeroblob(100000))"))

    with pytest.raises(StorageError, match="disk is full") as raised:
        write_too_much()
    assert "free some space" in str(raised.value.next_step)
    assert rows(transactions) == [1]


def test_a_damaged_file_says_so(tmp_path: Path, transactions: Transactions) -> None:
    with transactions.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (:x)"), [{"x": x} for x in range(3000)])
    path = tmp_path / "damaged.sqlite"
    source = sqlite3.connect(tmp_path / "zone" / "a.sqlite")
    source.execute("VACUUM INTO ?", (str(path),))
    source.close()
    octets = bytearray(path.read_bytes())
    octets[4096 : 4096 * 3] = b"\xff" * 8192
    path.write_bytes(octets)
    with pytest.raises(StorageError, match="damaged") as raised:
        rows(Transactions(open_sqlite(path)))
    assert "backup" in str(raised.value.next_step)
    assert str(path) in str(raised.value.tried)
    assert f"sqlite3 {path} .recover" in str(raised.value.next_step)


def test_another_kind_of_file_is_not_taken_for_a_database(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear database, " * 1000)
    with (
        pytest.raises(StorageError, match="not a SQLite database") as raised,
        open_sqlite(tmp_path / "letter").connect(),
    ):
        pytest.fail("opened")
    assert str(tmp_path / "letter") in str(raised.value.tried)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/a\.sqlite") as raised:
        open_sqlite(tmp_path / "file" / "a.sqlite")
    assert raised.value.answer
    assert "--dir" in str(raised.value.next_step)


def test_errors_name_the_statement_without_its_values(transactions: Transactions) -> None:
    with pytest.raises(StorageError) as raised, transactions.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (:x), (:x)"), {"x": 4711})
    assert "INSERT INTO t" in str(raised.value.tried)
    assert "4711" not in "".join(raised.value.lines())
