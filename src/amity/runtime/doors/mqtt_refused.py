"""Publishes that the broker refused because the topic is another meter's, or none: its log alone tells of them."""

from pathlib import Path
from typing import Final

_MARK: Final = b" - Publish Violation - "
_TOLD_FROM: Final = " - mid:"
_TOLD_MAX: Final = 200


class PublishesRefused:
    """Those that stand in the server's log since this was made."""

    def __init__(self, log_file: Path) -> None:
        self._log_file = log_file
        self._at = self._size()
        self.count = 0
        self.last = ""

    def look(self) -> bool:
        """Read what was logged since; true when more were refused. A line that is not whole yet waits."""
        if self._size() < self._at:
            self._at = 0  # the server began its log anew
        lines = self._new_lines()
        refused = [line for line in lines if _MARK in line]
        if refused:
            self.count += len(refused)
            self.last = _told(refused[-1].decode(errors="replace"))
        return bool(refused)

    def _new_lines(self) -> list[bytes]:
        try:
            with self._log_file.open("rb") as log:
                log.seek(self._at)
                octets = log.read()
        except OSError:
            return []
        whole = octets[: octets.rfind(b"\n") + 1]
        self._at += len(whole)
        return whole.splitlines()

    def _size(self) -> int:
        try:
            return self._log_file.stat().st_size
        except OSError:
            return 0


def _told(line: str) -> str:
    """The client's name, which it chose itself, and the subject."""
    _, _, told = line.partition(_TOLD_FROM)
    return told.partition(" - ")[2][:_TOLD_MAX]
