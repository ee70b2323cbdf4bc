"""Is there room, for octets and for files, and may the service write where it has to?"""

import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from amity.runtime.checkup.check import Check, State
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
