"""HDLC over real sockets and pseudo-terminals: our client against our meter, and each way of failing named."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from amity.devices.client import (
    AssociationRejectedError,
    Authentication,
    Ciphering,
    Protection,
    associate,
    get,
    get_octets,
    release,
)
from amity.devices.client.conversation import LISTEN, Unanswered
from amity.kernel.errors import LocalProtocolError, TransportError
from amity.protocols.dlms.apdu import Attribute
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.frame import FrameKind, HdlcError, Reader, control_of, encode, encode_ui, information_control
from amity.protocols.hdlc.parameters import Parameters
from amity.protocols.hdlc.station import LinkSettings
from amity.protocols.iec62056_21.messages import Identification
from amity.protocols.iec62056_21.meter_sign_on import MeterSignOnSettings
from amity.protocols.iec62056_21.sign_on import SignOnSettings
from amity.transports.failures import (
    ConnectionClosedError,
    ConnectionFailedError,
    ConnectionRefusedByPeerError,
    LinkRefusedError,
    PartialFrameError,
    SerialPortError,
    SignOnFailedError,
    TimerT1Error,
)
from amity.transports.hdlc_channel import HdlcChannel, HdlcRoute
from amity.transports.hdlc_listener import HdlcPlace, serve_hdlc_meter, serve_meter_on_pty
from amity.transports.line import SerialSettings, open_serial_line
from amity.transports.meter_listener import MeterListener
from amity.transports.sign_on import sign_on
from tests.unit.devices.conversing import (
    IMPORT,
    LOAD_PROFILE,
    NOW,
    PUBLIC,
    READER,
    access,
    meter,
    ports,
    settings_for,
)

GMAC = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
IMPORT_VALUE, BUFFER = Attribute(3, IMPORT, 2), Attribute(7, LOAD_PROFILE, 2)
CLIENT, METER = Address(PUBLIC), Address(1, 17)
ROUTE = HdlcRoute(CLIENT, METER)
IDENTIFICATION = Identification("AMY", 9600, offers_hdlc=True, text="E450")
QUICK = LinkSettings(response_timeout_s=0.3, inter_octet_timeout_s=0.1, retries=1)
Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class StandingClock:
    """It is always NOW."""

    def now(self) -> datetime:
        return NOW.astimezone(UTC)


async def serving(place: HdlcPlace | None = None) -> MeterListener:
    return await serve_hdlc_meter(meter(GMAC), "127.0.0.1", 0, clock=StandingClock(), place=place or HdlcPlace())


# ------------------------------------------------------------------ whole sessions
@pytest.mark.parametrize("parameters", [Parameters(), Parameters.both_ways(2030, 7), Parameters(60, 1000, 1, 5)])
async def test_a_ciphered_session_over_tcp(parameters: Parameters):
    listener = await serving()
    route = HdlcRoute(Address(READER), METER, LinkSettings(parameters))
    channel = await HdlcChannel.open_tcp("127.0.0.1", listener.port, route, 2.0)
    session = await channel.run(associate(settings_for(GMAC), ports()), 2.0)
    assert await channel.run(get(session, IMPORT_VALUE), 2.0) == double_long_unsigned(4711)
    assert len(await channel.run(get_octets(session, BUFFER), 2.0)) > 8_000
    assert await channel.run(release(session), 2.0)
    await channel.close()
    await channel.close()
    await listener.close()


async def test_a_client_that_leaves_frees_the_meter_on_the_same_line():
    listener = await serving()
    first = await HdlcChannel.open_tcp("127.0.0.1", listener.port, ROUTE, 2.0)
    second = await HdlcChannel.open_tcp("127.0.0.1", listener.port, ROUTE, 2.0)
    await first.run(associate(settings_for(access()), ports()), 2.0)
    with pytest.raises(AssociationRejectedError, match="busy"):
        await second.run(associate(settings_for(access()), ports()), 2.0)
    await first.close()
    await second.run(associate(settings_for(access()), ports()), 2.0)
    await second.close()
    await listener.close()


async def test_a_session_on_a_pseudo_terminal():
    end = await serve_meter_on_pty(meter(GMAC), clock=StandingClock(), place=HdlcPlace())
    for _ in range(2):  # the next client finds the line as the first did
        channel = await HdlcChannel.open_serial(end.device, SerialSettings(9600), ROUTE, 2.0)
        session = await channel.run(associate(settings_for(access()), ports()), 2.0)
        assert await channel.run(get(session, IMPORT_VALUE), 2.0) == double_long_unsigned(4711)
        await channel.close()
    end.close()


async def test_a_session_after_a_mode_e_sign_on():
    place = HdlcPlace(sign_on=MeterSignOnSettings(IDENTIFICATION, parity_by_hand=True))
    end = await serve_meter_on_pty(meter(GMAC), clock=StandingClock(), place=place)
    signing_on = SignOnSettings(parity_by_hand=True)
    channel = await HdlcChannel.open_serial(end.device, SerialSettings(300), ROUTE, 2.0, signing_on)
    session = await channel.run(associate(settings_for(access()), ports()), 2.0)
    assert await channel.run(get(session, IMPORT_VALUE), 2.0) == double_long_unsigned(4711)
    await channel.close()
    end.close()


async def test_a_line_that_cannot_be_set_to_seven_bits_signs_on_with_parity_by_hand():
    place = HdlcPlace(sign_on=MeterSignOnSettings(IDENTIFICATION, parity_by_hand=True))
    end = await serve_meter_on_pty(meter(GMAC), clock=StandingClock(), place=place)
    channel = await HdlcChannel.open_serial(end.device, SerialSettings(300), ROUTE, 2.0, SignOnSettings())
    await channel.run(associate(settings_for(access()), ports()), 2.0)
    await channel.close()
    end.close()


async def test_after_the_link_the_meter_wants_a_sign_on_again():
    place = HdlcPlace(sign_on=MeterSignOnSettings(IDENTIFICATION, parity_by_hand=True))
    end = await serve_meter_on_pty(meter(GMAC), clock=StandingClock(), place=place)
    for _ in range(2):
        channel = await HdlcChannel.open_serial(end.device, SerialSettings(300), ROUTE, 2.0, SignOnSettings())
        await channel.run(associate(settings_for(access()), ports()), 2.0)
        await channel.close()
    with pytest.raises(TimerT1Error):  # without a sign-on HDLC is noise to it
        await HdlcChannel.open_serial(end.device, SerialSettings(9600), replace(ROUTE, settings=QUICK), 0.2)
    end.close()


async def test_a_client_that_signed_on_and_went_away_does_not_lock_the_next_one_out():
    place = HdlcPlace(sign_on=MeterSignOnSettings(IDENTIFICATION, parity_by_hand=True))
    end = await serve_meter_on_pty(meter(GMAC), clock=StandingClock(), place=place)
    for _ in range(2):
        line = await open_serial_line(end.device, SerialSettings(300))
        signed = await sign_on(line, SignOnSettings())
        assert signed.identification == IDENTIFICATION
        await line.close()
    end.close()


async def test_an_optical_head_that_echoes():
    """The other end of the terminal gives back what it is sent before the meter answers."""

    end = await serve_meter_on_pty(meter(GMAC), clock=StandingClock(), place=HdlcPlace())
    meant = end._protocol.data_received

    def echo_first(data: bytes) -> None:
        end.write(data)
        meant(data)

    end._protocol.data_received = echo_first  # type: ignore[method-assign]
    same = HdlcRoute(Address(READER), Address(1))  # where only the echo canceller can tell who spoke
    channel = await HdlcChannel.open_serial(end.device, SerialSettings(9600, echoes=True), same, 2.0)
    session = await channel.run(associate(settings_for(GMAC), ports()), 2.0)
    assert await channel.run(get(session, IMPORT_VALUE), 2.0) == double_long_unsigned(4711)
    await channel.close()
    end.close()


# ------------------------------------------------------------------ what can go wrong
@asynccontextmanager
async def listening(behave: Streams) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def from_meter(control: int, information: bytes = b"") -> bytes:
    return encode(METER, CLIENT, control, information)


UA, DM = from_meter(control_of(FrameKind.UA)), from_meter(control_of(FrameKind.DM))
ANSWER = from_meter(information_control(0, 1), b"\xe6\xe7\x00\xc4\x01")


def saying(*answers: bytes, then_wait: bool = False) -> Streams:
    """Answer one frame after the other with these octets, then close (or wait for the client to)."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames, waiting = Reader(), list(answers)
        while octets := await reader.read(1000):
            for _ in frames.feed(octets):
                if waiting:
                    writer.write(waiting.pop(0))
            if not waiting and not then_wait:
                return

    return behave


async def opened(port: int, settings: LinkSettings = QUICK) -> HdlcChannel:
    return await HdlcChannel.open_tcp("127.0.0.1", port, replace(ROUTE, settings=settings), 1.0)


async def failure_of(
    behave: Streams, kind: type[Exception], settings: LinkSettings = QUICK, timeout_s: float = 2.0
) -> Exception:
    """What an exchange fails with after the link was set up."""
    async with listening(behave) as port:
        channel = await opened(port, settings)
        with pytest.raises(kind) as caught:
            await channel.exchange(b"\xc0\x01", timeout_s)
        await channel.close()
    return caught.value


async def test_an_answer_with_noise_and_something_unasked_before_it():
    notification = bytes.fromhex("0f00000001000600000001")
    before = encode_ui(METER, CLIENT, b"\xe6\xe7\x00" + notification)
    async with listening(saying(UA, b"noise" + before + ANSWER, then_wait=True)) as port:
        channel = await opened(port)
        assert await channel.exchange(b"\xc0\x01", 1.0) == b"\xc4\x01"
        assert list(channel.unsolicited) == [notification]
        await channel.close()


async def test_connection_refused_and_no_way():
    async with listening(saying()) as port:
        pass
    with pytest.raises(ConnectionRefusedByPeerError):
        await opened(port)
    with pytest.raises(ConnectionFailedError):
        await HdlcChannel.open_tcp("127.0.0.256", 4059, ROUTE, 1.0)


async def test_a_meter_that_takes_no_link():
    async with listening(saying(DM)) as port:
        with pytest.raises(LinkRefusedError, match="HDLC Link Refused") as caught:
            await opened(port)
    assert "127.0.0.1:" in caught.value.tried
    assert caught.value.next_step


async def test_silence_when_the_link_is_set_up():
    async with listening(saying(then_wait=True)) as port:
        with pytest.raises(TimerT1Error, match="Timer T1 Timeout"):
            await opened(port)


async def test_the_connection_ends_when_the_link_is_set_up():
    async with listening(saying(b"")) as port:
        with pytest.raises(ConnectionClosedError):
            await opened(port)


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (saying(UA, then_wait=True), TimerT1Error),
        (saying(UA, b""), ConnectionClosedError),
        (saying(UA, ANSWER[:-4]), PartialFrameError),
        (saying(UA, ANSWER[:-4], then_wait=True), PartialFrameError),
        (saying(UA, DM), LinkRefusedError),
        (saying(UA, from_meter(control_of(FrameKind.FRMR), b"\x10\x00\x01")), HdlcError),
        (saying(UA, from_meter(control_of(FrameKind.RR, 5))), HdlcError),
    ],
)
async def test_each_failure_has_its_name(behave: Streams, kind: type[Exception]):
    error = await failure_of(behave, kind)
    assert error.next_step


async def test_an_exchange_that_takes_longer_than_it_may():
    error = await failure_of(saying(UA, then_wait=True), TimerT1Error, LinkSettings(), timeout_s=0.2)
    assert "0.2 s" in error.answer


async def test_unanswered_requests_and_listening():
    three = Parameters.both_ways(128, 3)
    heard: list[FrameKind] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Reader()
        answers = [
            from_meter(control_of(FrameKind.UA), three.encode()),
            from_meter(information_control(0, 2), b"\xe6\xe7\x00\xc4\x01"),
            from_meter(information_control(1, 2), b"\xe6\xe7\x00\xc4\x02"),
        ]
        while octets := await reader.read(1000):
            for frame in frames.feed(octets):
                heard.append(frame.kind)
                if frame.final:
                    writer.write(answers.pop(0) if answers else from_meter(control_of(FrameKind.RR, 2)))

    async with listening(behave) as port:
        channel = await opened(port, LinkSettings(three, poll_interval_s=0.05))
        assert await channel.exchange(Unanswered(b"\xe0\x01"), 0.2) == b""
        assert await channel.exchange(b"\xe0\x02", 0.2) == b"\xc4\x01"
        assert await channel.exchange(LISTEN, 0.2) == b"\xc4\x02"
        assert await channel.exchange(LISTEN, 0.12) == b""  # nothing more to say
        await channel.close()
    assert heard[:5] == [FrameKind.SNRM, FrameKind.I, FrameKind.I, FrameKind.RR, FrameKind.RR]


async def test_a_closed_channel_says_so():
    async with listening(saying(UA, UA, then_wait=True)) as port:
        channel = await opened(port)
        await channel.close()
        with pytest.raises((LocalProtocolError, TransportError)):
            await channel.exchange(b"\xc0\x01", 0.2)


async def test_a_serial_port_that_is_not_there():
    with pytest.raises(SerialPortError, match="Serial Port Not Available") as caught:
        await HdlcChannel.open_serial("/dev/ttyNobody", SerialSettings(), ROUTE, 1.0)
    assert "/dev/ttyNobody" in caught.value.tried


async def test_nobody_signs_on():
    end = await serve_meter_on_pty(meter(GMAC), clock=StandingClock(), place=HdlcPlace())
    quick = SignOnSettings(reply_timeout_s=0.02, retries=0, parity_by_hand=True)
    with pytest.raises(SignOnFailedError, match="Sign-On Failed"):
        await HdlcChannel.open_serial(end.device, SerialSettings(300), ROUTE, 1.0, quick)
    end.close()
