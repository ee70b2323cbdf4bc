"""What goes out next on a link: control first, then alarms, then a fragment of each other stream in turn."""

from collections import deque
from typing import Final

from amity.kernel.errors import LocalProtocolError
from amity.protocols.relay.fragments import FRAGMENT_OCTETS, Fragment

CONTROL: Final = 0
ALARMS: Final = 1
BULK: Final = 2
FIRST_CHANNEL: Final = 3
"""Streams from here on are meter channels; the head-end opens them and uses no number twice."""


class _Queue:
    """Messages of one stream that wait, and how many octets of them the other side will take."""

    __slots__ = ("credit", "messages", "octets", "sent")

    def __init__(self, credit: int) -> None:
        self.messages: deque[bytes] = deque()
        self.sent = 0
        self.octets = 0
        self.credit = credit

    def next_fragment(self, stream: int) -> Fragment:
        """The next piece of the oldest message."""
        message = self.messages[0]
        octets = message[self.sent : self.sent + min(FRAGMENT_OCTETS, self.credit)]
        self.sent += len(octets)
        self.octets -= len(octets)
        if stream != CONTROL:
            self.credit -= len(octets)
        last = self.sent == len(message)
        if last:
            self.messages.popleft()
            self.sent = 0
        return Fragment(stream, last, octets)

    @property
    def is_ready(self) -> bool:
        """True when something may go out."""
        return bool(self.messages) and self.credit > 0


class Scheduler:
    """The outgoing side of a link. Every stream but control has a credit of octets that the other side renews."""

    def __init__(self, window_octets: int, queued_octets_max: int) -> None:
        self._window_octets = window_octets
        self._queued_octets_max = queued_octets_max
        self._queues: dict[int, _Queue] = {}
        self._turns: deque[int] = deque()

    def put(self, stream: int, message: bytes) -> None:
        """Queue a message, which is not empty; raise LocalProtocolError when too much waits on its stream."""
        queue = self._queue(stream)
        if queue.octets + len(message) > self._queued_octets_max:
            raise LocalProtocolError(
                f"{queue.octets} octets wait on stream {stream} of the link",
                next_step="the other side does not take them: wait until it does",
            )
        queue.messages.append(message)
        queue.octets += len(message)

    def waiting_octets(self, stream: int) -> int:
        """How much has not gone out."""
        queue = self._queues.get(stream)
        return 0 if queue is None else queue.octets

    def grant(self, stream: int, octets: int) -> None:
        """The other side took so much; does nothing for a stream that is over."""
        queue = self._queues.get(stream)
        if queue is not None:
            queue.credit = min(queue.credit + octets, self._window_octets)

    def next_fragment(self) -> Fragment | None:
        """What goes out now, None when nothing may."""
        for stream in (CONTROL, ALARMS):
            queue = self._queues.get(stream)
            if queue is not None and queue.is_ready:
                return queue.next_fragment(stream)
        for _ in range(len(self._turns)):
            stream = self._turns[0]
            self._turns.rotate(-1)
            if self._queues[stream].is_ready:
                return self._queues[stream].next_fragment(stream)
        return None

    def forget(self, stream: int) -> None:
        """Drop what waits on a stream that is over."""
        if self._queues.pop(stream, None) is not None and stream not in {CONTROL, ALARMS}:
            self._turns.remove(stream)

    def _queue(self, stream: int) -> _Queue:
        queue = self._queues.get(stream)
        if queue is None:
            queue = self._queues[stream] = _Queue(self._window_octets)
            if stream not in {CONTROL, ALARMS}:
                self._turns.append(stream)
        return queue
