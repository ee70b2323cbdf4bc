"""Who saw what and when: the trace of a world, its hash, and the violations that were seen on the way."""

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

_KEPT: Final = 400


class Violation(NamedTuple):
    """An invariant that did not hold: which, how, and when (virtual seconds since the start)."""

    invariant: str
    what: str
    at_s: float


class Witness:
    """Notes everything; the hash of all notes is the same for every run of a seed."""

    def __init__(self, now_s: Callable[[], float], *, keep_all: bool = False) -> None:
        self.now_s = now_s
        self._hash = hashlib.blake2b(digest_size=8)
        self.newest: deque[str] = deque(maxlen=None if keep_all else _KEPT)
        self.notes = 0
        self.violations: list[Violation] = []

    def note(self, who: str, what: str) -> None:
        """One line of the trace."""
        line = f"{self.now_s():12.6f} {who}: {what}"
        self._hash.update(line.encode())
        self.newest.append(line)
        self.notes += 1

    def violated(self, invariant: str, what: str) -> None:
        """An invariant does not hold; the run goes on to its end."""
        self.note("VIOLATED", f"{invariant}: {what}")
        self.violations.append(Violation(invariant, what, self.now_s()))

    @property
    def digest(self) -> str:
        """The hash of everything noted so far."""
        return self._hash.hexdigest()

    def about(self, word: str, lines: int) -> list[str]:
        """The newest lines that hold the word."""
        return [line for line in self.newest if word in line][-lines:]
