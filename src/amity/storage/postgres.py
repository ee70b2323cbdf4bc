"""PostgreSQL opened for several nodes: durable commits, and every error of the server as a StorageError.

The driver is pg8000 (BSD-3-Clause). Precedent for the limits: https://www.postgresql.org/docs/current/runtime-config-client.html
"""

import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pg8000.exceptions import DatabaseError, InterfaceError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from amity.kernel.errors import ConfigurationError, StorageError

LOCK_TIMEOUT_S: Final = 30
CONNECT_TIMEOUT_S: Final = 10
_MIGRATION_LOCK: Final = 0x414D4947
_DRIVER: Final = "postgresql+pg8000"
_POOL: Final = 5

_ANSWERS: Final = {
    "53100": (
        "the disk of the database server is full",
        "free some space there; nothing that was acknowledged is lost",
    ),
    "53300": ("the database server has no connection left", "raise max_connections, or run fewer nodes"),
    "55P03": ("another transaction kept a row locked for too long", "look for it in pg_stat_activity, then try again"),
    "40P01": ("two transactions waited for each other", "try again"),
    "28P01": ("the database server does not believe our password", "correct the password of the database's URL"),
    "28000": ("the database server does not let this user in", "look at pg_hba.conf of the server"),
    "3D000": ("there is no such database on the server", "make it with `createdb`, owned by the user of the URL"),
    "42501": ("this user may not do that in the database", "make the user of the URL owner of the database"),
    **dict.fromkeys(("57P01", "57P02", "57P03"), ("the database server stops or starts", "wait until it is up")),
    "25006": ("the database may only be read", "point the URL at the primary server, not at a replica"),
}
_LOST: Final = ("the database server is not there", "start it, or correct host and port of the database's URL")
_UNLISTED: Final = (
    "the database refused the statement",
    "this is a defect of Amity: report it with the two lines above",
)


def open_postgres(url: str, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Engine:
    """An engine for `postgresql://user:password@host:port/name`, `?host=/folder` for a unix socket.

    `?sslmode=require` asks for TLS with a certificate that the system trusts. Raise ConfigurationError for any other
    URL. Nothing is connected yet.
    """
    parsed = _parsed(url)
    options = dict(parsed.query)
    arguments: dict[str, Any] = {"timeout": CONNECT_TIMEOUT_S, "application_name": "amity"}
    if socket_folder := options.pop("host", ""):
        arguments["unix_sock"] = f"{socket_folder}/.s.PGSQL.{parsed.port or 5432}"
    if options.pop("sslmode", "") == "require":
        arguments["ssl_context"] = ssl.create_default_context()
    if options:
        raise _no_url(f"it has the unknown option {next(iter(options))!r}")
    engine = create_engine(
        parsed.set(drivername=_DRIVER, query={}), connect_args=arguments, pool_size=_POOL, pool_pre_ping=True
    )

    def set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {int(lock_timeout_s * 1000)}")
        cursor.execute("SET synchronous_commit = on")
        connection.commit()
        cursor.close()

    ping = engine.dialect.do_ping

    def do_ping(connection: DBAPIConnection) -> bool:
        with _as_the_driver_s():
            return ping(connection)

    setattr(engine.dialect, "do_ping", do_ping)  # noqa: B010 - the pool takes only the driver's errors for a lost link
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "connect", set_up)
    event.listen(engine, "handle_error", _as_storage_error)
    return engine


def _connect(
    dialect: Dialect, _entry: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]
) -> DBAPIConnection:
    with _as_the_driver_s():
        return dialect.connect(*arguments, **options)


@contextmanager
def _as_the_driver_s() -> Iterator[None]:
    """A server that goes meanwhile breaks the driver's handshake and its pings with errors that are not its own."""
    try:
        yield
    except (OSError, struct.error, UnicodeDecodeError) as error:
        raise InterfaceError(str(error) or "the connection broke") from error


@contextmanager
def one_at_a_time(engine: Engine) -> Iterator[None]:
    """Nodes that start together go through here one after the other (a session's advisory lock)."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        try:
            yield
        finally:
            _unlock(connection)


def _unlock(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _MIGRATION_LOCK})
    connection.commit()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _no_url("it is not written like one") from None
    if parsed.drivername not in {"postgresql", _DRIVER} or not parsed.database:
        raise _no_url("it names no PostgreSQL database")
    return parsed


def _no_url(why: str) -> ConfigurationError:
    """Without the URL itself: it may hold a password."""
    return ConfigurationError(
        f"the head-end's database has no usable URL: {why}", next_step="write postgresql://user@host:5432/name"
    )


def _fields(error: BaseException) -> dict[str, str]:
    """What the server said; a driver that stumbles over the end of the connection has it in an error further back."""
    behind: BaseException | None = error
    while behind is not None:
        for one in behind.args:
            if isinstance(one, dict):
                return one
        behind = behind.__context__
    return {}


def _as_storage_error(context: ExceptionContext) -> StorageError | None:
    """The StorageError for an error of driver or network; None leaves anything else as it is."""
    original = context.original_exception
    if context.is_pre_ping:
        context.is_disconnect = True  # whatever it says, the pool connects anew
        return None
    if not isinstance(original, DatabaseError | InterfaceError | OSError):
        return None
    fields = _fields(original)
    what, next_step = _ANSWERS.get(fields.get("C", ""), _UNLISTED) if fields else _LOST
    statement = " ".join((context.statement or "open or commit").split())[:80]
    return StorageError(what, tried=statement, answer=fields.get("M", str(original)), next_step=next_step)
