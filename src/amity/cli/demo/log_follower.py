"""What the parts of a running demo complain about, read from the ends of their logs."""

import re
from pathlib import Path

_COMPLAINT = re.compile(rb"level=(?:error|warning) ")
_LINE_OCTETS_MAX = 400
_TIMESTAMP = re.compile(r"^timestamp=\S+ level=\w+ ")


class LogFollower:
    """Gives the complaints that were written since it was made, and then since it was asked last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read = {path: path.stat().st_size for path in folder.glob("*.log")}

    def new_complaints(self) -> list[str]:
        """One line each, with the name of the part; a line that is not whole yet is left for the next time."""
        return [line for path in sorted(self._folder.glob("*.log")) for line in self._new_in(path)]

    def _new_in(self, path: Path) -> list[str]:
        start = self._read.get(path, 0)
        try:
            with path.open("rb") as log:
                log.seek(start)
                written = log.read()
        except OSError:
            return []
        whole = written[: written.rfind(b"\n") + 1]
        self._read[path] = start + len(whole)
        return [f"{path.stem}: {_told(line)}" for line in whole.splitlines() if _COMPLAINT.search(line)]


def last_line(log: Path) -> str:
    """The end of a log: why a process ended, usually. Empty when there is none."""
    try:
        lines = log.read_bytes()[-_LINE_OCTETS_MAX * 4 :].splitlines()
    except OSError:
        return ""
    return next((line.decode(errors="replace").strip() for line in reversed(lines) if line.strip()), "")


def _told(line: bytes) -> str:
    return _TIMESTAMP.sub("", line[:_LINE_OCTETS_MAX].decode(errors="replace"))
