"""What passed between client and meter: exchanges as evidence, lines for people, secrets masked in both."""

from collections.abc import Callable
from typing import NamedTuple

from amity.devices.client.describe import describe


class Exchange(NamedTuple):
    """One request and its answer, APDUs as they travelled (a password masked), and the answer after decryption."""

    request: bytes
    response: bytes
    plain: bytes


class TraceLine(NamedTuple):
    """One APDU as a line: `->` towards the meter or `<-` from it, its name, its fields, its octets on the way."""

    direction: str
    name: str
    fields: str
    octet_count: int

    def __str__(self) -> str:
        """`-> get-request-normal 3/1.0.1.8.0.255/2 (33 octets)`."""
        words = " ".join(word for word in (self.direction, self.name, self.fields) if word)
        return f"{words} ({self.octet_count} octets)"


Trace = Callable[[TraceLine], None]


class Journal:
    """Collects the exchanges of one session; with a trace it also tells each APDU as it passes.

    `unasked` is what came in between, protected as it was.
    """

    __slots__ = ("_request", "_trace", "exchanges", "unasked")

    def __init__(self, trace: Trace | None = None) -> None:
        self.exchanges: list[Exchange] = []
        self.unasked: list[bytes] = []
        self._request = b""
        self._trace = trace

    def sent(self, wire: bytes, plain: bytes, secret: bytes = b"") -> None:
        """Note a request; wherever `secret` stands in it, asterisks are kept instead."""
        self._request = wire.replace(secret, b"*" * len(secret)) if secret else wire
        self._tell("->", plain, len(wire))

    def received(self, wire: bytes, plain: bytes) -> None:
        """Note the answer to the request noted last."""
        self.exchanges.append(Exchange(self._request, wire, plain))
        self._tell("<-", plain, len(wire))

    def overheard(self, wire: bytes, plain: bytes = b"") -> None:
        """Note an APDU that answers nothing, as it came; `plain` where it could be opened."""
        self.unasked.append(wire)
        self._tell("<-", plain or wire, len(wire))

    def passed_over(self, wire: bytes, plain: bytes) -> None:
        """Tell an APDU that answers a request which wanted no answer."""
        self._tell("<-", plain, len(wire))

    def _tell(self, direction: str, plain: bytes, octet_count: int) -> None:
        if self._trace is not None:
            self._trace(TraceLine(direction, *describe(plain), octet_count))
