"""The head-end's system title, chosen so that no nonce is ever used twice, whatever is deleted or restored.

Title and invocation counter make the nonce of AES-GCM (Green Book 9.2.3.3.7.3), so the title stands in the database of
the counters: a new database has a new title. An older copy of the database that is put back cannot be told from within,
so each start and each clean stop writes a random mark both there and into a file of the node's own, and a head-end that
runs renews it all the time. Where they differ, title and counters may not belong together: at a start a new title is
chosen, and a head-end that runs ends, to be started again. Nodes that share a database share its title, for they share
its counters; each has a mark. (What this does not see: a copy that is younger than the last mark; one that is put back
together with the file; one that is put back where only new nodes start.)
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from amity.devices.settings import SYSTEM_TITLE_OCTETS
from amity.kernel.errors import ConfigurationError, StorageError
from amity.runtime.system import random_octets
from amity.security.private_files import read_private, write_private
from amity.storage.ot.database import OtDatabase

_MAKER: Final = b"AMI"
_MARK_OCTETS: Final = 16
_MARK_FILE: Final = "last-start"
_LOCK_FILE: Final = "last-start.lock"
_OLD_TITLE_FILE: Final = "system-title"


class ExchangedError(StorageError):
    """The database is not the one that this process opened."""


class Claimed(NamedTuple):
    """The title of this start; `because` is why it is a new one, None for the one of the last start."""

    title: bytes
    because: str | None = None


def claim_title(database: OtDatabase, folder: Path, *, shared: bool = False) -> Claimed:
    """The title to use from now on, durably; `folder` is where this node keeps its files.

    `shared` says that several nodes use the database: one that has no mark yet is new, and joins them.
    Raise ConfigurationError when what is kept of it is damaged, StorageError when the disk does not take it.
    """
    claimed = _claimed(database, folder, shared=shared)
    if len(claimed.title) != SYSTEM_TITLE_OCTETS:
        raise ConfigurationError(
            f"the head-end's system title in the database has {len(claimed.title)} octets",
            next_step=f"remove {folder / _MARK_FILE}: a new title is chosen at the next start",
        )
    with _alone(folder):
        mark = _random_mark()
        database.identity.mark(mark, _mark(folder / _MARK_FILE))
        write_private(folder / _MARK_FILE, mark)
    (folder / _OLD_TITLE_FILE).unlink(missing_ok=True)
    return claimed


def leave_mark(database: OtDatabase, folder: Path) -> None:
    """Write a new mark to both places. Killed in between, they differ, which is the safe side.

    Raise StorageError, and write nothing, where the database does not have the last one, or the disk does not take it.
    """
    mark, file = _random_mark(), folder / _MARK_FILE
    with _alone(folder):
        if not database.identity.renew(mark, _mark(file), lambda: write_private(file, mark)):
            raise ExchangedError(
                "the head-end's database was exchanged under it: counters that were used may be given out again",
                next_step="start the head-end again: it chooses a new system title, under which nothing was used",
            )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process of this node at a time: `amity demo --once` and its like write marks too."""
    try:
        lock = os.open(folder / _LOCK_FILE, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(f"cannot write {folder / _LOCK_FILE}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _random_mark() -> str:
    return random_octets(_MARK_OCTETS).hex()


def _claimed(database: OtDatabase, folder: Path, *, shared: bool) -> Claimed:
    kept, mark = database.identity.load(), _mark(folder / _MARK_FILE)
    if kept is None:
        return _first_title(database, folder / _OLD_TITLE_FILE)
    if mark in kept.start_marks or (shared and mark is None):
        return Claimed(kept.system_title)
    title = _new_title()
    database.identity.change(title)
    return Claimed(title, "the database is not the one of the last start")


def _first_title(database: OtDatabase, old: Path) -> Claimed:
    if database.identity.counters_were_used() and old.exists():
        return Claimed(database.identity.begin(_old_title(old)))
    return Claimed(database.identity.begin(_new_title()), "this database has none yet")


def _new_title() -> bytes:
    return _MAKER + random_octets(SYSTEM_TITLE_OCTETS - len(_MAKER))


def _mark(path: Path) -> str | None:
    return read_private(path, missing="remove it: a new title is chosen then").strip() if path.exists() else None


def _old_title(path: Path) -> bytes:
    """The title of an installation older than this table: read once, then the file goes."""
    try:
        title = bytes.fromhex(read_private(path, missing="provision the head-end again"))
    except ValueError:
        title = b""
    if len(title) != SYSTEM_TITLE_OCTETS:
        raise ConfigurationError(
            f"{path} does not hold a system title of {SYSTEM_TITLE_OCTETS} octets in hexadecimal",
            next_step="remove the file: a new title is chosen at the next start",
        )
    return title
