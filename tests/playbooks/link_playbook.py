"""HDLC links as sequence diagrams, seen from one station.

`<<` goes out and `>>` comes in: a kind, N(S) and N(R) where it has them, P where it gives the turn, octets `from:to` of
the information (LLC and an APDU of rising octets), `more` for a segment, `SIZExWINDOW` for what SNRM and UA ask for.
`do` is what the one behind the station wants, `==` what it is told. Whatever happens must stand in the script.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator

from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.events import Connected, Deliver, Disconnected, Event, Notice, Send, WakeAt
from amity.protocols.hdlc.frame import Frame, FrameKind, Reader, control_of, encode, information_control
from amity.protocols.hdlc.llc import LLC_REQUEST, LLC_RESPONSE
from amity.protocols.hdlc.parameters import Parameters, decode_parameters
from amity.protocols.hdlc.primary import Primary
from amity.protocols.hdlc.secondary import Secondary

CLIENT, METER = Address(16), Address(1, 17)
_FRAME = re.compile(
    r"(?P<kind>[A-Z]+)(?:\((?:(?P<send>\d),)?(?P<receive>\d)\))?(?P<turn> P)?"
    r"(?: (?P<first>\d+):(?P<last>\d+))?(?P<more> more)?(?: (?P<size>\d+)x(?P<window>\d))?(?: (?P<hex>[0-9a-f]+))?"
)


def apdu(octets: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in range(octets))[:octets]


class LinkPlay:
    """One station under a script; the time is ours."""

    def __init__(self, station: Primary | Secondary) -> None:
        self.station = station
        self.now_s = 100.0
        self.wake_s: float | None = None
        self.sent: deque[str] = deque()
        self.told: deque[str] = deque()
        self._reader = Reader()

    def play(self, script: str) -> None:
        for line in script.splitlines():
            step = line.partition("#")[0].strip()
            if step:
                self._step(step[:2], step[2:].strip(), line)
        assert not self.sent, f"went out beyond the script: {list(self.sent)}"
        assert not self.told, f"was told beyond the script: {list(self.told)}"

    def _step(self, mark: str, what: str, line: str) -> None:
        if mark == "<<":
            assert self.sent, f"nothing went out: {line}"
            assert self.sent.popleft() == what, line
        elif mark == "==":
            assert self.told, f"nothing was told: {line}"
            assert self.told.popleft() == what, line
        elif mark == ">>":
            self.take(self.station.receive(self.frame(what), self.now_s))
        else:
            self.take(self._do(what))

    # -------------------------------------------------------------- what is wanted
    def _do(self, what: str) -> list[Event]:
        word, _, number = what.partition(" ")
        if word == "wait":
            assert self.wake_s is not None, "nothing is waited for"
            self.now_s, self.wake_s = self.wake_s, None
            return self.station.wake(self.now_s)
        if word in {"busy", "ready"}:
            self.station.busy = word == "busy"
            return []
        if word == "noise":
            return self.station.receive(bytes.fromhex(number), self.now_s)
        return self._wanted(word, apdu(int(number or 0)))

    def _wanted(self, word: str, octets: bytes) -> list[Event]:
        station = self.station
        if isinstance(station, Primary):
            wishes: dict[str, Callable[[], list[Event]]] = {
                "connect": lambda: station.connect(self.now_s),
                "disconnect": lambda: station.disconnect(self.now_s),
                "send": lambda: station.send(octets, self.now_s),
                "more": lambda: station.send(octets, self.now_s, more=True),
                "poll": lambda: station.poll(self.now_s),
                "push": lambda: station.send_unnumbered(octets, self.now_s),
            }
        else:
            wishes = {
                "send": lambda: station.send(CLIENT.upper, octets, self.now_s),
                "more": lambda: station.send(CLIENT.upper, octets, self.now_s, more=True),
                "pass": lambda: station.pass_turn(CLIENT.upper, self.now_s),
                "push": lambda: station.send_unnumbered(CLIENT, octets, self.now_s),
            }
        return wishes[word]()

    def take(self, events: list[Event]) -> None:
        """Note what a station asks for."""
        for event in events:
            if isinstance(event, Send):
                self.sent.extend(self._written(frame) for frame in self._reader.feed(event.octets))
            elif isinstance(event, WakeAt):
                self.wake_s = event.at_s
            else:
                self.told.append(_told(event))

    # -------------------------------------------------------------- frames
    @property
    def _theirs(self) -> bytes:
        return LLC_RESPONSE if isinstance(self.station, Primary) else LLC_REQUEST

    @property
    def _ours(self) -> bytes:
        return LLC_REQUEST if isinstance(self.station, Primary) else LLC_RESPONSE

    def frame(self, text: str) -> bytes:
        """The octets of a frame of the other side."""
        match = _FRAME.fullmatch(text)
        assert match, f"not a frame: {text}"
        final, kind = match["turn"] is not None, FrameKind(match["kind"])
        if kind is FrameKind.I:
            control = information_control(int(match["send"]), int(match["receive"]), final=final)
        else:
            control = control_of(kind, int(match["receive"] or 0), final=final)
        information = (self._theirs + apdu(5000))[int(match["first"] or 0) : int(match["last"] or 0)]
        if match["size"]:
            information = Parameters.both_ways(int(match["size"]), int(match["window"])).encode()
        information += bytes.fromhex(match["hex"] or "")
        ends = (METER, CLIENT) if isinstance(self.station, Primary) else (CLIENT, METER)
        return encode(*ends, control, information, segmented=match["more"] is not None)

    def _written(self, frame: Frame) -> str:
        """A frame of ours in the words of the script."""
        text = frame.kind.value
        if frame.kind is FrameKind.I:
            text += f"({frame.send_number},{frame.receive_number})"
        elif frame.kind in {FrameKind.RR, FrameKind.RNR, FrameKind.REJ}:
            text += f"({frame.receive_number})"
        text += " P" * frame.final
        if frame.kind in {FrameKind.SNRM, FrameKind.UA} and frame.information:
            said = decode_parameters(frame.information)
            return f"{text} {said.transmit_octets}x{said.transmit_window}"
        if frame.kind is FrameKind.FRMR:
            return f"{text} {frame.information.hex()}"
        return text + self._place(frame.information) + " more" * frame.segmented

    def _place(self, information: bytes) -> str:
        if not information:
            return ""
        first = (self._ours + apdu(5000)).find(information)
        assert first >= 0, f"these octets are of no APDU of the script: {information.hex()}"
        return f" {first}:{first + len(information)}"


def _told(event: Event) -> str:
    match event:
        case Connected(_, parameters):
            return f"connected {parameters.transmit_octets}x{parameters.transmit_window}"
        case Deliver(_, octets) | Notice(_, octets):
            assert octets == apdu(len(octets)), "the APDU was joined wrongly"
            return f"{type(event).__name__.lower()} {len(octets)}"
        case Disconnected(_, ending, _):
            return f"disconnected {ending}"
    raise AssertionError(event)


def frames_of(events: list[Event]) -> Iterator[Frame]:
    """The frames that a station sends."""
    for event in events:
        if isinstance(event, Send):
            yield from Reader().feed(event.octets)
