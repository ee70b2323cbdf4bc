"""Who saw what and when: the trace of a world, its hash, what was checked, and the violations that were seen."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

_KEPT: Final = 400


class Invariant(StrEnum):
    """What must hold in every world."""

    TRUE = "what is held is true"
    WHOLE = "what is held is whole"
    COUNTERS_SENT = "no invocation counter is sent twice"
    COUNTERS_HEARD = "no invocation counter reaches a meter with two messages"
    COUNTERS_RISE = "no request bears a counter below one before"
    ONE_ASSOCIATION = "one association per meter"
    FENCED = "a lease that another followed is refused"
    NOTHING_OF_LOST_LEASES = "nothing is stored that a lost lease brought"
    FIRES = "each fire makes each meter's jobs once"
    JOBS_END = "every accepted job ends"
    CLOCKS = "a clock is moved by the client that may"
    ARRIVES = "what was collected arrives"
    NO_DEAD_LETTER = "no delivery is a dead letter"
    ALARMS_ONCE = "alarms are told once in effect"
    ALARMS_FIRST = "an alarm overtakes what waits"
    ALARMS_SOON = "an alarm arrives within seconds"
    PUSHES_ONCE = "a push is taken once"
    PUSHES_ARRIVE = "a push that was kept or confirmed arrives"
    ROOM = "a full store drops its oldest bulk and counts it"
    NO_REPLAY = "a replayed session is given nothing"
    MEMORY = "memory is bounded"
    NO_SUDDEN_END = "no process ends by itself"
    NOTHING_UNHEARD = "nothing fails unheard"


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
        self.violations: list[Violation] = []
        self.checks: Counter[Invariant] = Counter()

    def note(self, who: str, what: str) -> None:
        """One line of the trace."""
        line = f"{self.now_s():12.6f} {who}: {what}"
        self._hash.update(line.encode())
        self.newest.append(line)

    def checked(self, invariant: Invariant, times: int = 1) -> None:
        """It was looked whether an invariant holds: one that is never looked at says nothing."""
        self.checks[invariant] += times

    def violated(self, invariant: Invariant, what: str) -> None:
        """An invariant does not hold; the run goes on to its end."""
        self.note("VIOLATED", f"{invariant}: {what}")
        self.violations.append(Violation(invariant, what, self.now_s()))

    @property
    def digest(self) -> str:
        """The hash of everything noted so far."""
        return self._hash.hexdigest()
