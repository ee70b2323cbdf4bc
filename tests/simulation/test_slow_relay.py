"""A relay that needs seconds is waited for on every kind of line: between two looks nothing is sent (virtual time)."""

from datetime import UTC, datetime, timedelta

import pytest

from amity.devices.client import AssociationSettings, associate
from amity.devices.client.supply import NotSwitchedError, Settling, Supply, disconnect
from amity.devices.cosem.disconnect import ControlState
from amity.protocols.hdlc.address import Address
from amity.simulation.virtual_time import VirtualClock, run_virtually
from amity.transports.channel import MeterChannel
from amity.transports.hdlc_channel import HdlcChannel, HdlcRoute
from amity.transports.hdlc_listener import HdlcPlace, serve_hdlc_meter
from amity.transports.meter_listener import serve_meter
from amity.transports.udp_channel import UdpChannel
from amity.transports.udp_listener import serve_meter_on_udp
from amity.transports.wrapper_channel import WrapperChannel
from tests.unit.devices.conversing import ports
from tests.unit.devices.equipped import CONTROL, EquippedMeter, slow_relay

START = datetime(2026, 11, 20, 6, tzinfo=UTC)
HOST, PHYSICAL = "127.0.0.1", 17


def switched_off(carrier: str, relay_s: int, patience_s: float) -> tuple[Supply, float]:
    """How the supply stands after it was switched off by a relay that takes `relay_s`, and when that was known."""

    async def main(clock: VirtualClock) -> tuple[Supply, float]:
        meter = EquippedMeter([slow_relay(relay_s)]).server
        channel: MeterChannel
        if carrier == "hdlc":
            listener = await serve_hdlc_meter(meter, HOST, 0, clock=clock, place=HdlcPlace(PHYSICAL))
            route = HdlcRoute(Address(CONTROL), Address(1, PHYSICAL))
            channel = await HdlcChannel.open_tcp(HOST, listener.port, route, 5.0)
        elif carrier == "udp":
            listener = await serve_meter_on_udp(meter, HOST, 0, clock=clock)
            channel = await UdpChannel.open(HOST, listener.port, CONTROL, 1, 5.0)
        else:
            listener = await serve_meter(meter, HOST, 0, clock=clock)
            channel = await WrapperChannel.open(HOST, listener.port, CONTROL, 1, 5.0)
        try:
            session = await channel.run(associate(AssociationSettings(), ports()), 3.0)
            supply = await channel.run(disconnect(session, settling=Settling(clock.now, patience_s)), 3.0)
            return supply, (clock.now() - START) / timedelta(seconds=1)
        finally:
            await channel.close()
            await listener.close()

    return run_virtually(main, START)


@pytest.mark.parametrize("carrier", ["wrapper", "udp", "hdlc"])
def test_it_is_looked_at_again_after_each_silence(carrier: str):
    supply, known_s = switched_off(carrier, relay_s=8, patience_s=20)
    assert supply.state is ControlState.DISCONNECTED
    assert 9 <= known_s < 10


@pytest.mark.parametrize("carrier", ["wrapper", "udp", "hdlc"])
def test_one_that_sticks_is_found(carrier: str):
    with pytest.raises(NotSwitchedError, match="its output on"):
        switched_off(carrier, relay_s=60, patience_s=20)
