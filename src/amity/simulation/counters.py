"""Invocation counters of simulated meters that never repeat, also when the simulator starts again."""

from datetime import UTC, datetime

_COUNTING_SINCE = datetime(2025, 1, 1, tzinfo=UTC)
_MESSAGES_PER_SECOND = 8


class TimeCounter:
    """Counts up from a number that the time of starting gives.

    A nonce of AES-GCM is system title and invocation counter and must never come twice under one key. Answers and
    pushes of a meter share its key, so they share this counter. A later start begins above everything an earlier one
    has used as long as the meter has sent no more than 8 messages a second on average meanwhile (a reading is about
    20 messages); 32 bits last until 2042.
    """

    def __init__(self, started: datetime) -> None:
        self._next = max(0, int((started - _COUNTING_SINCE).total_seconds() * _MESSAGES_PER_SECOND))

    def __call__(self) -> int:
        """The next counter."""
        self._next += 1
        return self._next
