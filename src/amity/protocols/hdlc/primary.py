"""The client's end of an HDLC link, the primary station in normal response mode (IEC 62056-46, 6.4.4; ISO/IEC 13239).

state          connect     send      disconnect     UA            DM            I RR RNR REJ   FRMR          time
DISCONNECTED   CONNECTING  error     -              -             -             -              -             -
CONNECTING     error       error     DISCONNECTING  READY         DISCONNECTED  -              DISCONNECTED  again
READY          error       AWAITING  DISCONNECTING  -             DISCONNECTED  -              DISCONNECTED  -
AWAITING       error       AWAITING  DISCONNECTING  -             DISCONNECTED  see below      DISCONNECTED  again
PAUSING        error       AWAITING  DISCONNECTING  -             DISCONNECTED  -              DISCONNECTED  AWAITING
DISCONNECTING  error       error     -              DISCONNECTED  DISCONNECTED  -              -             again

`-` changes nothing; `again` asks again, and DISCONNECTED follows after as many times as the settings allow. A frame
that gives us the turn (F) leads from AWAITING to READY when the answer is whole, to PAUSING when the meter has nothing
to say yet or is not ready, and to AWAITING when there is more to send or to fetch. `poll` goes where `send` does; what
is sent in AWAITING goes out as soon as we have the turn. A UI frame is taken in every state.
The meter has the turn in CONNECTING, AWAITING and DISCONNECTING, we have it in the others.
"""

from collections.abc import Callable, Collection
from enum import Enum, auto
from typing import ClassVar

from amity.kernel.errors import LocalProtocolError
from amity.protocols.hdlc.address import CALLED_LOWER, Address
from amity.protocols.hdlc.events import Connected, Deliver, Disconnected, Ending, Event, Notice, Send
from amity.protocols.hdlc.frame import Frame, FrameKind, HdlcError, control_of, encode, information_control
from amity.protocols.hdlc.llc import LLC_REQUEST, without_llc
from amity.protocols.hdlc.parameters import DEFAULT_PARAMETERS, decode_parameters
from amity.protocols.hdlc.sequence import Incoming, Outgoing
from amity.protocols.hdlc.station import LinkSettings, Station


class State(Enum):
    """Where the link stands, and whose turn it is."""

    DISCONNECTED = auto()
    CONNECTING = auto()
    READY = auto()
    AWAITING = auto()
    PAUSING = auto()
    DISCONNECTING = auto()


_CONNECTED = (State.READY, State.AWAITING, State.PAUSING)
_THEIR_TURN = (State.CONNECTING, State.AWAITING, State.DISCONNECTING)


_Actions = dict[FrameKind, Callable[["Primary", Frame], None]]


class Primary(Station):
    """One client on a line with one meter; APDUs go in and come out without LLC octets.

    `parameters` are those in force; `busy`, set to True, makes the meter hold back its information (RNR).
    """

    def __init__(self, client: Address, server: Address, settings: LinkSettings | None = None) -> None:
        super().__init__(settings or LinkSettings())
        self.client = client
        self.server = server
        self.state = State.DISCONNECTED
        self.parameters = DEFAULT_PARAMETERS
        self.busy = False
        self._deadline_s: float | None = None
        self._unanswered = 0
        self._peer_busy = False
        self._outgoing = Outgoing()
        self._incoming = Incoming()

    # -------------------------------------------------------------- what the client wants
    def connect(self, now_s: float) -> list[Event]:
        """Set the link up: SNRM. `Connected` or `Disconnected` follows."""
        self._only_in({State.DISCONNECTED}, now_s)
        self._enter(State.CONNECTING)
        self._set_up()
        return self._done()

    def send(self, apdu: bytes, now_s: float, *, more: bool = False) -> list[Event]:
        """Send a request; `Deliver` follows, or `Disconnected`. With `more` it waits for the next one to go with."""
        self._only_in(_CONNECTED, now_s)
        self._outgoing.load(LLC_REQUEST + apdu, self.parameters.transmit_octets)
        if not more and self.state is not State.AWAITING:
            self._burst()
        return self._done()

    def poll(self, now_s: float) -> list[Event]:
        """Ask the meter whether it has anything to say; `Deliver` follows, or `Disconnected`."""
        self._only_in(_CONNECTED, now_s)
        if self.state is not State.AWAITING and self._outgoing.unfinished:
            self._burst()
        elif self.state is not State.AWAITING:
            self._poll()
        return self._done()

    def send_unnumbered(self, apdu: bytes, now_s: float) -> list[Event]:
        """Send an APDU that nobody acknowledges, in a UI frame, while it is our turn."""
        if self.state in _THEIR_TURN:
            raise LocalProtocolError(f"the meter has the turn on this link ({self.state.name})")
        self._now_s = now_s
        self._put(control_of(FrameKind.UI, final=False), LLC_REQUEST + apdu)
        return self._done()

    def disconnect(self, now_s: float) -> list[Event]:
        """Take the link down: DISC. `Disconnected` follows; nothing happens when it is down already."""
        self._now_s = now_s
        if self.state not in {State.DISCONNECTED, State.DISCONNECTING}:
            self._enter(State.DISCONNECTING)
            self._ask(FrameKind.DISC)
        return self._done()

    # -------------------------------------------------------------- what the line brings
    def _on_frame(self, frame: Frame) -> None:
        if not self._is_for_us(frame):
            return
        if frame.kind is FrameKind.UI:
            self._events.append(Notice(self.client.upper, without_llc(frame.information)))
            return
        action = self._ACTIONS[self.state].get(frame.kind)
        if action is not None:
            action(self, frame)

    def _is_for_us(self, frame: Frame) -> bool:
        if frame.destination.station != self.client.station or frame.source.upper != self.server.upper:
            return False
        asked, answering = self.server.lower, frame.source.lower
        # Some meters write the short form of their address, whatever form they were called by.
        return asked is None or asked in CALLED_LOWER or answering is None or answering == asked

    def _on_connected(self, frame: Frame) -> None:
        """UA to our SNRM; where its parameters do not decode, the least of the standard suits every meter."""
        try:
            theirs = decode_parameters(frame.information)
        except HdlcError:
            theirs = DEFAULT_PARAMETERS
        self.parameters = self.settings.parameters.limited_by(theirs)
        self._outgoing, self._incoming, self._peer_busy = Outgoing(), Incoming(), False
        self._enter(State.READY)
        self._events.append(Connected(self.client.upper, self.parameters))

    def _on_refused(self, _frame: Frame) -> None:
        self._end(Ending.REFUSED, "the meter is in disconnected mode (DM)")

    def _on_released(self, _frame: Frame) -> None:
        self._end(Ending.RELEASED, "as asked")

    def _on_rejected(self, frame: Frame) -> None:
        self._end(Ending.REJECTED, f"the meter cannot go on (FRMR {frame.information[:3].hex(' ')})")

    def _on_information(self, frame: Frame) -> None:
        progress = self._acknowledged(frame)
        if progress is None:
            return
        try:
            accepted = self._incoming.accept(frame)
        except HdlcError as error:
            self._end(Ending.VIOLATED, error.what)
            return
        if not (accepted or progress) and self._incoming.is_repeated(frame):
            return  # a late copy of an answer that we have: the answer to our question is still to come
        self._go_on(frame, progress=accepted or progress)

    def _on_supervisory(self, frame: Frame) -> None:
        progress = self._acknowledged(frame)
        if progress is not None:
            was_busy, self._peer_busy = self._peer_busy, frame.kind is FrameKind.RNR
            self._go_on(frame, progress=progress or was_busy)

    def _acknowledged(self, frame: Frame) -> bool | None:
        """Whether the meter has more of what we sent than before; None, and the link ends, when it says nonsense."""
        if not self._outgoing.acknowledges(frame.receive_number):
            self._end(Ending.VIOLATED, f"the meter acknowledges frame {frame.receive_number}, which was never sent")
            return None
        return self._outgoing.acknowledge(frame.receive_number)

    # -------------------------------------------------------------- whose turn it is
    def _go_on(self, frame: Frame, *, progress: bool) -> None:
        """Wait for more while the meter has the turn; speak when it gives it back (F)."""
        self._deadline_s = self._now_s + self.settings.response_timeout_s
        if progress or not self._outgoing.unfinished:
            self._unanswered = 0
        if frame.final:
            self._speak(progress=progress)

    def _speak(self, *, progress: bool) -> None:
        delivered = [Deliver(self.client.upper, without_llc(one)) for one in self._incoming.take()]
        self._events += delivered
        if self._outgoing.unfinished:
            self._send_the_rest(progress=progress)
        elif self._incoming.partial or self._incoming.gap:
            self._poll()
        elif delivered:
            self._enter(State.READY)
        else:
            self._pause()

    def _send_the_rest(self, *, progress: bool) -> None:
        """With the turn back, whatever was sent and is not acknowledged was lost (ISO/IEC 13239: checkpointing)."""
        self._outgoing.rewind()
        if self._peer_busy:
            self._pause()
        elif progress or self._may_ask_again():
            self._burst()

    def _burst(self) -> None:
        segments = self._outgoing.burst(self.parameters.transmit_window)
        for segment in segments:
            control = information_control(segment.number, self._incoming.expected, final=segment is segments[-1])
            self._put(control, segment.information, segmented=segment.more)
        self._enter(State.AWAITING)

    def _poll(self) -> None:
        kind = FrameKind.RNR if self.busy else FrameKind.RR
        if self._incoming.gap and self.settings.rejects:
            kind = FrameKind.REJ
        self._incoming.gap = False
        self._put(control_of(kind, self._incoming.expected))
        self._enter(State.AWAITING)

    def _pause(self) -> None:
        self._enter(State.PAUSING)
        self._deadline_s = self._now_s + self.settings.poll_interval_s

    # -------------------------------------------------------------- time
    def _due_s(self) -> float | None:
        return self._deadline_s

    def _on_time(self) -> None:
        if self.state is State.PAUSING:
            self._poll()
        elif self._may_ask_again():
            self._QUESTIONS[self.state](self)

    def _may_ask_again(self) -> bool:
        self._unanswered += 1
        if self._unanswered <= self.settings.retries:
            return True
        self._end(Ending.SILENT, f"no answer to {self._unanswered} frames")
        return False

    def _enquire(self) -> None:
        """Ask what the meter has (RR); one that does not answer even that is sent the frames again."""
        if self._outgoing.unfinished and self._unanswered > 1:
            self._outgoing.rewind()
            self._burst()
        else:
            self._poll()

    def _set_up(self) -> None:
        ours = self.settings.parameters
        self._ask(FrameKind.SNRM, b"" if ours == DEFAULT_PARAMETERS else ours.encode())

    def _take_down(self) -> None:
        self._ask(FrameKind.DISC)

    def _ask(self, kind: FrameKind, information: bytes = b"") -> None:
        self._put(control_of(kind), information)
        self._deadline_s = self._now_s + self.settings.response_timeout_s

    # -------------------------------------------------------------- small change
    def _put(self, control: int, information: bytes = b"", *, segmented: bool = False) -> None:
        self._events.append(Send(encode(self.client, self.server, control, information, segmented=segmented)))

    def _enter(self, state: State) -> None:
        self.state = state
        if state is not State.AWAITING:
            self._unanswered = 0
        self._deadline_s = self._now_s + self.settings.response_timeout_s if state in _THEIR_TURN else None

    def _end(self, ending: Ending, detail: str) -> None:
        self._enter(State.DISCONNECTED)
        self._events.append(Disconnected(self.client.upper, ending, detail))

    def _only_in(self, states: Collection[State], now_s: float) -> None:
        if self.state not in states:
            wanted = " or ".join(state.name for state in states)
            raise LocalProtocolError(f"the link is {self.state.name}, not {wanted}")
        self._now_s = now_s

    # -------------------------------------------------------------- the table
    _ON_LINK: ClassVar[_Actions] = {FrameKind.DM: _on_refused, FrameKind.FRMR: _on_rejected}
    _ACTIONS: ClassVar[dict[State, _Actions]] = {
        State.DISCONNECTED: {},
        State.CONNECTING: {**_ON_LINK, FrameKind.UA: _on_connected},
        State.READY: _ON_LINK,
        State.AWAITING: {
            **_ON_LINK,
            FrameKind.I: _on_information,
            **dict.fromkeys((FrameKind.RR, FrameKind.RNR, FrameKind.REJ), _on_supervisory),
        },
        State.PAUSING: _ON_LINK,
        State.DISCONNECTING: dict.fromkeys((FrameKind.UA, FrameKind.DM), _on_released),
    }
    _QUESTIONS: ClassVar[dict[State, Callable[["Primary"], None]]] = {
        State.CONNECTING: _set_up,
        State.AWAITING: _enquire,
        State.DISCONNECTING: _take_down,
    }
