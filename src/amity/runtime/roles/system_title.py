"""The head-end's system title, chosen so that no nonce is ever used twice, whatever is deleted or restored.

Title and invocation counter make the nonce of AES-GCM (Green Book 9.2.3.3.7.3), so the title stands in the database of
the counters: a new database has a new title. An older copy of the database that is put back cannot be told from within,
so each start and each clean stop writes a random mark both there and into a file of the node's own, and a head-end that
runs renews it all the time. The mark in the database is made of the file's text and of the time at which the disk took
that file (ctime), which no program that restores can set: a folder that is put back as a whole has no mark either.
Where they differ, title and counters may not belong together: at a start a new title is chosen, and a head-end that
runs ends, to be started again. Nodes that share a database share its title, for they share its counters; each has a
mark. (What this does not see: a copy that is younger than the last mark; a disk that is put back block by block, as a
snapshot of a virtual machine is; a copy that is put back where only new nodes start.)
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
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
        before = _mark(folder / _MARK_FILE)
        database.identity.mark(_new_mark(folder / _MARK_FILE), before)
    (folder / _OLD_TITLE_FILE).unlink(missing_ok=True)
    return claimed


def leave_mark(database: OtDatabase, folder: Path) -> None:
    """Write a new mark to both places. Killed in between, they differ, which is the safe side.

    Raise StorageError, and write nothing, where the database does not have the last one, or the disk does not take it.
    """
    file = folder / _MARK_FILE
    with _alone(folder):
        if not database.identity.renew(_mark(file), partial(_new_mark, file)):
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


def _new_mark(file: Path) -> str:
    write_private(file, random_octets(_MARK_OCTETS).hex())
    return _of_file(file)


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


def _mark(file: Path) -> str | None:
    return _of_file(file) if file.exists() else None


def _of_file(file: Path) -> str:
    """The mark that the file is, as long as it is this very file."""
    text = read_private(file, missing="remove it: a new title is chosen then").strip()
    with file.open("rb") as opened:  # opened, so that no file system answers from memory
        taken_ns = os.fstat(opened.fileno()).st_ctime_ns
    return sha256(f"{text} {taken_ns}".encode()).hexdigest()


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
