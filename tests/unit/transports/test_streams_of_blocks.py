"""General block transfer over real sockets: streams in both directions, on every way to a meter."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime

import pytest

from amity.devices.client import Ciphering, Protection, act, associate, get_octets, release, set_attribute
from amity.devices.server import ClientAccess, MeterServer
from amity.protocols.dlms.apdu import Attribute
from amity.protocols.dlms.data import array, unsigned
from amity.protocols.hdlc.address import Address
from amity.transports.channel import MeterChannel
from amity.transports.hdlc_channel import HdlcChannel, HdlcRoute
from amity.transports.hdlc_listener import HdlcPlace, serve_hdlc_meter
from amity.transports.meter_listener import serve_meter
from amity.transports.udp_channel import UdpChannel
from amity.transports.udp_listener import serve_meter_on_udp
from amity.transports.wrapper_channel import WrapperChannel
from tests.unit.devices.changing import EXECUTE, GENERAL, NOTE, NOTES, Echo, Notebook, managing
from tests.unit.devices.conversing import (
    LOAD_PROFILE,
    NOW,
    READER,
    QuarterHours,
    measured_objects,
    meter,
    ports,
    settings_for,
)

TIMEOUT_S = 5.0
BUFFER = Attribute(7, LOAD_PROFILE, 2)
Opener = Callable[[MeterServer], AbstractAsyncContextManager[MeterChannel]]


class StandingClock:
    """It is always NOW."""

    def now(self) -> datetime:
        return NOW


@asynccontextmanager
async def over_tcp(server: MeterServer) -> AsyncIterator[MeterChannel]:
    listener = await serve_meter(server, "127.0.0.1", 0, clock=StandingClock())
    channel = await WrapperChannel.open("127.0.0.1", listener.port, READER, 1, TIMEOUT_S)
    yield channel
    await channel.close()
    await listener.close()


@asynccontextmanager
async def over_udp(server: MeterServer) -> AsyncIterator[MeterChannel]:
    listener = await serve_meter_on_udp(server, "127.0.0.1", 0, clock=StandingClock())
    channel = await UdpChannel.open("127.0.0.1", listener.port, READER, 1, TIMEOUT_S)
    yield channel
    await channel.close()
    await listener.close()


@asynccontextmanager
async def over_hdlc(server: MeterServer) -> AsyncIterator[MeterChannel]:
    listener = await serve_hdlc_meter(server, "127.0.0.1", 0, clock=StandingClock(), place=HdlcPlace())
    route = HdlcRoute(Address(READER), Address(1, 17))
    channel = await HdlcChannel.open_tcp("127.0.0.1", listener.port, route, TIMEOUT_S)
    yield channel
    await channel.close()
    await listener.close()


def server_for(allowed: ClientAccess) -> MeterServer:
    return meter(allowed, objects=[*measured_objects(), Notebook(NOTES), Echo()], max_pdu_octets=128)


@pytest.mark.parametrize("open_channel", [over_tcp, over_udp, over_hdlc])
@pytest.mark.parametrize("window", [1, 5, 40])
async def test_long_messages_stream_both_ways(open_channel: Opener, window: int):
    allowed = managing(Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
    settings = settings_for(allowed, conformance=GENERAL, max_pdu_octets=100, block_window=window)
    value = array(unsigned(number % 256) for number in range(1500))
    async with open_channel(server_for(allowed)) as channel:
        session = await channel.run(associate(settings, ports()), TIMEOUT_S)
        await channel.run(set_attribute(session, NOTE, value), TIMEOUT_S)
        assert await channel.run(act(session, EXECUTE, value), TIMEOUT_S) == value
        raw = await channel.run(get_octets(session, BUFFER), TIMEOUT_S)
        assert raw.endswith(QuarterHours().rows[-1])
        assert await channel.run(release(session), TIMEOUT_S)
