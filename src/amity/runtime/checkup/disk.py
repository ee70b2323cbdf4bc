"""Is there room, for octets and for files, and may the service read and write where it has to?"""

import grp
import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from amity.runtime.checkup.check import Check, State
from amity.runtime.files.owned import user_name
from amity.runtime.folder import Folder

_MEGABYTE: Final = 1_000_000
_SCARCE: Final = 2_000 * _MEGABYTE
_TOO_LITTLE: Final = 200 * _MEGABYTE
_FILES_SCARCE: Final = 1000
_FREE_STATE: Final = (
    "lower frames_kept_days and jobs_kept_days; a large broker folder says that the MDM side does not fetch: start it."
    " Delete no file by hand"
)
_FREE_LOGS: Final = "rotated logs (*.gz, *.log.1) may be deleted"


def check_disk(folder: Folder) -> Iterator[Check]:
    """State and logs; for the user that is asked as."""
    yield check_folder("disk of the state", folder.root, _FREE_STATE)
    yield check_folder("disk of the logs", folder.logs, _FREE_LOGS)


def check_owners(folder: Folder) -> Iterator[Check]:
    """Does all that is kept belong to the service's user? A file that root made there it cannot open."""
    for name, path in (("files of the state", folder.root), ("files of the logs", folder.logs)):
        if path.is_dir():
            yield _owners(name, path)


def _owners(name: str, path: Path) -> Check:
    about = path.stat()
    others = [(one, owner) for one in sorted(path.rglob("*")) if (owner := _owner(one)) not in {None, about.st_uid}]
    user = user_name(about.st_uid)
    if not others:
        return Check(name, State.OK, f"all of {path} belongs to {user}")
    first, owner = others[0]
    more = f", and {len(others) - 1} more" if len(others) > 1 else ""
    step = f"chown -R {user}:{_group_name(about.st_gid)} {shlex.quote(str(path))}"
    return Check(name, State.FAIL, f"{first} belongs to {user_name(owner or 0)}, not to {user}{more}", step)


def _owner(path: Path) -> int | None:
    """None for what has just gone."""
    try:
        return path.lstat().st_uid
    except OSError:
        return None


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def check_folder(name: str, path: Path, may_go: str) -> Check:
    """One folder: there, writable, with room; `may_go` says what may be removed when there is none."""
    try:
        with tempfile.TemporaryFile(dir=path) as trial:
            trial.write(b"room?")
        room = os.statvfs(path)
    except OSError as error:
        return Check(
            name, State.FAIL, f"{path} cannot be written: {error.strerror}", f"mend it: ls -ld {path}; df {path}"
        )
    free = room.f_bavail * room.f_frsize
    words = f"{free / _MEGABYTE:,.0f} MB free at {path}"
    step = f"see what is large: du -xh -d 2 {shlex.quote(str(path))} | sort -h | tail; {may_go}"
    if free < _TOO_LITTLE:
        return Check(name, State.FAIL, words, f"{step}. When nothing can be stored, nothing is read")
    if room.f_files and room.f_favail < _FILES_SCARCE:
        return Check(name, State.FAIL, f"room for {room.f_favail} more files at {path}", f"df -i {path}")
    return Check(name, State.HINT if free < _SCARCE else State.OK, words, step if free < _SCARCE else "")
