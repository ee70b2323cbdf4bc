"""One TCP connection that a meter opened: what it says goes to the desk, and whoever reads it borrows the line."""

import asyncio
import socket
from collections import deque
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from amity.devices.notification_intake import NotificationIntake
from amity.headend.routes import HdlcLink, Route
from amity.kernel.errors import AmityError, RemoteProtocolError, TransportError
from amity.protocols.wrapper.frame import Frame
from amity.transports.call_speech import Said, Speech
from amity.transports.channel import MeterChannel
from amity.transports.frame_queue import FramesChannel
from amity.transports.gateway_channel import GatewayChannel
from amity.transports.hdlc_channel import HdlcChannel
from amity.transports.lent import LentLine, LentQueue
from amity.transports.meter_connector import hdlc_route

_WAITING_MAX: Final = 32
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3))


@dataclass(frozen=True, slots=True)
class CallRules:
    """Bounds against those who call.

    Of callers nobody knows there are `strangers_max` at a time, `strangers_per_peer_max` of one address; each is cut
    off after `stranger_silence_s`, after `strikes_max` messages that were not believed, and when a frame that has begun
    is not whole within `frame_timeout_s`; octets that say nothing win no time. Who says nothing is asked for its name
    after `asked_after_s`. A meter that is known stays, also when it is silent: `line_silence_s` is for those that are
    gone and never said so. Whoever does not read what we answer is cut off.
    """

    strangers_max: int = 512
    strangers_per_peer_max: int = 128
    lines_max: int = 20_000
    asked_after_s: float = 3.0
    stranger_silence_s: float = 30.0
    frame_timeout_s: float = 10.0
    line_silence_s: float = 6 * 3600.0
    strikes_max: int = 16
    unread_octets_max: int = 256 * 1024
    apdu_octets_max: int = 16 * 1024


class CallDesk(Protocol):
    """Who hears what callers say."""

    async def said(self, call: "Call", frame: Frame) -> bytes | None:
        """A whole notification; give what goes back to its sender."""
        ...

    async def named(self, call: "Call", name: str) -> None:
        """A name, as a line of text."""
        ...

    async def silent(self, call: "Call") -> None:
        """It says nothing: it may want to be asked."""
        ...

    def garbled(self, call: "Call", octets: bytes, error: RemoteProtocolError) -> None:
        """What came is none of DLMS."""
        ...

    def gone(self, call: "Call") -> None:
        """The connection has ended."""
        ...


class Board(Protocol):
    """Who counts the calls."""

    def admits(self, call: "Call") -> bool:
        """Whether one more is let in; it is counted if so."""
        ...

    def known(self, call: "Call") -> None:
        """It is no stranger any more."""
        ...

    def gone(self, call: "Call") -> None:
        """The connection has ended."""
        ...


class Call(asyncio.Protocol):
    """One connection, from the moment it is opened until it ends; `peer` is the caller's address."""

    def __init__(self, desk: CallDesk, board: Board, rules: CallRules) -> None:
        self._desk = desk
        self._board = board
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._speech = Speech(rules.apdu_octets_max)
        self._intake: NotificationIntake | None = None
        self._said: deque[Said] = deque()
        self._working: asyncio.Task[None] | None = None
        self._lent: LentQueue | LentLine | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._strikes = 0
        self._heard = False
        self._hung_up = False
        self._is_paused = False
        self.peer = ""
        self.address = ""
        self.is_known = False
        self.ended = False

    # -------------------------------------------------------------- for desk and readers
    @property
    def busy(self) -> bool:
        """True while somebody reads over it."""
        return self._lent is not None

    async def open(self, route: Route, client: int, server: int, timeout_s: float) -> "CalledChannel":
        """Borrow the line to read the meter; closing the channel gives it back, or hangs up if anything failed.

        Raise TransportError when it is lent already or has ended, and what setting an HDLC link up raises.
        """
        transport = self._transport
        if self.busy or self.ended or transport is None:
            raise TransportError(
                "Line Busy", tried=f"the line that {self.address} opened", next_step="wait: it is tried again"
            )
        self._watch(None)
        if isinstance(route.link, HdlcLink):
            line = self._lent = LentLine(self.address, transport)
            try:
                channel: MeterChannel = await HdlcChannel.set_up(
                    line, hdlc_route(route.link, client, server, timeout_s), timeout_s
                )
            except BaseException:
                self._given_back(line, healthy=False)
                raise
        else:
            queue = self._lent = LentQueue(self.address, transport)
            channel = FramesChannel(queue, client, server)
        if route.gateway is not None:
            channel = GatewayChannel(channel, route.gateway.network, route.gateway.device)
        return CalledChannel(self, channel, self._lent)

    def answer(self, frame: Frame, apdu: bytes | None) -> None:
        """Say this to the sender of a notification, also later on; nothing while somebody reads over the line."""
        if apdu is not None and self._lent is None:
            self._write(self._speech.framed(frame, apdu))

    def trust(self) -> None:
        """It is known who this is: the line stays."""
        if not self.is_known:
            self.is_known = True
            self._board.known(self)
        self._watch_silence()

    def distrust(self) -> None:
        """It said something that is not believed; who does so again and again is cut off."""
        self._strikes += 1
        if self._strikes >= self._rules.strikes_max:
            self.hang_up()

    def hang_up(self) -> None:
        """Cut it; what it said and nobody took is of no interest any more."""
        self._said.clear()
        if self._transport is not None:
            self._transport.abort()

    def given_back(self, lent: LentQueue | LentLine, *, healthy: bool) -> None:
        """Called by the channel when it is closed."""
        self._given_back(lent, healthy=healthy)

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in or cut it off."""
        self._transport = cast("asyncio.Transport", transport)  # other loops' transports do not inherit from it
        host, port, *_ = transport.get_extra_info("peername") or ("unknown", 0)
        self.peer, self.address = str(host), f"{host}:{port}"
        if not self._board.admits(self):
            self._transport.abort()
            return
        _keep_alive(transport.get_extra_info("socket"))
        self._watch(min(self._rules.asked_after_s, self._rules.stranger_silence_s))

    def data_received(self, data: bytes) -> None:
        """What it says is for whoever reads it, or else for the desk."""
        if self._lent is not None:
            self._lent.feed(data)
            return
        was_between = not self._speech.pending_octets
        try:
            said = self._speech.feed(data)
        except RemoteProtocolError as error:
            self._desk.garbled(self, data, error)
            self.hang_up()
            return
        self._take(said)
        if self._is_paused:
            self._watch(None)  # it is we who keep it waiting
        elif said or self.is_known:
            self._watch_progress(begun=was_between or bool(said))
        elif was_between and self._speech.pending_octets:
            left_s = self._due_s - self._loop.time() if self._heard else self._rules.frame_timeout_s
            self._watch(min(left_s, self._rules.frame_timeout_s))
        self._heard |= bool(said or self._speech.pending_octets)

    def eof_received(self) -> bool:
        """It has nothing more to say; what it has said is still answered."""
        self._hung_up = True
        return self._working is not None

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, and with it whatever is being read."""
        self.ended = True
        self._watch(None)
        if self._lent is not None:
            self._lent.lost(exc)
        self._board.gone(self)
        self._desk.gone(self)

    # -------------------------------------------------------------- what it says
    def _take(self, said: Iterable[Said]) -> None:
        self._said.extend(said)
        if len(self._said) > _WAITING_MAX and self._transport is not None:
            self._transport.pause_reading()
            self._is_paused = True
        if self._said and self._working is None:
            self._begin(self._work())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._working = asyncio.create_task(work)
        self._working.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working = None
        if not task.cancelled():
            task.result()
        if self._said:
            self._begin(self._work())
        elif self._hung_up and self._transport is not None:
            self._transport.close()

    async def _work(self) -> None:
        """One message after the other: who calls in gets no more of our time than it waits for."""
        while self._said:
            said = self._said.popleft()
            if isinstance(said, str):
                await self._desk.named(self, said)
            else:
                await self._notified(said)
        if self._is_paused and self._transport is not None and self._stands:
            self._is_paused = False
            self._transport.resume_reading()
            self._watch(self._rules.frame_timeout_s if self._speech.pending_octets else self._silence_s)

    async def _notified(self, frame: Frame) -> None:
        self._intake = self._intake or NotificationIntake(self._rules.apdu_octets_max)
        try:
            message, answers = self._intake.receive(frame.payload)
        except RemoteProtocolError as error:
            self._desk.garbled(self, frame.payload, error)
            self.hang_up()
            return
        confirmation = None
        if message is None:
            self.distrust()  # blocks of a long one count too: nobody sends them for ever
        else:
            confirmation = await self._desk.said(self, frame._replace(payload=message))
        for answer in (*answers, confirmation):  # the last block is acknowledged when the whole is kept
            self.answer(frame, answer)

    @property
    def _stands(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _write(self, octets: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(octets)
        if self._transport.get_write_buffer_size() > self._rules.unread_octets_max:
            self.hang_up()

    # -------------------------------------------------------------- the line
    def _given_back(self, lent: LentQueue | LentLine, *, healthy: bool) -> None:
        if self._lent is not lent:
            return
        self._lent = None
        if not healthy or lent.pending_octets:
            self.hang_up()  # whatever still comes is out of step
            return
        self._take(lent.waiting())
        self._watch_silence()

    # -------------------------------------------------------------- time
    def _watch_progress(self, *, begun: bool) -> None:
        if not self._speech.pending_octets:
            self._watch_silence()
        elif begun:
            self._watch(self._rules.frame_timeout_s)

    def _watch_silence(self) -> None:
        self._watch(self._silence_s)

    @property
    def _silence_s(self) -> float:
        return self._rules.line_silence_s if self.is_known else self._rules.stranger_silence_s

    def _watch(self, within_s: float | None) -> None:
        """Ring after so long; None: not at all. One timer: it looks when it rings whether that was put off."""
        self._due_s = 0.0 if within_s is None else self._loop.time() + within_s
        if self._timer is not None and (within_s is None or self._timer.when() > self._due_s):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and within_s is not None:
            self._timer = self._loop.call_at(self._due_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if not self._due_s or self.ended:
            return
        if self._loop.time() < self._due_s:
            self._timer = self._loop.call_at(self._due_s, self._ring)
        elif not self._heard and not self.is_known:
            self._heard = True
            self._watch(self._rules.stranger_silence_s)
            if self._working is None:
                self._begin(self._desk.silent(self))
        else:
            self.hang_up()


class CalledChannel:
    """Implements `headend.ports.Channel` over a line that the meter opened."""

    __slots__ = ("_call", "_channel", "_healthy", "_lent")

    def __init__(self, call: Call, channel: MeterChannel, lent: LentQueue | LentLine) -> None:
        self._call = call
        self._channel = channel
        self._lent = lent
        self._healthy = True

    @property
    def unsolicited(self) -> deque[bytes]:
        """What the meter said in between without being asked."""
        return self._channel.unsolicited

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send an APDU, return the answer's; raises as the channel of the framing does."""
        try:
            return await self._channel.exchange(apdu, timeout_s)
        except BaseException:
            self._healthy = False  # an answer may still be on its way
            raise

    async def close(self) -> None:
        """Give the line back, or hang up when it is out of step."""
        try:
            await self._channel.close()
        except AmityError:
            self._healthy = False
        finally:
            self._call.given_back(self._lent, healthy=self._healthy)


def _keep_alive(held: socket.socket | None) -> None:
    """A line whose other end vanished without a word is noticed."""
    if held is None:
        return
    held.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):  # not every system has all of them
            held.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
