"""Signing on as a client in modes C and E (IEC 62056-21, 6.4.3 and annex E; IEC 62056-46 takes over from there).

state        start        identification  confirmation  time
IDLE         ASKING       -               -             -
ASKING       -            SWITCHING       -             asks again, FAILED
SWITCHING    -            -               -             CONFIRMING, or SIGNED_ON in mode C
CONFIRMING   -            -               SIGNED_ON     SIGNED_ON (not every meter confirms)

SWITCHING lasts until our acknowledgement has left the line; then both sides change the rate. Whoever drives the line
takes the echo of an optical head out before it comes here.
"""

from dataclasses import dataclass
from enum import Enum, auto

from amity.kernel.errors import LocalProtocolError
from amity.protocols.iec62056_21.events import Event, Failed, Send, SetLine, SignedOn, WakeAt
from amity.protocols.iec62056_21.messages import (
    ACK,
    END,
    MESSAGE_OCTETS_MAX,
    Acknowledgement,
    Identification,
    Mode,
    SignOnError,
    decode_acknowledgement,
    decode_identification,
    request,
    with_even_parity,
    without_parity,
)

_BITS_AN_OCTET = 10  # start, seven data, parity, stop; or start, eight data, stop
_LEAVING_S = 0.05  # for the buffers of adapters; a meter waits 0.2 s before it answers (0.02 s for a lower-case maker)


@dataclass(frozen=True, slots=True)
class SignOnSettings:
    """How a client signs on; times in seconds.

    Args:
        mode: what to sign on to.
        address: of the device, where several share a line; empty calls whoever is there.
        opening_baud: the rate at which every sign-on begins.
        baud_max: the most we accept of what the meter proposes; None takes the proposal.
        parity_by_hand: the line has eight data bits throughout (a socket, a pty), so the parity bit is ours to make.
        confirms_at_opening_rate: this meter confirms mode E before it changes the rate.
        reply_timeout_s: how long an identification may take to come; the standard allows 1.5 s to begin.
        retries: how often the request is made again.
    """

    mode: Mode = Mode.HDLC
    address: str = ""
    opening_baud: int = 300
    baud_max: int | None = None
    parity_by_hand: bool = False
    confirms_at_opening_rate: bool = False
    reply_timeout_s: float = 2.5
    confirmation_timeout_s: float = 1.5
    retries: int = 2


class State(Enum):
    """Where the sign-on stands."""

    IDLE = auto()
    ASKING = auto()
    SWITCHING = auto()
    CONFIRMING = auto()
    SIGNED_ON = auto()
    FAILED = auto()


class SignOn:
    """One sign-on; every method takes the time of any clock that never goes back, and returns what is to be done."""

    def __init__(self, settings: SignOnSettings | None = None) -> None:
        self.settings = settings or SignOnSettings()
        self.state = State.IDLE
        self._asked = 0
        self._received = b""
        self._identification: Identification | None = None
        self._chosen = Acknowledgement(self.settings.mode, self.settings.opening_baud)

    def start(self, now_s: float) -> list[Event]:
        """Call the meter. `SignedOn` or `Failed` follows."""
        if self.state is not State.IDLE:
            raise LocalProtocolError(f"this sign-on has begun already ({self.state.name})")
        return [self._line(self.settings.opening_baud), *self._ask(now_s)]

    def receive(self, octets: bytes, now_s: float) -> list[Event]:
        """Take what the line brought, in whatever pieces."""
        if self.state is State.ASKING:
            return self._on_identification(octets, now_s)
        self._received = (self._received + octets)[-MESSAGE_OCTETS_MAX:]
        return self._confirmed() if self.state is State.CONFIRMING else []

    def wake(self, now_s: float) -> list[Event]:
        """The time said last has come."""
        if self.state is State.ASKING:
            return self._ask(now_s)
        if self.state is State.SWITCHING:
            return self._switch(now_s)
        return self._signed_on(b"") if self.state is State.CONFIRMING else []

    # -------------------------------------------------------------- steps
    def _ask(self, now_s: float) -> list[Event]:
        if self._asked > self.settings.retries:
            self.state = State.FAILED
            what = repr(self._received) if self._received else "nothing"
            return [WakeAt(None), Failed(f"no identification after {self._asked} requests", what)]
        self._asked += 1
        self._received = b""
        self.state = State.ASKING
        message = request(self.settings.address)
        until_s = now_s + self._on_the_line_s(message) + self.settings.reply_timeout_s
        return [Send(self._coded(message)), WakeAt(until_s)]

    def _on_identification(self, octets: bytes, now_s: float) -> list[Event]:
        received = (self._received + without_parity(octets))[-MESSAGE_OCTETS_MAX:]
        *messages, self._received = received.split(END)
        for message in messages:
            start = message.rfind(b"/")
            if start < 0:
                continue  # noise
            try:
                identification = decode_identification(message[start:])
            except SignOnError as error:
                self.state = State.FAILED
                return [WakeAt(None), Failed(error.what, error.answer or "")]
            return self._acknowledge(identification, now_s)
        return []

    def _acknowledge(self, identification: Identification, now_s: float) -> list[Event]:
        baud = min(identification.baud, self.settings.baud_max or identification.baud)
        self._identification = identification
        self._chosen = Acknowledgement(self.settings.mode, baud)
        self._received = b""
        self.state = State.SWITCHING
        message = self._chosen.encode()
        return [Send(self._coded(message)), WakeAt(now_s + self._on_the_line_s(message) + _LEAVING_S)]

    def _switch(self, now_s: float) -> list[Event]:
        if self.settings.mode is not Mode.HDLC:
            return self._signed_on(b"")
        self.state = State.CONFIRMING
        baud = self.settings.opening_baud if self.settings.confirms_at_opening_rate else self._chosen.baud
        until = WakeAt(now_s + self.settings.confirmation_timeout_s)
        return [self._line(baud), until, *self._confirmed()]

    def _confirmed(self) -> list[Event]:
        plain = without_parity(self._received)
        start = plain.find(ACK)
        end = plain.find(END, start) if start >= 0 else -1
        if end < 0 or decode_acknowledgement(plain[start:end]) is None:
            return []
        return self._signed_on(self._received[end + len(END) :])

    def _signed_on(self, rest: bytes) -> list[Event]:
        if self._identification is None:
            raise LocalProtocolError("nobody has identified itself yet")
        self.state = State.SIGNED_ON
        mode, baud = self._chosen
        return [
            SetLine(baud, seven_bits_even=False) if mode is Mode.HDLC else self._line(baud),
            WakeAt(None),
            SignedOn(mode, baud, self._identification, rest),
        ]

    # -------------------------------------------------------------- the line
    def _line(self, baud: int) -> SetLine:
        return SetLine(baud, seven_bits_even=not self.settings.parity_by_hand)

    def _coded(self, message: bytes) -> bytes:
        return with_even_parity(message) if self.settings.parity_by_hand else message

    def _on_the_line_s(self, message: bytes) -> float:
        return len(message) * _BITS_AN_OCTET / self.settings.opening_baud
