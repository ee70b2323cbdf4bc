"""The way to a meter: the one place that knows which channel a route is."""

from amity.domain.collection import Outcome
from amity.headend.calls.lines import NotCalledInError
from amity.headend.ports import Channel, Endpoint
from amity.headend.routes import ASKED_AGAIN, CallsIn, HdlcLink, Route, SerialLine, WrapperLink
from amity.kernel.errors import TransportError
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.station import LinkSettings
from amity.transports.channel import MeterChannel
from amity.transports.failures import (
    ConnectionFailedError,
    ConnectionRefusedByPeerError,
    SignOnFailedError,
    TimerT1Error,
)
from amity.transports.gateway_channel import GatewayChannel
from amity.transports.hdlc_channel import HdlcChannel, HdlcRoute
from amity.transports.line import SerialSettings
from amity.transports.udp_channel import UdpChannel
from amity.transports.wrapper_channel import WrapperChannel

_OUTCOMES: dict[type[TransportError], Outcome] = {
    ConnectionRefusedByPeerError: Outcome.REFUSED,
    ConnectionFailedError: Outcome.SILENT,
    SignOnFailedError: Outcome.SILENT,
    TimerT1Error: Outcome.SILENT,
}


class MeterConnector:
    """Implements `headend.ports.Connector`."""

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> Channel:
        """Open the endpoint's route; raise TransportError when it does not open in time."""
        return await open_channel(endpoint.route, endpoint.client, endpoint.server, timeout_s)

    def outcome_of(self, error: TransportError) -> Outcome:
        """Nobody listens: REFUSED; no answer at all: SILENT; anything that began and broke off: BROKEN."""
        return _OUTCOMES.get(type(error), Outcome.BROKEN)


async def open_channel(route: Route, client: int, server: int, timeout_s: float) -> MeterChannel:
    """Open a way between a client and a logical device; each of its steps may take `timeout_s`.

    Raises:
        TransportError: it does not open.
        HdlcError: the meter is there and breaks the standard.
        LocalProtocolError: an address has no form in the framing.
    """
    channel = await _open_link(route.link, client, server, timeout_s)
    gateway = route.gateway
    return channel if gateway is None else GatewayChannel(channel, gateway.network, gateway.device)


async def _open_link(link: WrapperLink | HdlcLink, client: int, server: int, timeout_s: float) -> MeterChannel:
    if isinstance(link, HdlcLink):
        return await _open_hdlc(link, client, server, timeout_s)
    if isinstance(link.at, CallsIn):
        raise NotCalledInError(str(link.at))
    kind = UdpChannel if link.udp else WrapperChannel
    return await kind.open(link.at.host, link.at.port, client, server, timeout_s)


def hdlc_route(link: HdlcLink, client: int, server: int, timeout_s: float) -> HdlcRoute:
    """Between whom the link goes; its own questions are repeated so often that all of them fit `timeout_s`."""
    patience = LinkSettings(link.parameters, response_timeout_s=timeout_s / (ASKED_AGAIN + 1), retries=ASKED_AGAIN)
    return HdlcRoute(Address(client), link.address(server), patience)


async def _open_hdlc(link: HdlcLink, client: int, server: int, timeout_s: float) -> HdlcChannel:
    between, line = hdlc_route(link, client, server, timeout_s), link.at
    if isinstance(line, CallsIn):
        raise NotCalledInError(str(line))
    if not isinstance(line, SerialLine):
        return await HdlcChannel.open_tcp(line.host, line.port, between, timeout_s)
    port = SerialSettings(line.baud, echoes=line.echoes)
    return await HdlcChannel.open_serial(line.device, port, between, timeout_s, line.signing_on)
