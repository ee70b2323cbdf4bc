"""Invocation counters of simulated meters: no nonce twice under one key, also when the simulator starts again.

A nonce of AES-GCM is system title and invocation counter. Answers and pushes of a meter share its key, so they share
its counter.
"""

from collections.abc import Callable
from datetime import UTC, datetime

_COUNTING_SINCE = datetime(2025, 1, 1, tzinfo=UTC)
_MESSAGES_PER_SECOND = 8
_RESERVED_AHEAD = 1 << 16


class Reservation:
    """How far the counters of a fleet may go before the disk has to be told; one mark for all its meters.

    `first` is where this start begins: everything below may have been used by an earlier one. `keep(mark)` has the mark
    on disk when it returns.
    """

    def __init__(self, first: int, keep: Callable[[int], None]) -> None:
        self.first = first
        self._keep = keep
        self._mark = first

    def cover(self, counter: int) -> None:
        """Return when a later start is sure to begin above this counter."""
        if counter >= self._mark:
            self._mark = counter + _RESERVED_AHEAD
            self._keep(self._mark)


def reservation_by_time(started: datetime) -> Reservation:
    """For a laboratory fleet that keeps nothing on disk.

    A later start begins above what an earlier one used as long as no meter sent more than 8 messages a second on
    average meanwhile; who needs more than that keeps a state. 32 bits last until 2042.
    """
    seconds = (started - _COUNTING_SINCE).total_seconds()
    return Reservation(max(0, int(seconds * _MESSAGES_PER_SECOND)), lambda _mark: None)


class MeterCounter:
    """The counter of one meter; each call gives a number never given before."""

    def __init__(self, reservation: Reservation) -> None:
        self._reservation = reservation
        self._next = reservation.first

    def __call__(self) -> int:
        """The next counter."""
        self._next += 1
        self._reservation.cover(self._next)
        return self._next
