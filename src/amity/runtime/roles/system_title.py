"""The head-end's system title, chosen so that no nonce is ever used twice, whatever is deleted or restored.

Title and invocation counter make the nonce of AES-GCM (Green Book 9.2.3.3.7.3), so the title stands in the database of
the counters: a new database has a new title. An older copy of the database that is put back cannot be told from within,
so each start and each clean stop writes a random mark both there and into a file of the node's own. Where they differ,
title and counters may not belong together, and a new title is chosen. Nodes that share a database share its title, for
they share its counters; each has a mark. (What this does not see: a copy taken since the last start, put back after a
kill; a copy that is put back where only new nodes start.)
"""

from pathlib import Path
from typing import Final, NamedTuple

from amity.devices.settings import SYSTEM_TITLE_OCTETS
from amity.kernel.errors import ConfigurationError
from amity.runtime.system import random_octets
from amity.security.private_files import read_private, write_private
from amity.storage.ot.database import OtDatabase

_MAKER: Final = b"AMI"
_MARK_OCTETS: Final = 16
_MARK_FILE: Final = "last-start"
_OLD_TITLE_FILE: Final = "system-title"


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
    leave_mark(database, folder)
    (folder / _OLD_TITLE_FILE).unlink(missing_ok=True)
    return claimed


def leave_mark(database: OtDatabase, folder: Path) -> None:
    """Write a new mark to both places. Killed in between, they differ, which is the safe side."""
    mark = random_octets(_MARK_OCTETS).hex()
    database.identity.mark(mark, _mark(folder / _MARK_FILE))
    write_private(folder / _MARK_FILE, mark)


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
