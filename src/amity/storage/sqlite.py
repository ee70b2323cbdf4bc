"""SQLite opened so that what is acknowledged stays: write-ahead log, synchronous=FULL, one writer that waits its turn.

Precedents: https://sqlite.org/pragma.html#pragma_synchronous (FULL: a commit survives a power cut in WAL mode too) and
https://sqlite.org/lang_transaction.html (BEGIN IMMEDIATE: take the write lock first, so that a transaction which has
read can never fail with SQLITE_BUSY in its middle).
"""

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from amity.kernel.errors import StorageError
from amity.storage.transactions import WRITES

BUSY_TIMEOUT_S = 30.0

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)
_PRIMARY_CODE = 0xFF  # the low octet of an extended result code: https://sqlite.org/rescode.html

_ANSWERS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space on that disk; nothing that was acknowledged is lost"),
    sqlite3.SQLITE_BUSY: (
        "another process kept the database locked for too long",
        "find the process that holds it (`fuser FILE`) and let it finish or stop it, then try again",
    ),
    sqlite3.SQLITE_LOCKED: ("a table is locked by another statement", "try again"),
    sqlite3.SQLITE_CORRUPT: (
        "the database file is damaged",
        "stop Amity, keep a copy of the file, then `sqlite3 FILE .recover` or restore the last backup",
    ),
    sqlite3.SQLITE_NOTADB: (
        "the file is not a SQLite database",
        "move it away: Amity makes a new one at the next start",
    ),
    sqlite3.SQLITE_READONLY: (
        "the database may only be read",
        "give this user the right to write the file and its folder",
    ),
    sqlite3.SQLITE_IOERR: ("the disk failed to read or write", "look at the system's log for that disk"),
    sqlite3.SQLITE_CANTOPEN: ("the database file cannot be opened", "check that its folder exists and may be written"),
}
_UNLISTED = ("the database refused the statement", "this is a defect of Amity: report it with the two lines above")


def open_sqlite(path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Engine:
    """Open (or create, mode 0600) the database file; every database error of this engine is a StorageError.

    Transactions that begin with the execution option `WRITES` take the write lock at once (BEGIN IMMEDIATE);
    all others read one consistent snapshot (BEGIN DEFERRED) and never wait for a writer.
    Raise StorageError when the folder or the file cannot be made.
    """
    _create_private(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": busy_timeout_s},
    )
    event.listen(engine, "connect", _apply_pragmas)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _as_storage_error)
    return engine


def _create_private(path: Path) -> None:
    """Meter readings are personal data: the file, and with it its log, is for this user only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise StorageError(
            f"no database can be kept at {path}",
            tried="create the file",
            answer=error.strerror,
            next_step="choose a folder that this user may write, with `--dir`",
        ) from error


def _apply_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")


def _as_storage_error(context: ExceptionContext) -> StorageError | None:
    """The StorageError for a DB-API error; None leaves anything else as it is."""
    original = context.original_exception
    if not isinstance(original, sqlite3.Error):
        return None
    code = getattr(original, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
    what, next_step = _ANSWERS.get(code, _UNLISTED)
    file = context.engine.url.database if context.engine is not None else None
    tried = f"{_first_words(context.statement)} (in {file or 'memory'})"
    return StorageError(what, tried=tried, answer=str(original), next_step=next_step.replace("FILE", file or "FILE"))


def _first_words(statement: str | None) -> str:
    """The head of the statement: enough to find it, without any value."""
    return " ".join((statement or "open or commit").split())[:80]
