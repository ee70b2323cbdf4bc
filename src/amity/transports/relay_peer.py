"""One end of a relay link on a socket: what is sent goes out a little at a time, so that alarms overtake."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Final

from amity.kernel.errors import AmityError
from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.link import Link, Traffic
from amity.protocols.relay.messages import Message, Ping, Pong, decode
from amity.protocols.relay.pace import Pace
from amity.protocols.relay.peer import Listener
from amity.protocols.relay.scheduler import CONTROL
from amity.transports.relay_tls import Identity

_TAKEN_OCTETS: Final = 4096
_AHEAD_OCTETS: Final = 8192
"""How much may lie in buffers behind the scheduler, ours and the kernel's: two seconds at 32 kbit/s."""
_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # Linux; in the module from Python 3.12 on
_EARLY_OCTETS_MAX: Final = 64 * 1024
PORTION_FRAGMENTS: Final = 256
"""So many are taken in before the event loop has another turn."""
_SMOOTHING: Final = 8  # RFC 6298, 2: a new round trip counts for an eighth


@dataclass(frozen=True, slots=True)
class PeerRules:
    """How often we ask whether the other end is there; after three times as long without a word it is not.

    Of its fragments `fragments_per_s` are taken in, full ones four megabytes; the others wait on its side.
    """

    ping_every_s: float = 20.0
    fragments_per_s: int = 4096

    @property
    def silence_max_s(self) -> float:
        """How long a silence is believed to be one."""
        return 3 * self.ping_every_s


class RelayPeer(asyncio.Protocol):
    """Implements `protocols.relay.peer.Peer`; octets that come before `begin` wait for it.

    `identity` is what its certificate says, once whoever set TLS up has looked.
    """

    def __init__(self, link: Link, rules: PeerRules, address: str = "") -> None:
        self._link = link
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._listener: Listener | None = None
        self._paused = False
        self._ended = False
        self._early = b""
        self._heard_at_s = self._loop.time()
        self._pace = Pace(rules.fragments_per_s, self._heard_at_s)
        self._rest: asyncio.TimerHandle | None = None
        self._asked_at_s: dict[int, float] = {}
        self._asked = 0
        self._timer: asyncio.TimerHandle | None = None
        self.address = address
        self.identity: Identity | None = None
        self.rtt_s: float | None = None
        self.failure: AmityError | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def traffic(self) -> Traffic:
        """Octets so far."""
        return self._link.traffic

    def begin(self, transport: asyncio.Transport, listener: Listener) -> None:
        """From here on the listener is told what comes."""
        self._transport = transport
        self._listener = listener
        if self._ended:  # while TLS was set up
            listener.lost()
            return
        self._watch()
        early, self._early = self._early, b""
        if early:
            self._take_in(early)
        self._pump()

    # -------------------------------------------------------------- for the listener
    def open_stream(self) -> int:
        """The number of a new channel."""
        return self._link.open_stream()

    def send(self, stream: int, message: Message) -> None:
        """Queue a message; raise LocalProtocolError when too much waits on its stream."""
        if not self._ended:
            self._link.send(stream, message.encode())
            self._pump()

    def waiting_octets(self, stream: int) -> int:
        """How much of a stream has not gone out."""
        return self._link.waiting_octets(stream)

    def consumed(self, arrived: Arrived) -> None:
        """A message was dealt with: as much may come again."""
        if not self._ended:
            self._link.consumed(arrived)
            self._pump()

    def forget(self, stream: int) -> None:
        """A channel is over."""
        self._link.forget(stream)

    def close(self) -> None:
        """End the connection once what was sent is out."""
        if self._transport is not None:
            self._transport.close()
        self._end()

    # -------------------------------------------------------------- called by the event loop
    def data_received(self, data: bytes) -> None:
        """Take what came; whoever was sent away is no longer heard."""
        self._heard_at_s = self._loop.time()
        if self._ended:
            return
        if self._listener is not None:
            self._take_in(data)
        elif len(self._early) + len(data) <= _EARLY_OCTETS_MAX:
            self._early += data

    def pause_writing(self) -> None:
        """The buffers hold as much as they should."""
        self._paused = True

    def resume_writing(self) -> None:
        """They are empty enough."""
        self._paused = False
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """However it ended, it has."""
        if exc is not None and self.failure is None:
            self.failure = RelayError("the connection broke", answer=str(exc))
        self._end()
        if not self.ended.done():
            self.ended.set_result(None)

    # -------------------------------------------------------------- inside
    def _take_in(self, data: bytes = b"") -> None:
        """As much as has its turn; nothing more is read before the rest had it."""
        most = min(PORTION_FRAGMENTS, self._pace.left(self._loop.time()))
        before = self._link.fragments_in
        try:
            for arrived in self._link.receive(data, most):
                self._hand_on(arrived, decode(arrived.message))
        except AmityError as error:  # no relay link, or one that never reads what we say
            self.failure = error
            self._abort()
        taken = self._link.fragments_in - before
        self._pace.spend(taken)
        if not self._ended:
            self._take_rest(is_behind=taken == most)

    def _take_rest(self, *, is_behind: bool) -> None:
        if self._transport is None:
            return
        was_behind = self._rest is not None
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if is_behind:
            self._transport.pause_reading()
            has_turn = self._pace.left(self._loop.time()) > 0
            wait_s = 0.0 if has_turn else PORTION_FRAGMENTS / self._rules.fragments_per_s
            self._rest = self._loop.call_later(wait_s, self._take_in)
        elif was_behind:
            self._transport.resume_reading()

    def _hand_on(self, arrived: Arrived, message: Message) -> None:
        match message:
            case Ping(number) if arrived.stream == CONTROL:
                self.send(CONTROL, Pong(number))
            case Pong(number) if arrived.stream == CONTROL:
                self._answered(number)
            case _ if self._listener is not None and not self._ended:
                self._listener.received(arrived, message)

    def _pump(self) -> None:
        while self._transport is not None and not self._paused and not self._ended:
            octets = self._link.take(_TAKEN_OCTETS)
            if not octets:
                return
            self._transport.write(octets)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        for timer in (self._timer, self._rest):
            if timer is not None:
                timer.cancel()
        if self._listener is not None:
            self._listener.lost()

    # -------------------------------------------------------------- time
    def _watch(self) -> None:
        """Ask whether the other end is there; a WAN may die without a word."""
        if self._loop.time() - self._heard_at_s > self._rules.silence_max_s:
            self.failure = self._silence()
            self._abort()
            return
        self._asked = (self._asked + 1) % (1 << 32)
        self._asked_at_s = {number: at for number, at in self._asked_at_s.items() if number > self._asked - 4}
        self._asked_at_s[self._asked] = self._loop.time()
        self._timer = self._loop.call_later(self._rules.ping_every_s, self._watch)
        self.send(CONTROL, Ping(self._asked))

    def _silence(self) -> RelayError:
        """The other end says nothing, or so much that we do not come to the end of it."""
        within = f"within {self._rules.silence_max_s:g} s"
        if self._rest is not None:
            return RelayError(
                "the other end says more than is taken in", answer=f"one arrival is not dealt with {within}"
            )
        return RelayError("the other end is silent", answer=f"nothing {within}")

    def _answered(self, number: int) -> None:
        asked_at_s = self._asked_at_s.pop(number, None)
        if asked_at_s is None:
            return
        rtt_s = self._loop.time() - asked_at_s
        self.rtt_s = rtt_s if self.rtt_s is None else self.rtt_s + (rtt_s - self.rtt_s) / _SMOOTHING


def keep_little_ahead(transport: asyncio.Transport) -> None:
    """Let little lie in the buffers below a link: what is there can no longer be overtaken."""
    transport.set_write_buffer_limits(high=_AHEAD_OCTETS, low=_TAKEN_OCTETS)
    raw = transport.get_extra_info("socket")
    if raw is not None:
        keep_little_unsent(raw)


def keep_little_unsent(raw: socket.socket) -> None:
    """The same for the kernel's buffer alone."""
    with contextlib.suppress(OSError):  # another system: alarms wait a little longer there
        raw.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _AHEAD_OCTETS)
