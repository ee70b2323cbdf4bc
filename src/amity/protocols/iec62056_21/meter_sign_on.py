"""Being signed on to, the meter's side of modes C and E (IEC 62056-21, 6.4.3 and annex E).

state       request     acknowledgement                      time
WAITING     IDENTIFIED  -                                    -
IDENTIFIED  IDENTIFIED  LEAVING (mode E), SIGNED_ON          WAITING
LEAVING     -           -                                    SIGNED_ON, once the confirmation has left the line
"""

from dataclasses import dataclass
from enum import Enum, auto

from amity.protocols.iec62056_21.events import Event, Send, SetLine, SignedOn, WakeAt
from amity.protocols.iec62056_21.messages import (
    ACK,
    END,
    MESSAGE_OCTETS_MAX,
    Acknowledgement,
    Identification,
    Mode,
    decode_acknowledgement,
    decode_request,
    with_even_parity,
    without_parity,
)

_BITS_AN_OCTET = 10


@dataclass(frozen=True, slots=True)
class MeterSignOnSettings:
    """Who answers a request, and how: `address` is the meter's own; a request without one is for every meter."""

    identification: Identification
    address: str = ""
    opening_baud: int = 300
    parity_by_hand: bool = False
    choice_timeout_s: float = 5.0


class State(Enum):
    """Where the sign-on stands."""

    WAITING = auto()
    IDENTIFIED = auto()
    LEAVING = auto()
    SIGNED_ON = auto()


class MeterSignOn:
    """One sign-on; every method takes the time of any clock that never goes back, and returns what is to be done."""

    def __init__(self, settings: MeterSignOnSettings) -> None:
        self.settings = settings
        self.state = State.WAITING
        self._received = b""
        self._chosen = Acknowledgement(Mode.READOUT, settings.opening_baud)

    def start(self) -> list[Event]:
        """Listen as every sign-on begins."""
        self.state = State.WAITING
        return [self._line(self.settings.opening_baud)]

    def receive(self, octets: bytes, now_s: float) -> list[Event]:
        """Take what the line brought, in whatever pieces."""
        if self.state is State.LEAVING:
            self._received += octets
            return []
        self._received = (self._received + without_parity(octets))[-MESSAGE_OCTETS_MAX:]
        *messages, self._received = self._received.split(END)
        return [event for message in messages for event in self._on_message(message + END, now_s)]

    def wake(self, now_s: float) -> list[Event]:
        """The time said last has come."""
        del now_s
        if self.state is State.LEAVING:
            return self._signed_on()
        return [*self.start(), WakeAt(None)] if self.state is State.IDENTIFIED else []

    def _on_message(self, message: bytes, now_s: float) -> list[Event]:
        address = decode_request(message[max(message.rfind(b"/?"), 0) :])
        if address is not None and address in {"", self.settings.address}:
            self.state = State.IDENTIFIED
            answer = self._coded(self.settings.identification.encode())
            return [Send(answer), WakeAt(now_s + self._on_the_line_s(answer) + self.settings.choice_timeout_s)]
        chosen = decode_acknowledgement(message[max(message.rfind(ACK), 0) :])
        if self.state is not State.IDENTIFIED or chosen is None:
            return []
        return self._on_choice(chosen, now_s)

    def _on_choice(self, chosen: Acknowledgement, now_s: float) -> list[Event]:
        self._chosen = chosen
        self._received = b""
        if chosen.mode is not Mode.HDLC:
            return self._signed_on()
        self.state = State.LEAVING
        confirmation = self._coded(chosen.encode())
        leaving_s = len(confirmation) * _BITS_AN_OCTET / chosen.baud
        return [self._line(chosen.baud), Send(confirmation), WakeAt(now_s + leaving_s)]

    def _signed_on(self) -> list[Event]:
        self.state = State.SIGNED_ON
        mode, baud = self._chosen
        rest, self._received = self._received, b""
        return [
            SetLine(baud, seven_bits_even=False) if mode is Mode.HDLC else self._line(baud),
            WakeAt(None),
            SignedOn(mode, baud, self.settings.identification, rest),
        ]

    def _line(self, baud: int) -> SetLine:
        return SetLine(baud, seven_bits_even=not self.settings.parity_by_hand)

    def _coded(self, message: bytes) -> bytes:
        return with_even_parity(message) if self.settings.parity_by_hand else message

    def _on_the_line_s(self, message: bytes) -> float:
        return len(message) * _BITS_AN_OCTET / self.settings.opening_baud
