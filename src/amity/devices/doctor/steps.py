"""What the doctor asks the outside to do: try a conversation over a link, or wait; the answer is sent back in."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from amity.devices.client.conversation import Conversation
from amity.devices.profiles import Framing, SignOn

Result = TypeVar("Result")
Return = TypeVar("Return")

HDLC_OCTETS_MIDDLE, HDLC_OCTETS_LONG = 2, 4


@dataclass(frozen=True, slots=True)
class Link:
    """One way to a logical device: framing, addresses, and for a serial line speed and sign-on.

    `physical` is the lower HDLC address, None without one; `address_octets` the width of the server's HDLC address, 0
    for the shortest that fits. `baud` is None where the line is no serial one.
    """

    framing: Framing
    client: int
    server: int
    physical: int | None = None
    address_octets: int = 0
    baud: int | None = None
    sign_on: SignOn = SignOn.NONE

    def __str__(self) -> str:
        """`wrapper, client 16 to server 1`."""
        parts = [self.framing.value]
        if self.baud is not None:
            parts.append(f"{self.baud} baud" + (" after mode E sign-on" if self.sign_on is SignOn.MODE_E else ""))
        return ", ".join((*parts, f"client {self.client} to server {self._server}"))

    @property
    def _server(self) -> str:
        physical = "" if self.physical is None else f"/{self.physical}"
        octets = f" in {self.address_octets} octets" if self.address_octets else ""
        return f"{self.server}{physical}{octets}"

    def as_client(self, client: int) -> "Link":
        """The same way for another client."""
        return replace(self, client=client)


@dataclass(frozen=True, slots=True)
class Attempt(Generic[Result]):
    """Open the link, lead the conversation, then say farewell (whether that is answered does not matter) and close.

    What comes back is `Reached`; a failure is thrown in as the AmityError that it was.
    """

    link: Link
    conversation: Conversation[Result]
    farewell: Callable[[Result], Conversation[bool]] | None = None


class Reached(NamedTuple):
    """What the conversation came to, and whether the farewell was answered (None: there was none)."""

    value: Any
    farewell_answered: bool | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Leave the meter alone for a while."""

    seconds: float


Step = Attempt[Any] | Pause
Examination = Generator[Step, Reached | None, Return]
"""`reached = yield Attempt(…)`, `yield Pause(…)`; what it returns is what was wanted."""
