"""Is there room, for octets and for files, and may the service write where it has to?"""

import os
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


def check_disk(folder: Folder) -> Iterator[Check]:
    """State and logs; for the user that is asked as."""
    for name, path in (("disk of the state", folder.root), ("disk of the logs", folder.logs)):
        yield check_folder(name, path)


def check_folder(name: str, path: Path) -> Check:
    """One folder: there, writable, with room."""
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
    if free < _TOO_LITTLE:
        return Check(name, State.FAIL, words, "free space: at the end nothing can be stored, and nothing is read")
    if room.f_files and room.f_favail < _FILES_SCARCE:
        return Check(name, State.FAIL, f"room for {room.f_favail} more files at {path}", f"df -i {path}")
    return Check(name, State.HINT if free < _SCARCE else State.OK, words, "free space" if free < _SCARCE else "")
