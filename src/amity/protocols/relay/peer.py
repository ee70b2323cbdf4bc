"""The other end of a relay link, as head-end and collector see it; `transports` has the one on a socket."""

from typing import Protocol

from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.link import Traffic
from amity.protocols.relay.messages import Message


class Peer(Protocol):
    """A connection that stands, or has ended; sending into one that has ended does nothing."""

    @property
    def address(self) -> str:
        """Where it is, as logs name it."""
        ...

    @property
    def traffic(self) -> Traffic:
        """Octets so far."""
        ...

    @property
    def rtt_s(self) -> float | None:
        """How long a question to the other end takes, smoothed; None before the first answer."""
        ...

    def open_stream(self) -> int:
        """The number of a new channel; only at the head-end."""
        ...

    def send(self, stream: int, message: Message) -> None:
        """Queue a message; raise LocalProtocolError when too much waits on its stream."""
        ...

    def waiting_octets(self, stream: int) -> int:
        """How much of a stream has not gone out."""
        ...

    def consumed(self, arrived: Arrived) -> None:
        """A message was dealt with: as much may come again."""
        ...

    def forget(self, stream: int) -> None:
        """A channel is over."""
        ...

    def close(self) -> None:
        """End the connection once what was sent is out; the listener hears of it."""
        ...


class Listener(Protocol):
    """Who is told what comes."""

    def received(self, arrived: Arrived, message: Message) -> None:
        """A message; whoever has dealt with it says so with `Peer.consumed`. Raise RelayError to end the connection."""
        ...

    def lost(self) -> None:
        """The connection has ended; said once."""
        ...
