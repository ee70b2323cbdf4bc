"""A meter on a real socket, read by our client."""

import asyncio
from datetime import UTC, datetime

import pytest

from amity.devices.client import (
    AssociationRejectedError,
    Authentication,
    Ciphering,
    Protection,
    associate,
    get,
    release,
)
from amity.kernel.errors import TransportError
from amity.protocols.dlms.apdu import Attribute
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.wrapper.frame import encode
from amity.transports.failures import ConnectionClosedError, PartialFrameError, TimerT1Error
from amity.transports.meter_listener import Deliver, MeterListener, serve_meter
from amity.transports.wrapper_channel import WrapperChannel
from tests.unit.devices.conversing import IMPORT, NOW, PUBLIC, access, meter, ports, settings_for

IMPORT_VALUE = Attribute(3, IMPORT, 2)
GMAC = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)


class StandingClock:
    """It is always NOW."""

    def now(self) -> datetime:
        return NOW.astimezone(UTC)


async def serving(deliver: Deliver | None = None) -> MeterListener:
    deliveries = {} if deliver is None else {"deliver": deliver}
    return await serve_meter(meter(GMAC), "127.0.0.1", 0, clock=StandingClock(), **deliveries)


async def connected(listener: MeterListener, client: int) -> WrapperChannel:
    return await WrapperChannel.open("127.0.0.1", listener.port, client, 1, 2.0)


async def test_a_ciphered_session_over_tcp():
    listener = await serving()
    channel = await connected(listener, 1)
    session = await channel.run(associate(settings_for(GMAC), ports()), 2.0)
    assert await channel.run(get(session, IMPORT_VALUE), 2.0) == double_long_unsigned(4711)
    assert await channel.run(release(session), 2.0)
    await channel.close()
    await listener.close()


async def test_a_connection_that_ends_frees_the_meter():
    listener = await serving()
    first, second = await connected(listener, PUBLIC), await connected(listener, PUBLIC)
    await first.run(associate(settings_for(access()), ports()), 2.0)
    with pytest.raises(AssociationRejectedError, match="busy"):
        await second.run(associate(settings_for(access()), ports()), 2.0)
    await first.close()
    await asyncio.sleep(0.02)
    await second.run(associate(settings_for(access()), ports()), 2.0)
    await second.close()
    await listener.close()


async def test_another_logical_device_does_not_answer():
    listener = await serving()
    channel = await WrapperChannel.open("127.0.0.1", listener.port, PUBLIC, 17, 2.0)
    with pytest.raises(TimerT1Error):
        await channel.exchange(b"\x60\x00", 0.05)
    await channel.close()
    await listener.close()


async def test_a_stream_of_something_else_is_cut_off():
    listener = await serving()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 2.0) == b""
    writer.close()
    await writer.wait_closed()
    await listener.close()


def half(transport: asyncio.Transport, frame: bytes) -> None:
    """A meter that loses its line in the middle of a frame."""
    transport.write(frame[: len(frame) // 2])
    transport.close()


def nothing(_transport: asyncio.Transport, _frame: bytes) -> None:
    """A meter that is silent."""


def hangs_up(transport: asyncio.Transport, _frame: bytes) -> None:
    """A meter that closes instead of answering."""
    transport.close()


@pytest.mark.parametrize(
    ("deliver", "error"), [(half, PartialFrameError), (nothing, TimerT1Error), (hangs_up, ConnectionClosedError)]
)
async def test_a_fault_is_another_way_of_delivering(deliver: Deliver, error: type[TransportError]):
    listener = await serving(deliver)
    channel = await connected(listener, PUBLIC)
    with pytest.raises(error):
        await channel.run(associate(settings_for(access()), ports()), 0.1)
    await channel.close()
    await listener.close()


async def test_a_port_that_is_taken_is_named():
    listener = await serving()
    with pytest.raises(TransportError, match=str(listener.port)) as caught:
        await serve_meter(meter(), "127.0.0.1", listener.port, clock=StandingClock())
    assert str(caught.value.next_step).endswith("or choose another port")
    await listener.close()


async def test_closing_ends_the_connections():
    listener = await serving()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(encode(PUBLIC, 1, b"\x60\x00"))
    await reader.readexactly(8)
    await listener.close()
    await asyncio.wait_for(reader.read(), 2.0)
    writer.close()
    await writer.wait_closed()
