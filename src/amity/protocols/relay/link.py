"""One end of a relay link: messages in, octets out, and the other way round; no socket and no clock.

The head-end opens streams; the collector answers on them. Alarms, held pushes and control have streams of their own.
"""

from dataclasses import dataclass
from typing import Final

from amity.protocols.relay.assembly import Arrived, Assembler
from amity.protocols.relay.compression import Packer, Unpacker
from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.fragments import STREAM_MAX, FragmentReader
from amity.protocols.relay.messages import Credit, Open, decode
from amity.protocols.relay.scheduler import ALARMS, BULK, CONTROL, FIRST_CHANNEL, Scheduler

MESSAGE_OCTETS_MAX: Final = 72 * 1024
"""The longest wrapper frame, 65,543 octets, with what is said of it."""


@dataclass(frozen=True, slots=True)
class LinkRules:
    """Bounds of one end: credit of a stream, one message, what may wait to go out on a stream, streams at once."""

    window_octets: int = 128 * 1024
    message_octets_max: int = MESSAGE_OCTETS_MAX
    queued_octets_max: int = 256 * 1024
    streams_max: int = 1024


@dataclass(slots=True)
class Traffic:
    """Octets since the connection began: fragments as they are, and packed as they go over the wire."""

    plain_out: int = 0
    packed_out: int = 0
    plain_in: int = 0
    packed_in: int = 0

    @property
    def ratio(self) -> float | None:
        """How many octets one on the wire stands for, both directions together; None before there are any."""
        packed = self.packed_out + self.packed_in
        return (self.plain_out + self.plain_in) / packed if packed else None


class Link:
    """One end. `opens` is true at the end that opens channels; the other takes what is opened."""

    def __init__(self, rules: LinkRules | None = None, *, opens: bool) -> None:
        self._rules = rules or LinkRules()
        self._opens = opens
        self._reader = FragmentReader()
        self._scheduler = Scheduler(self._rules.window_octets, self._rules.queued_octets_max)
        self._assembler = Assembler(self._rules.window_octets, self._rules.message_octets_max)
        self._assembler.open(ALARMS)
        self._assembler.open(BULK)
        self._packer = Packer()
        self._unpacker = Unpacker()
        self._highest = FIRST_CHANNEL - 1
        self.traffic = Traffic()
        self.fragments_in = 0

    # -------------------------------------------------------------- out
    def open_stream(self) -> int:
        """The number of a new channel; raise RelayError when this connection has used all it has."""
        if self._highest == STREAM_MAX:
            raise RelayError("the connection has used up its streams", next_step="connect anew")
        self._highest += 1
        self._assembler.open(self._highest)
        return self._highest

    def send(self, stream: int, message: bytes) -> None:
        """Queue a message; raise LocalProtocolError when too much waits on its stream."""
        self._scheduler.put(stream, message)

    def waiting_octets(self, stream: int) -> int:
        """How much of a stream has not gone out."""
        return self._scheduler.waiting_octets(stream)

    def take(self, octets: int) -> bytes:
        """What goes over the wire next: whole fragments, about so many octets before they are packed; empty: nothing.

        Taking little at a time keeps the order of urgency: what is taken can no longer be overtaken.
        """
        plain = bytearray()
        while len(plain) < octets and (fragment := self._scheduler.next_fragment()) is not None:
            plain += fragment.encode()
        if not plain:
            return b""
        packed = self._packer.pack(bytes(plain))
        self.traffic.plain_out += len(plain)
        self.traffic.packed_out += len(packed)
        return packed

    # -------------------------------------------------------------- in
    def receive(self, octets: bytes, fragments_max: int | None = None) -> list[Arrived]:
        """Take what came over the wire; give the messages that are now whole, credits apart.

        Some hundred octets can unpack to a million fragments: whoever has other things to do takes so many of them at
        most, and the others by calling again without octets. `fragments_in` counts them.

        Raise RelayError when it is no relay link, or the other end takes more than it may.
        """
        plain = self._unpacker.unpack(octets)
        self.traffic.packed_in += len(octets)
        self.traffic.plain_in += len(plain)
        fragments = self._reader.feed(plain, fragments_max)
        self.fragments_in += len(fragments)
        arrived = []
        for fragment in fragments:
            whole = self._assembler.take(fragment) if self._takes(fragment.stream) else None
            if whole is not None and not (whole.stream == CONTROL and self._is_done_with(whole)):
                arrived.append(whole)
        return arrived

    def consumed(self, arrived: Arrived) -> None:
        """A message was dealt with: as much may come again."""
        renewed = self._assembler.consumed(arrived.stream, len(arrived.message))
        if renewed:
            self._scheduler.put(CONTROL, Credit(arrived.stream, renewed).encode())

    def forget(self, stream: int) -> None:
        """A channel is over: what waits to go out is dropped, what still comes is not taken."""
        self._scheduler.forget(stream)
        self._assembler.forget(stream)

    def _takes(self, stream: int) -> bool:
        """False for a channel that is over; raise RelayError for one that never was."""
        if stream > self._highest:
            raise RelayError(f"stream {stream} was never opened")
        return self._assembler.is_open(stream)

    def _is_done_with(self, arrived: Arrived) -> bool:
        """Credit is the link's own business; of an opening it takes note before it is handed on."""
        message = decode(arrived.message)
        if isinstance(message, Credit):
            self._scheduler.grant(message.stream, message.octets)
            return True
        if isinstance(message, Open):
            self._opened(message.stream)
        return False

    def _opened(self, stream: int) -> None:
        if self._opens or stream <= self._highest:
            raise RelayError(f"stream {stream} is opened by the wrong end, or a second time")
        if len(self._assembler) >= self._rules.streams_max:
            raise RelayError(f"more than {self._rules.streams_max} streams are open")
        self._highest = stream
        self._assembler.open(stream)
