"""What a sign-on asks of the one who drives the line, as values."""

from typing import NamedTuple

from amity.protocols.iec62056_21.messages import Identification, Mode


class Send(NamedTuple):
    """Put these octets on the line."""

    octets: bytes


class SetLine(NamedTuple):
    """Set the line to this rate, and to seven data bits with even parity or to eight without."""

    baud: int
    seven_bits_even: bool


class WakeAt(NamedTuple):
    """Call `wake` at this time, or at any later one; it replaces the time said before; None: no longer."""

    at_s: float | None


class SignedOn(NamedTuple):
    """From here on the line belongs to the protocol of the mode; `rest` came already and is its first octets."""

    mode: Mode
    baud: int
    identification: Identification
    rest: bytes = b""


class Failed(NamedTuple):
    """Nobody signed on; `answer` is what came instead."""

    detail: str
    answer: str


Event = Send | SetLine | WakeAt | SignedOn | Failed
