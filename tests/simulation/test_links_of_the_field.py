"""WAN and NAN links: rate, latency, loss and airtime as the presets say, on sockets and in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from amity.kernel.errors import ConfigurationError
from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.link import Link
from amity.protocols.relay.messages import Message, Push
from amity.protocols.relay.scheduler import ALARMS, BULK
from amity.simulation.network.medium import Medium, ways
from amity.simulation.network.memory import connect_in_memory
from amity.simulation.network.presets import LinkPreset, preset, presets
from amity.simulation.network.proxy import ShapingDatagramProxy, ShapingProxy, Target
from amity.simulation.virtual_time import run_virtually
from amity.transports.relay_peer import PeerRules, RelayPeer

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
EXACT = LinkPreset(8_000, 16_000, 100, 0, 0.0, 1000, 1000, shared=False, duty_cycle=0.0)


def virtually(main: Callable[[], Awaitable[Any]]) -> Any:
    return run_virtually(lambda _clock: main(), NOW)


def test_every_preset_has_sense() -> None:
    assert set(presets()) >= {"gprs", "g3-plc", "rf-mesh"}
    for one in presets().values():
        assert one.up_bit_s > 0
        assert 0 <= one.loss < 1
        assert 0 <= one.duty_cycle <= 1
    with pytest.raises(ConfigurationError, match="no link"):
        preset("string-and-cans")


def test_rate_and_latency_add_up_and_frames_wait_for_each_other() -> None:
    link = ways(EXACT, Random(1))
    assert link.up.of_stream(0.0, 1000) == pytest.approx(1.1)
    assert link.up.of_stream(0.0, 1000) == pytest.approx(2.1)
    assert link.down.of_stream(0.0, 1000) == pytest.approx(0.6)


def test_who_shares_a_medium_takes_turns() -> None:
    air, shared = Medium(), LinkPreset(8_000, 8_000, 0, 0, 0.0, 1000, 1000, shared=True, duty_cycle=0.0)
    first, second = ways(shared, Random(1), air), ways(shared, Random(2), air)
    assert first.up.of_stream(0.0, 1000) == pytest.approx(1.0)
    assert second.down.of_stream(0.0, 1000) == pytest.approx(2.0)


def test_a_duty_cycle_leaves_a_sender_waiting_once_its_hour_is_used_up() -> None:
    sparing = LinkPreset(8_000, 8_000, 0, 0, 0.0, 1000, 1000, shared=True, duty_cycle=0.01)
    up = ways(sparing, Random(1)).up
    arrivals = [up.of_stream(0.0, 1000) for _ in range(40)]
    assert arrivals[35] == pytest.approx(36.0, abs=1)  # 1 % of an hour
    assert arrivals[37] - arrivals[36] == pytest.approx(100.0, abs=1)  # a second on the air each hundred


def test_lost_datagrams_are_gone_and_lost_pieces_of_a_stream_come_later_in_order() -> None:
    lossy = LinkPreset(1_000_000, 1_000_000, 0, 0, 0.3, 1000, 1000, shared=False, duty_cycle=0.0)
    link = ways(lossy, Random(1))
    fates = [link.up.of_datagram(0.0, 10) for _ in range(1000)]
    assert 200 < fates.count(None) < 400
    arrivals = [link.down.of_stream(0.0, 10) for _ in range(1000)]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] > 1.0


def test_the_same_seed_gives_the_same_fates() -> None:
    def fates(seed: int) -> list[float]:
        up = ways(preset("gprs"), Random(seed)).up
        return [up.of_stream(0.0, 500) for _ in range(50)]

    assert fates(3) == fates(3) != fates(4)


# ------------------------------------------------------------------ a relay link over GPRS, in virtual time
class Hears:
    def __init__(self) -> None:
        self.heard: list[tuple[float, int]] = []
        self.peer: RelayPeer | None = None
        self.is_lost = False

    def received(self, arrived: Arrived, message: Message) -> None:
        assert isinstance(message, Push)
        self.heard.append((asyncio.get_running_loop().time(), message.number))
        if self.peer is not None:
            self.peer.consumed(arrived)

    def lost(self) -> None:
        self.is_lost = True


def linked(name: str) -> tuple[RelayPeer, RelayPeer, Hears, Hears, Any]:
    far, near = RelayPeer(Link(opens=False), PeerRules(20)), RelayPeer(Link(opens=True), PeerRules(20))
    ends = connect_in_memory(far, near, ways(preset(name), Random(1)))
    at_meters, at_headend = Hears(), Hears()
    at_headend.peer = near
    far.begin(ends[0], at_meters)
    near.begin(ends[1], at_headend)
    return far, near, at_meters, at_headend, ends


def test_an_alarm_overtakes_the_bulk_on_gprs() -> None:
    async def main() -> Hears:
        far, _, _, at_headend, _ = linked("gprs")
        chance = Random(2)  # as ciphertext: it does not compress
        for number in range(100):
            far.send(BULK, Push(number, 0, "10.0.0.7", False, chance.randbytes(1000)))
        await asyncio.sleep(1)
        far.send(ALARMS, Push(1000, 0, "10.0.0.7", True, b"last gasp"))
        await asyncio.sleep(3600)
        return at_headend

    heard = virtually(main).heard
    assert sorted(number for _, number in heard) == [*range(100), 1000]
    when = {number: at_s for at_s, number in heard}
    assert when[1000] - 1.0 < 8.0  # what was in the buffers first: eight thousand octets, and retries
    assert when[99] > 25.0  # a hundred thousand octets at 26.8 kbit/s


def test_a_day_of_idle_link_costs_little_and_a_cut_is_noticed_within_a_minute() -> None:
    async def main() -> tuple[int, float, bool]:
        far, near, at_meters, _, ends = linked("gprs")
        await asyncio.sleep(86_400)
        octets, rtt_s = near.traffic.packed_out + near.traffic.packed_in, near.rtt_s or 0.0
        ends[0].cut()
        ends[1].cut()
        await asyncio.sleep(81)
        return octets, rtt_s, at_meters.is_lost and far.failure is not None

    octets, rtt_s, noticed = virtually(main)
    assert noticed
    assert 0.7 < rtt_s < 2.0
    assert octets < 400_000


# ------------------------------------------------------------------ on sockets
async def test_a_proxy_carries_both_ways_holds_up_what_is_cut_and_goes_on_when_mended() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(100):
            writer.write(octets)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    target = Target("127.0.0.1", server.sockets[0].getsockname()[1])
    quick = LinkPreset(10_000_000, 10_000_000, 1, 0, 0.0, 1, 1000, shared=False, duty_cycle=0.0)
    proxy = ShapingProxy(target, ways(quick, Random(1)))
    reader, writer = await asyncio.open_connection("127.0.0.1", await proxy.start())
    writer.write(b"before")
    assert await reader.readexactly(6) == b"before"
    proxy.cut()
    writer.write(b"meanwhile")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    proxy.mend()
    assert await reader.readexactly(9) == b"meanwhile"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await proxy.close()
    server.close()


async def test_datagrams_find_their_way_there_and_back() -> None:
    class Echo(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            transport.sendto(data.upper(), addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    quick = LinkPreset(10_000_000, 10_000_000, 1, 0, 0.0, 1, 1000, shared=False, duty_cycle=0.0)
    proxy = ShapingDatagramProxy(Target(*transport.get_extra_info("sockname")), ways(quick, Random(1)))
    port = await proxy.start()
    answer: asyncio.Future[bytes] = loop.create_future()

    class Caller(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ARG002
            answer.set_result(data)

    caller, _ = await loop.create_datagram_endpoint(Caller, remote_addr=("127.0.0.1", port))
    caller.sendto(b"hello")
    assert await asyncio.wait_for(answer, 10) == b"HELLO"
    caller.close()
    await proxy.close()
    transport.close()
