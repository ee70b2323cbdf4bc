"""The head-end's way to its meters: one TCP connection each, wrapper framing."""

from amity.domain.collection import Outcome
from amity.headend.ports import Channel, Endpoint
from amity.kernel.errors import TransportError
from amity.transports.failures import (
    ConnectionFailedError,
    ConnectionRefusedByPeerError,
    TimerT1Error,
)
from amity.transports.wrapper_channel import WrapperChannel

_OUTCOMES: dict[type[TransportError], Outcome] = {
    ConnectionRefusedByPeerError: Outcome.REFUSED,
    ConnectionFailedError: Outcome.SILENT,
    TimerT1Error: Outcome.SILENT,
}


class TcpConnector:
    """Implements `headend.ports.Connector`."""

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> Channel:
        """Connect; raise TransportError when there is no connection in time."""
        return await WrapperChannel.open(endpoint.host, endpoint.port, endpoint.client, endpoint.server, timeout_s)

    def outcome_of(self, error: TransportError) -> Outcome:
        """Nobody listens: REFUSED; no answer at all: SILENT; anything that began and broke off: BROKEN."""
        return _OUTCOMES.get(type(error), Outcome.BROKEN)
