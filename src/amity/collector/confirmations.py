"""Meters that wait on the line to hear that their push was taken: only the head-end, which has the keys, can say so."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

Answer = Callable[[bytes | None], None]
"""Told the confirmation as it goes back to the meter, or None when its push wants none."""

_WAITING_MAX: Final = 1024
_PATIENCE_S: Final = 120.0


class _Waiting(NamedTuple):
    until_s: float
    answer: Answer


class Confirmations:
    """By the number of the push; the oldest makes room, and nobody waits for ever.

    A meter that is not told sends its push again, so that it costs nothing but air to forget one.
    """

    def __init__(self, now_s: Callable[[], float], waiting_max: int = _WAITING_MAX) -> None:
        self._now_s = now_s
        self._waiting_max = waiting_max
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()

    def expect(self, number: int, answer: Answer) -> None:
        """The sender of this push is still there."""
        self._waiting[number] = _Waiting(self._now_s() + _PATIENCE_S, answer)
        if len(self._waiting) > self._waiting_max:
            self._waiting.popitem(last=False)

    def awaited(self, number: int) -> bool:
        """True when it is worth while to confirm this push."""
        waiting = self._waiting.get(number)
        return waiting is not None and self._now_s() < waiting.until_s

    def confirmed(self, number: int, apdu: bytes) -> None:
        """The head-end took it, and this is what its meter waits to hear."""
        self._settle(number, apdu)

    def kept(self, numbers: Iterable[int]) -> None:
        """The head-end is done with these: those that were not confirmed want nothing, or were not believed."""
        for number in numbers:
            self._settle(number, None)

    def _settle(self, number: int, apdu: bytes | None) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.answer(apdu)
