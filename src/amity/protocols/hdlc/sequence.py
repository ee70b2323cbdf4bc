"""Numbered information, both ways: segments kept until acknowledged, segments joined in order (ISO/IEC 13239, 5.5)."""

from collections import deque
from typing import NamedTuple

from amity.protocols.hdlc.frame import Frame, HdlcError

_MODULO = 8
APDU_OCTETS_MAX = 0x1_0000 + 0x100
"""The longest APDU that is joined from segments: the longest that an association can agree on, and its prefixes."""


class Segment(NamedTuple):
    """A part of an APDU with the number it travels under."""

    number: int
    information: bytes
    more: bool


class Outgoing:
    """Segments on their way out."""

    __slots__ = ("_first", "_next", "_sent", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._first = 0  # N(S) of the oldest segment that is not acknowledged
        self._sent = 0  # how many of those waiting were ever sent
        self._next = 0  # which of those waiting is due next

    @property
    def unfinished(self) -> bool:
        """True while something was not acknowledged."""
        return bool(self._waiting)

    @property
    def next_number(self) -> int:
        """N(S) of the next segment to send."""
        return (self._first + self._next) % _MODULO

    def load(self, information: bytes, octets_max: int) -> None:
        """Queue an APDU in segments."""
        starts = range(0, len(information), octets_max) or range(1)
        last = starts[-1]
        self._waiting.extend((information[at : at + octets_max], at != last) for at in starts)

    def burst(self, window: int) -> list[Segment]:
        """The segments to send now."""
        end = min(window, len(self._waiting))
        places = range(self._next, end)
        self._next = max(end, self._next)
        self._sent = max(self._sent, self._next)
        return [Segment((self._first + place) % _MODULO, *self._waiting[place]) for place in places]

    def acknowledges(self, number: int) -> bool:
        """True when N(R) is one that the other side can say: what it waits for next of what was sent."""
        return (number - self._first) % _MODULO <= self._sent

    def acknowledge(self, number: int) -> bool:
        """Forget what the other side has; return whether that was anything."""
        count = (number - self._first) % _MODULO
        for _ in range(count):
            self._waiting.popleft()
        self._first = number
        self._sent -= count
        self._next = max(0, self._next - count)
        return count > 0

    def rewind(self) -> None:
        """Everything that is not acknowledged is due again."""
        self._next = 0


class Incoming:
    """Segments coming in: `expected` is N(R), `gap` says that a frame was missed since the last one in order."""

    __slots__ = ("_finished", "_octets", "_parts", "expected", "gap")

    def __init__(self) -> None:
        self.expected = 0
        self.gap = False
        self._parts: list[bytes] = []
        self._finished: list[bytes] = []
        self._octets = 0

    @property
    def partial(self) -> bool:
        """True between the first and the last segment of an APDU."""
        return bool(self._parts)

    @property
    def finished(self) -> bool:
        """True when a whole APDU waits to be taken."""
        return bool(self._finished)

    def accept(self, frame: Frame) -> bool:
        """Take an I frame; False when it is out of order and dropped; raise HdlcError when an APDU never ends."""
        if frame.send_number != self.expected:
            self.gap = True
            return False
        self._octets += len(frame.information) or 1  # else empty frames could come without end
        if self._octets > APDU_OCTETS_MAX:
            raise HdlcError(f"more than {APDU_OCTETS_MAX} octets came in the segments of one APDU")
        self.expected = (self.expected + 1) % _MODULO
        self.gap = False
        self._parts.append(frame.information)
        if not frame.segmented:
            self._finished.append(b"".join(self._parts))
            self._parts.clear()
        return True

    def is_repeated(self, frame: Frame) -> bool:
        """True for the I frame that was accepted last."""
        return (frame.send_number + 1) % _MODULO == self.expected

    def take(self) -> list[bytes]:
        """Give out what is whole."""
        finished, self._finished = self._finished, []
        self._octets = sum(len(part) or 1 for part in self._parts)
        return finished
