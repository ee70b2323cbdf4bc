"""The meter's end of HDLC links, the secondary station in normal response mode (IEC 62056-46, 6.4.4; ISO/IEC 13239).

state         SNRM       DISC          I RR RNR REJ           other        send       pass_turn  silence
DISCONNECTED  LISTENING  -             -                      -            -          -          -
LISTENING     LISTENING  DISCONNECTED  LISTENING ANSWERING    REJECTING    LISTENING  -          DISCONNECTED
ANSWERING     LISTENING  DISCONNECTED  LISTENING ANSWERING    REJECTING    LISTENING  LISTENING  DISCONNECTED
REJECTING     LISTENING  DISCONNECTED  REJECTING              REJECTING    -          -          DISCONNECTED

A client has the turn in LISTENING, we have it in ANSWERING. What is sent in LISTENING goes out with the next poll.
DISCONNECTED answers every poll with DM, REJECTING with FRMR. A UI frame is taken in every state.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import ClassVar

from amity.protocols.hdlc.address import ALL_STATIONS_UPPER, CALLED_LOWER, Address
from amity.protocols.hdlc.events import Connected, Deliver, Disconnected, Ending, Event, Notice, Send
from amity.protocols.hdlc.frame import Frame, FrameKind, HdlcError, control_of, encode, information_control
from amity.protocols.hdlc.llc import LLC_RESPONSE, without_llc
from amity.protocols.hdlc.parameters import Parameters, decode_parameters
from amity.protocols.hdlc.sequence import Incoming, Outgoing
from amity.protocols.hdlc.station import LinkSettings, Station

LINKS_MAX = 8
_UNDEFINED_CONTROL, _TOO_LONG, _INVALID_NUMBER = 0x01, 0x04, 0x08  # bits W, Y and Z of FRMR


class State(Enum):
    """Where the link with one client stands, and whose turn it is."""

    LISTENING = auto()
    ANSWERING = auto()
    REJECTING = auto()


class _Link:
    """The link with one client that is not DISCONNECTED."""

    def __init__(self, client: Address, server: Address, parameters: Parameters) -> None:
        self.client = client
        self.server = server  # in the form that the client writes
        self.parameters = parameters
        self.state = State.LISTENING
        self.heard_s = 0.0
        self.peer_busy = False
        self.outgoing = Outgoing()
        self.incoming = Incoming()
        self.complaint = b""


_Actions = dict[FrameKind, Callable[["Secondary", _Link, Frame], None]]


class Secondary(Station):
    """One meter on a line with its clients; APDUs go in and come out without LLC octets.

    After `Deliver` a client waits: `send` answers it, `pass_turn` says that there is no answer (yet). `busy`, set to
    True, makes clients hold back their information (RNR).
    """

    def __init__(self, server: Address, settings: LinkSettings | None = None) -> None:
        super().__init__(settings or LinkSettings())
        self.server = server
        self.busy = False
        self._links: dict[int, _Link] = {}

    def state_of(self, client: int) -> State | None:
        """Where the link with a client stands; None is DISCONNECTED."""
        link = self._links.get(client)
        return None if link is None else link.state

    # -------------------------------------------------------------- what the meter wants
    def send(self, client: int, apdu: bytes, now_s: float, *, more: bool = False) -> list[Event]:
        """Answer a client, or have something ready for its next poll; lost when the client has left.

        With `more` it waits for the next answer to go with.
        """
        self._now_s = now_s
        link = self._links.get(client)
        if link is not None and link.state is not State.REJECTING:
            link.outgoing.load(LLC_RESPONSE + apdu, link.parameters.transmit_octets)
            if link.state is State.ANSWERING and not more:
                self._burst(link)
        return self._done()

    def pass_turn(self, client: int, now_s: float) -> list[Event]:
        """Give a client the turn without an answer; does nothing when it has the turn."""
        self._now_s = now_s
        link = self._links.get(client)
        if link is not None and link.state is State.ANSWERING:
            self._say_where_we_are(link)
        return self._done()

    def send_unnumbered(self, client: Address, apdu: bytes, now_s: float) -> list[Event]:
        """Push an APDU that nobody acknowledges, in a UI frame."""
        self._now_s = now_s
        self._put(self.server, client, control_of(FrameKind.UI, final=False), LLC_RESPONSE + apdu)
        return self._done()

    # -------------------------------------------------------------- what the line brings
    def _on_frame(self, frame: Frame) -> None:
        if not self._is_for_us(frame.destination):
            return
        link = self._links.get(frame.source.upper)
        if frame.kind is FrameKind.UI:
            self._events.append(Notice(frame.source.upper, without_llc(frame.information)))
        elif frame.destination.upper in ALL_STATIONS_UPPER:
            return  # nobody answers what everybody hears
        elif frame.kind is FrameKind.SNRM:
            self._set_up(frame)
        elif link is None:
            self._say_disconnected(frame)
        else:
            link.heard_s = self._now_s
            self._ACTIONS[link.state].get(frame.kind, Secondary._on_other)(self, link, frame)

    def _is_for_us(self, called: Address) -> bool:
        if self.server.octets not in {None, called.width}:
            return False  # this meter knows one form of address only
        upper = called.upper == self.server.upper or called.upper in ALL_STATIONS_UPPER
        return upper and (called.lower in CALLED_LOWER or called.lower in {None, self.server.lower})

    def _set_up(self, frame: Frame) -> None:
        client = frame.source.upper
        try:
            theirs = decode_parameters(frame.information)
        except HdlcError:
            theirs = None
        full = client not in self._links and len(self._links) >= LINKS_MAX
        if theirs is None or full:
            self._put(self._our_name(frame), frame.source, control_of(FrameKind.DM))
            return
        self._forget(client, Ending.REPLACED, "the client sets the link up anew")
        link = _Link(frame.source, self._our_name(frame), self.settings.parameters.limited_by(theirs))
        link.heard_s = self._now_s
        self._links[client] = link
        self._answer(link, FrameKind.UA, link.parameters.encode())
        self._events.append(Connected(client, link.parameters))

    def _say_disconnected(self, frame: Frame) -> None:
        if frame.final and frame.kind not in {FrameKind.UA, FrameKind.DM, FrameKind.FRMR}:
            self._put(self._our_name(frame), frame.source, control_of(FrameKind.DM))

    def _our_name(self, frame: Frame) -> Address:
        """Our address as the client writes it, unless it called whoever is there."""
        return self.server if frame.destination.lower in CALLED_LOWER else frame.destination

    def _on_disconnect(self, link: _Link, _frame: Frame) -> None:
        self._answer(link, FrameKind.UA)
        self._forget(link.client.upper, Ending.RELEASED, "as the client asked")

    def _on_information(self, link: _Link, frame: Frame) -> None:
        if len(frame.information) > link.parameters.receive_octets:
            self._reject(link, frame, _TOO_LONG)
        elif self._acknowledged(link, frame):
            try:
                if not self.busy:
                    link.incoming.accept(frame)
            except HdlcError:
                self._reject(link, frame, _TOO_LONG)
                return
            self._go_on(link, frame)

    def _on_supervisory(self, link: _Link, frame: Frame) -> None:
        if self._acknowledged(link, frame):
            link.peer_busy = frame.kind is FrameKind.RNR
            self._go_on(link, frame)

    def _on_other(self, link: _Link, frame: Frame) -> None:
        if frame.kind is FrameKind.UNKNOWN:
            self._reject(link, frame, _UNDEFINED_CONTROL)

    def _still_rejected(self, link: _Link, frame: Frame) -> None:
        if frame.final:
            self._answer(link, FrameKind.FRMR, link.complaint)

    def _acknowledged(self, link: _Link, frame: Frame) -> bool:
        if not link.outgoing.acknowledges(frame.receive_number):
            self._reject(link, frame, _INVALID_NUMBER)
            return False
        link.outgoing.acknowledge(frame.receive_number)
        return True

    def _reject(self, link: _Link, frame: Frame, reason: int) -> None:
        numbers = link.incoming.expected << 5 | link.outgoing.next_number << 1
        link.complaint = bytes([frame.control, numbers, reason])
        link.state = State.REJECTING
        self._still_rejected(link, frame)

    # -------------------------------------------------------------- whose turn it is
    def _go_on(self, link: _Link, frame: Frame) -> None:
        """Wait for more while the client has the turn; speak when it gives it to us (P)."""
        if not frame.final:
            return
        link.outgoing.rewind()  # what was sent before this poll and is not acknowledged was lost (checkpointing)
        if link.outgoing.unfinished and not link.peer_busy:
            self._burst(link)
        elif link.incoming.finished and not self.busy:
            link.state = State.ANSWERING
            self._events += [Deliver(link.client.upper, without_llc(one)) for one in link.incoming.take()]
        else:
            self._say_where_we_are(link)

    def _burst(self, link: _Link) -> None:
        segments = link.outgoing.burst(link.parameters.transmit_window)
        for segment in segments:
            control = information_control(segment.number, link.incoming.expected, final=segment is segments[-1])
            self._put(link.server, link.client, control, segment.information, segmented=segment.more)
        link.state = State.LISTENING

    def _say_where_we_are(self, link: _Link) -> None:
        kind = FrameKind.RNR if self.busy else FrameKind.RR
        if link.incoming.gap and self.settings.rejects and not self.busy:
            kind = FrameKind.REJ
        link.incoming.gap = False
        self._put(link.server, link.client, control_of(kind, link.incoming.expected))
        link.state = State.LISTENING

    # -------------------------------------------------------------- time
    def _due_s(self) -> float | None:
        timeout_s = self.settings.inactivity_timeout_s
        if timeout_s is None or not self._links:
            return None
        return min(link.heard_s for link in self._links.values()) + timeout_s

    def _on_time(self) -> None:
        timeout_s = self.settings.inactivity_timeout_s or 0.0
        for client, link in tuple(self._links.items()):
            if self._now_s >= link.heard_s + timeout_s:
                self._forget(client, Ending.SILENT, f"the client said nothing for {timeout_s:g} s")

    # -------------------------------------------------------------- small change
    def _forget(self, client: int, ending: Ending, detail: str) -> None:
        if self._links.pop(client, None) is not None:
            self._events.append(Disconnected(client, ending, detail))

    def _answer(self, link: _Link, kind: FrameKind, information: bytes = b"") -> None:
        self._put(link.server, link.client, control_of(kind), information)

    def _put(
        self, server: Address, client: Address, control: int, information: bytes = b"", *, segmented: bool = False
    ) -> None:
        self._events.append(Send(encode(server, client, control, information, segmented=segmented)))

    # -------------------------------------------------------------- the table
    _CONNECTED: ClassVar[_Actions] = {
        FrameKind.DISC: _on_disconnect,
        FrameKind.I: _on_information,
        **dict.fromkeys((FrameKind.RR, FrameKind.RNR, FrameKind.REJ), _on_supervisory),
    }
    _ACTIONS: ClassVar[dict[State, _Actions]] = {
        State.LISTENING: _CONNECTED,
        State.ANSWERING: _CONNECTED,
        State.REJECTING: {
            FrameKind.DISC: _on_disconnect,
            **dict.fromkeys((FrameKind.I, FrameKind.RR, FrameKind.RNR, FrameKind.REJ), _still_rejected),
        },
    }
