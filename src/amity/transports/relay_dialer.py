"""How a collector reaches the head-end: it dials out, so that no firewall at the collector has to let anybody in."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from amity.kernel.errors import SecurityError, TransportError
from amity.protocols.relay.link import Link
from amity.protocols.relay.peer import Listener
from amity.transports.relay_peer import PeerRules, RelayPeer, keep_little_ahead
from amity.transports.relay_tls import HEADEND, identity_of

ListenerOf = Callable[[RelayPeer], Listener]


@dataclass(frozen=True, slots=True)
class Destination:
    """A head-end: where it listens, and the host name that its certificate must have (empty: the one dialled)."""

    host: str
    port: int
    name: str = ""

    def __str__(self) -> str:
        """As logs name it."""
        return f"{self.host}:{self.port}"


async def dial(
    destination: Destination,
    context: ssl.SSLContext,
    listener_of: ListenerOf,
    timeout_s: float,
    rules: PeerRules | None = None,
) -> RelayPeer:
    """Connect and set TLS up; raise TransportError when there is no way, SecurityError when it is not the head-end."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            raw, _ = await loop.create_connection(asyncio.Protocol, destination.host, destination.port)
            keep_little_ahead(raw)
            peer = RelayPeer(Link(opens=False), rules or PeerRules(), str(destination))
            transport = await _secured(loop, raw, peer, context, destination.name or destination.host)
    except ssl.SSLCertVerificationError as error:
        raise SecurityError(
            f"{destination} is not the head-end",
            answer=error.verify_message or str(error),
            next_step="check its certificate, the CA file of this collector, and the name it dials",
        ) from error
    except TimeoutError as error:
        raise TransportError(f"no link to {destination} within {timeout_s:g} s") from error
    except (OSError, ssl.SSLError) as error:
        raise TransportError(f"no link to {destination}", answer=error.strerror or str(error)) from error
    try:
        peer.identity = identity_of(transport.get_extra_info("ssl_object"), HEADEND)
    except SecurityError:
        transport.abort()
        raise
    peer.begin(transport, listener_of(peer))
    return peer


async def _secured(
    loop: asyncio.AbstractEventLoop, raw: asyncio.Transport, peer: RelayPeer, context: ssl.SSLContext, name: str
) -> asyncio.Transport:
    try:
        transport = await loop.start_tls(raw, peer, context, server_hostname=name)
    except BaseException:
        raw.abort()
        raise
    if transport is None:
        raise TransportError("the connection ended while TLS was set up")
    transport.set_write_buffer_limits(high=1, low=0)  # what waits, waits in the link
    return transport
