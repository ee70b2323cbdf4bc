"""Log files that other programs rotate: opened for appending, and again as soon as the path is another file.

Whoever renames, truncates or deletes the file need not tell us: before each line a look at the path says whether it is
still the file that is open (as logging.handlers.WatchedFileHandler does). So there is no signal that could get lost.
"""

import os
import threading
from pathlib import Path
from typing import Final

from amity.kernel.errors import ConfigurationError
from amity.runtime.logs.lines import LossyStream

_MODE: Final = 0o640  # the owner writes, the group reads: logs hold no secret and no reading


class AppendedFile:
    """A file to which each `write` appends in one piece; raise OSError when the disk does not take it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._identity = (0, 0)
        self._torn = False

    def write(self, text: str) -> int:
        """Append; several processes may, for a line is one call to the system."""
        self._follow()
        octets = text.encode("utf-8", "backslashreplace")
        if self._torn:  # what follows half a line begins a line of its own
            octets = b"\n" + octets
        written = os.write(self._descriptor, octets)
        self._torn = written < len(octets)
        if self._torn:
            raise OSError("the disk took a part of the line")
        return len(text)

    def flush(self) -> None:
        """Nothing waits: each line went to the system."""

    def reopen(self) -> None:
        """Open the path anew, made if it is gone."""
        self.close()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        about = os.fstat(self._descriptor)
        self._identity = (about.st_dev, about.st_ino)

    def close(self) -> None:
        """Close; the next `write` opens again."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _follow(self) -> None:
        try:
            about = os.stat(self._path)  # noqa: PTH116 - a path object a line costs more than the look itself
            moved = (about.st_dev, about.st_ino) != self._identity
        except FileNotFoundError:
            moved = True
        if moved or self._descriptor < 0:
            self.reopen()


class LogFile:
    """Lines in a file, from any thread; a full disk drops lines, which is said when there is room again."""

    def __init__(self, path: Path) -> None:
        """Open it; raise ConfigurationError when the folder is missing or this user may not write there."""
        self.path = path
        self._file = AppendedFile(path)
        self._lines = LossyStream(self._file)
        self._lock = threading.Lock()
        try:
            self._file.reopen()
        except (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError) as error:
            raise ConfigurationError(
                f"{path} cannot be written",
                answer=error.strerror,
                next_step=f"make the folder {path.parent} and give it to this user, or run amity install",
            ) from error
        except OSError:  # the disk is full, say: lines are dropped until it is not
            return

    @property
    def held_up(self) -> int:
        """How many lines in a row could not be written."""
        return self._lines.held_up

    def write(self, line: str) -> None:
        """Append one line, or drop it."""
        with self._lock:
            self._lines.write(line + "\n")

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        with self._lock:
            self._file.close()
