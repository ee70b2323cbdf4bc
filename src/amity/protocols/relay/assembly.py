"""The incoming side of a link: fragments become messages again, never more of a stream than it has credit for."""

from typing import NamedTuple

from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.fragments import Fragment
from amity.protocols.relay.scheduler import CONTROL


class Arrived(NamedTuple):
    """A whole message; whoever has dealt with it says so to the link, which renews the stream's credit."""

    stream: int
    message: bytes


class _Stream:
    """What has come of a message that is not whole, and how much more may come before credit is renewed."""

    __slots__ = ("allowance", "consumed", "octets")

    def __init__(self, allowance: int) -> None:
        self.octets = bytearray()
        self.allowance = allowance
        self.consumed = 0


class Assembler:
    """Puts fragments together; streams have to be opened, what comes on others is `strange` to it."""

    def __init__(self, window_octets: int, message_octets_max: int) -> None:
        self._window_octets = window_octets
        self._message_octets_max = message_octets_max
        self._streams = {CONTROL: _Stream(0)}

    def __len__(self) -> int:
        """How many streams are open, control among them."""
        return len(self._streams)

    def is_open(self, stream: int) -> bool:
        """True from `open` to `forget`."""
        return stream in self._streams

    def open(self, stream: int) -> None:
        """Take fragments of this stream from now on."""
        self._streams[stream] = _Stream(self._window_octets)

    def forget(self, stream: int) -> None:
        """The stream is over."""
        self._streams.pop(stream, None)

    def take(self, fragment: Fragment) -> Arrived | None:
        """Take a fragment of an open stream; give the message that is now whole.

        Raise RelayError when more comes than the stream has credit for, or a message is too long.
        """
        stream = self._streams[fragment.stream]
        if fragment.stream != CONTROL:
            stream.allowance -= len(fragment.octets)
            if stream.allowance < 0:
                raise RelayError(f"stream {fragment.stream} brought more octets than it was allowed")
        stream.octets += fragment.octets
        if len(stream.octets) > self._message_octets_max:
            raise RelayError(f"a message of stream {fragment.stream} has more than {self._message_octets_max} octets")
        if not fragment.last:
            return None
        message = bytes(stream.octets)
        stream.octets.clear()
        return Arrived(fragment.stream, message)

    def consumed(self, stream: int, octets: int) -> int:
        """So much was dealt with; return how much credit is to be renewed now, in quarters of a window.

        What is not renewed yet must leave room for the longest message, or it would wait for ever.
        """
        one = self._streams.get(stream)
        if one is None or stream == CONTROL:
            return 0
        one.consumed += octets
        if one.consumed < self._window_octets // 4:
            return 0
        renewed, one.consumed = one.consumed, 0
        one.allowance += renewed
        return renewed
