"""A line that a meter opened, as the channels of both framings want it; it does not end when the channel is closed."""

import asyncio

from amity.kernel.errors import RemoteProtocolError
from amity.protocols.wrapper.frame import PAYLOAD_OCTETS_MAX, Frame
from amity.transports.call_speech import Speech
from amity.transports.failures import ConnectionClosedError, PartialFrameError
from amity.transports.frame_queue import FrameQueue
from amity.transports.line import Line


class LentQueue(FrameQueue):
    """For wrapper frames."""

    def __init__(self, address: str, transport: asyncio.Transport) -> None:
        super().__init__(address)
        self._speech = Speech(PAYLOAD_OCTETS_MAX)
        self._transport = transport

    @property
    def pending_octets(self) -> int:
        """How many octets of an unfinished frame have come."""
        return self._speech.pending_octets

    def feed(self, octets: bytes) -> None:
        """Octets of the meter; a heartbeat that says its name in between is no answer."""
        try:
            said = self._speech.feed(octets)
        except RemoteProtocolError as error:
            self._fail(error)
        else:
            self._take_in([one for one in said if isinstance(one, Frame)])

    def lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        pending = self.pending_octets
        end: PartialFrameError | ConnectionClosedError = ConnectionClosedError(self.address)
        if pending:
            end = PartialFrameError(self.address, pending, "the end of the connection")
        end.__cause__ = exc
        self._failure = self._failure or end
        self._is_closed()

    def _write(self, octets: bytes) -> None:
        self._transport.write(octets)

    def _hang_up(self) -> None:
        self._is_closed()


class LentLine(Line):
    """For HDLC."""

    def __init__(self, address: str, transport: asyncio.Transport) -> None:
        super().__init__(address)
        self.connection_made(transport)
        self.pending_octets = 0  # HDLC finds back into step at the next flag

    def feed(self, octets: bytes) -> None:
        """Octets of the meter."""
        self.data_received(octets)

    def lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self.connection_lost(exc)

    def waiting(self) -> list[Frame]:
        """Pushes that came and nobody took: the link keeps those itself."""
        return []

    async def close(self) -> None:
        """The line is the meter's: it stays open."""
        self.listener = None
