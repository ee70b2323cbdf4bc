"""UDP with the wrapper over real sockets, and the gateway prefix on top of any channel."""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from amity.devices.client import Authentication, Ciphering, Protection, associate, get, get_octets, release
from amity.devices.client.conversation import LISTEN, Unanswered
from amity.devices.server import Neighbour
from amity.kernel.errors import LocalProtocolError, TransportError
from amity.protocols.dlms.apdu import Attribute
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.gateway.prefix import GatewayError, Prefixed, decode
from amity.protocols.gateway.prefix import encode as prefixed
from amity.protocols.wrapper.frame import Reader, WrapperError, encode
from amity.transports.channel import MeterChannel
from amity.transports.failures import ConnectionClosedError, ConnectionRefusedByPeerError, TimerT1Error
from amity.transports.gateway_channel import GatewayChannel
from amity.transports.udp_channel import UdpChannel
from amity.transports.udp_listener import CALLERS_MAX, serve_meter_on_udp
from amity.transports.wrapper_channel import WrapperChannel
from tests.unit.devices.conversing import IMPORT, LOAD_PROFILE, NOW, PUBLIC, access, meter, ports, settings_for

GMAC = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
IMPORT_VALUE, BUFFER = Attribute(3, IMPORT, 2), Attribute(7, LOAD_PROFILE, 2)


class StandingClock:
    """It is always NOW."""

    def now(self) -> datetime:
        return NOW.astimezone(UTC)


async def test_a_ciphered_session_over_udp():
    listener = await serve_meter_on_udp(meter(GMAC), "127.0.0.1", 0, clock=StandingClock())
    channel = await UdpChannel.open("127.0.0.1", listener.port, 1, 1, 1.0)
    session = await channel.run(associate(settings_for(GMAC), ports()), 1.0)
    assert await channel.run(get(session, IMPORT_VALUE), 1.0) == double_long_unsigned(4711)
    assert len(await channel.run(get_octets(session, BUFFER), 1.0)) > 8_000
    assert await channel.run(release(session), 1.0)
    await channel.close()
    await listener.close()


async def test_what_is_no_frame_and_what_is_for_another_is_not_answered():
    listener = await serve_meter_on_udp(meter(GMAC), "127.0.0.1", 0, clock=StandingClock())
    channel = await UdpChannel.open("127.0.0.1", listener.port, PUBLIC, 9, 1.0)
    with pytest.raises(TimerT1Error, match="Timer T1 Timeout"):
        await channel.exchange(b"\x60\x00", 0.05)
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.sendto(b"noise", ("127.0.0.1", listener.port))
        other.sendto(encode(PUBLIC, 1, b"\x60\x00") * 2, ("127.0.0.1", listener.port))
        await asyncio.sleep(0.02)
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.recv(100)
    await channel.close()
    await listener.close()


async def test_strangers_are_not_remembered_and_take_nobodys_place():
    listener = await serve_meter_on_udp(meter(GMAC), "127.0.0.1", 0, clock=StandingClock())
    channel = await UdpChannel.open("127.0.0.1", listener.port, 1, 1, 1.0)
    session = await channel.run(associate(settings_for(GMAC), ports()), 1.0)
    for octets in (b"\xc0", b"\x60\x00"):
        for client in range(100, 100 + 2 * CALLERS_MAX):
            stranger = await UdpChannel.open("127.0.0.1", listener.port, client, 1, 1.0)
            await stranger.exchange(octets, 1.0)
            await stranger.close()
    assert len(listener._callers) == 1
    assert await channel.run(get(session, IMPORT_VALUE), 1.0) == double_long_unsigned(4711)
    assert await channel.run(release(session), 1.0)
    assert listener._callers == {}
    await channel.close()
    await listener.close()


async def test_who_never_released_makes_room_once_the_meter_takes_him_for_gone():
    clock = MovingClock()
    clients = [access(client=number) for number in range(100, 101 + CALLERS_MAX)]
    listener = await serve_meter_on_udp(meter(*clients, inactivity_timeout_s=60.0), "127.0.0.1", 0, clock=clock)
    for one in clients:
        clock.instant += timedelta(seconds=61)
        channel = await UdpChannel.open("127.0.0.1", listener.port, one.client, 1, 1.0)
        session = await channel.run(associate(settings_for(one), ports()), 1.0)
        assert await channel.run(get(session, IMPORT_VALUE), 1.0) == double_long_unsigned(4711)
        await channel.close()
    assert len(listener._callers) == 1
    await listener.close()


async def test_where_all_are_busy_a_newcomer_gets_no_answer():
    listener = await serve_meter_on_udp(meter(GMAC), "127.0.0.1", 0, clock=StandingClock())
    channel = await UdpChannel.open("127.0.0.1", listener.port, 1, 1, 0.05)
    for number in range(CALLERS_MAX):
        busy = listener._server.open_association(number)
        busy.heard_at = NOW
        listener._callers[("somebody", number), 1] = busy
    with pytest.raises(TimerT1Error):
        await channel.exchange(b"\xc0", 0.05)
    assert len(listener._callers) == CALLERS_MAX
    await channel.close()
    await listener.close()


class MovingClock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.instant = NOW.astimezone(UTC)

    def now(self) -> datetime:
        return self.instant


async def test_a_port_that_is_taken_is_named():
    listener = await serve_meter_on_udp(meter(), "127.0.0.1", 0, clock=StandingClock())
    with pytest.raises(TransportError, match=str(listener.port)):
        await serve_meter_on_udp(meter(), "127.0.0.1", listener.port, clock=StandingClock())
    await listener.close()


async def test_nothing_listens():
    with socket.socket(type=socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    channel = await UdpChannel.open("127.0.0.1", port, PUBLIC, 1, 1.0)
    with pytest.raises(ConnectionRefusedByPeerError):
        await channel.exchange(b"\x60\x00", 1.0)
    await channel.close()


class Datagrams(asyncio.DatagramProtocol):
    """A port that answers every datagram with some others."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, _data: bytes, addr: tuple[str, int]) -> None:
        for answer in self._answers:
            self._transport.sendto(answer, addr)


async def answering(*answers: bytes) -> tuple[asyncio.DatagramTransport, UdpChannel]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(*answers), local_addr=("127.0.0.1", 0))
    return transport, await UdpChannel.open("127.0.0.1", transport.get_extra_info("sockname")[1], PUBLIC, 1, 1.0)


async def test_the_answer_among_other_datagrams():
    notification = bytes.fromhex("0f00000001000600000001")
    transport, channel = await answering(
        encode(2, PUBLIC, b"another meter"), encode(1, PUBLIC, notification), encode(1, PUBLIC, b"\xc4\x01"),
        encode(1, PUBLIC, b"\xc4\x02"),
    )  # fmt: skip
    assert await channel.exchange(b"\xc0\x01", 1.0) == b"\xc4\x01"
    assert list(channel.unsolicited) == [notification]
    assert await channel.exchange(LISTEN, 1.0) == b"\xc4\x02"
    assert await channel.exchange(LISTEN, 0.02) == b""
    assert await channel.exchange(Unanswered(b"\xc0\x01"), 1.0) == b""
    await channel.close()
    transport.close()


async def test_what_the_meter_says_before_it_is_asked_is_kept_too():
    notification = bytes.fromhex("0f00000001000600000001")
    transport, channel = await answering(encode(1, PUBLIC, b"\xc4\x01"), encode(1, PUBLIC, notification))
    assert await channel.exchange(b"\xc0\x01", 1.0) == b"\xc4\x01"
    await asyncio.sleep(0.02)  # the push comes after the answer, and nobody waits for it
    assert await channel.exchange(b"\xc0\x02", 1.0) == b"\xc4\x01"
    assert channel.unsolicited[0] == notification
    await channel.close()
    transport.close()


async def test_a_datagram_that_is_no_frame():
    transport, channel = await answering(b"\x7e\xa0\x07")
    with pytest.raises(WrapperError, match="exactly one"):
        await channel.exchange(b"\xc0\x01", 1.0)
    await channel.close()
    transport.close()


async def test_one_request_at_a_time_and_none_after_the_end():
    transport, channel = await answering()
    first = asyncio.create_task(channel.exchange(b"\xc0\x01", 0.5))
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError):
        await channel.exchange(b"\xc0\x01", 0.1)
    await channel.close()
    with pytest.raises(ConnectionClosedError):
        await first
    transport.close()


# ------------------------------------------------------------------ through a gateway
class Behind(MeterChannel):
    """A gateway with one device behind it."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._answer = answer
        self.closed = False

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        assert timeout_s == 1.0
        return self._answer(apdu)

    async def close(self) -> None:
        self.closed = True


async def test_a_meter_behind_a_gateway():
    device = meter(GMAC).open_association(PUBLIC)

    def gateway(octets: bytes) -> bytes:
        request = decode(octets)
        assert (request.network, request.device, request.is_request) == (3, b"\x00\x2a", True)
        answer = device.receive(request.apdu, NOW)
        return prefixed(Prefixed(3, b"\x00\x2a", answer or b"", is_request=False))

    inner = Behind(gateway)
    channel = GatewayChannel(inner, 3, b"\x00\x2a")
    session = await channel.run(associate(settings_for(access()), ports()), 1.0)
    assert await channel.run(get(session, IMPORT_VALUE), 1.0) == double_long_unsigned(4711)
    await channel.close()
    assert inner.closed


@pytest.mark.parametrize("answer", [b"\xc4\x01", prefixed(Prefixed(3, b"\x00\x2b", b"\xc4\x01", is_request=False)),
                                    prefixed(Prefixed(3, b"\x00\x2a", b"\xc4\x01"))])  # fmt: skip
async def test_an_answer_from_elsewhere(answer: bytes):
    channel = GatewayChannel(Behind(lambda _: answer), 3, b"\x00\x2a")
    with pytest.raises(GatewayError):
        await channel.exchange(b"\xc0\x01", 1.0)


async def test_what_needs_no_answer_needs_none_behind_a_gateway_either():
    heard: list[bytes] = []

    def gateway(octets: bytes) -> bytes:
        heard.append(octets)
        return b""

    channel = GatewayChannel(Behind(gateway), 3, b"")
    assert await channel.exchange(LISTEN, 1.0) == b""
    assert await channel.exchange(Unanswered(b"\xe0"), 1.0) == b""
    assert heard == [b"", b"\xe6\x03\x00\xe0"]
    assert isinstance(heard[1], Unanswered)


PUSH = bytes.fromhex("0f00000001000900")
PROTECTED = bytes.fromhex("db08") + bytes(8) + bytes.fromhex("00")


@pytest.mark.parametrize(
    "said",
    [
        prefixed(Prefixed(3, b"\x2a", PUSH, is_request=False)),
        PUSH,
        prefixed(Prefixed(3, b"\x2b", PUSH, is_request=False)),
        prefixed(Prefixed(3, b"\x2b", PROTECTED, is_request=False)),
        PROTECTED,
        prefixed(Prefixed(3, b"\x2a", PUSH)),
    ],
    ids=["the meter", "the gateway", "a neighbour", "a neighbour, protected", "the gateway, protected", "as a request"],
)
async def test_pushes_behind_a_gateway_are_kept_and_the_session_goes_on(said: bytes):  # fmt: skip
    own = meter(GMAC)
    own.hand_on_to({Neighbour(3, b"\x2a"): meter(GMAC)})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        association, frames = own.open_association(1), Reader()
        while octets := await reader.read(4096):
            for frame in frames.feed(octets):
                writer.write(encode(1, 1, said) + encode(1, 1, association.receive(frame.payload, NOW) or b""))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    inner = await WrapperChannel.open("127.0.0.1", server.sockets[0].getsockname()[1], 1, 1, 1.0)
    channel = GatewayChannel(inner, 3, b"\x2a")
    session = await channel.run(associate(settings_for(GMAC), ports()), 1.0)
    assert await channel.run(get(session, IMPORT_VALUE), 1.0) == double_long_unsigned(4711)
    assert set(channel.unsolicited) == {said}
    assert len(channel.unsolicited) == 3
    await channel.close()
    server.close()
    await server.wait_closed()
