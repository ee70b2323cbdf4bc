"""What a station asks of the one who drives it: everything that happens on a link, as values."""

from enum import StrEnum
from typing import NamedTuple

from amity.protocols.hdlc.parameters import Parameters


class Ending(StrEnum):
    """Why a link is not, or no longer, connected."""

    RELEASED = "released"  # as one side asked with DISC
    REFUSED = "refused"  # the other station answered that it is in disconnected mode (DM)
    REJECTED = "rejected"  # the other station cannot go on after a frame of ours (FRMR)
    SILENT = "silent"  # no answer, however often it was asked again
    VIOLATED = "violated"  # the other station broke the standard
    REPLACED = "replaced"  # the client set the link up anew


class Send(NamedTuple):
    """Put these octets on the line."""

    octets: bytes


class WakeAt(NamedTuple):
    """Call `wake` at this time, or at any later one; it replaces the time said before; None: no longer."""

    at_s: float | None


class Connected(NamedTuple):
    """The link is set up; `parameters` are those in force, as seen from our side."""

    client: int
    parameters: Parameters


class Deliver(NamedTuple):
    """A whole APDU came in I frames; in a meter, the client waits for `send` or `pass_turn`."""

    client: int
    apdu: bytes


class Notice(NamedTuple):
    """An APDU came unasked, in a UI frame."""

    client: int
    apdu: bytes


class Disconnected(NamedTuple):
    """The link is down; `detail` is a sentence for people."""

    client: int
    ending: Ending
    detail: str


Event = Send | WakeAt | Connected | Deliver | Notice | Disconnected
