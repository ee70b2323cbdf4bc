"""Where the server side of gurux-dlms 1.0.203 ends, with the exact symptom: each test is a row of the table."""

import asyncio
import secrets
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from amity.devices.client import (
    AssociationRejectedError,
    AssociationSettings,
    Authentication,
    Ciphering,
    Conversation,
    MethodRefusedError,
    Ports,
    Protection,
    Session,
    WriteRefusedError,
    act,
    associate,
    get_octets,
    release,
    set_attribute,
)
from amity.kernel.errors import AmityError, RemoteProtocolError
from amity.protocols.dlms.apdu import Ciphered, CipherTag, decode
from amity.protocols.dlms.data import decode_all, integer, octet_string, unsigned
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.selective_access import EntryAccess, RangeAccess
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.frame import Frame, FrameKind, Reader, control_of, encode
from amity.transports.failures import ConnectionClosedError
from amity.transports.line import open_tcp_line
from amity.transports.wrapper_channel import WrapperChannel
from tests.interop import ledger
from tests.interop.foreign import CLIENT_TITLE
from tests.interop.test_foreign_meter import BUFFER, NOTE, PUBLIC_CLIENT, RESET, TIMEOUT_S, foreign_meter

PEER = "gurux-dlms"
SECRET = b"sunrise1"
HLS = [
    Authentication.HLS2, Authentication.HLS_MD5, Authentication.HLS_SHA1, Authentication.HLS_GMAC,
    Authentication.HLS_SHA256,
]  # fmt: skip
KEYS = Keys(bytes(range(16)), bytes(range(0xD0, 0xE0)), secret=SECRET)
TITLE = bytes.fromhex("4142434445464748")  # what the peer calls itself unless told otherwise; it does not say so
CLOCK_COLUMN = decode_all(bytes.fromhex("020412000809060000010000ff0f02120000"))
DATES = [octet_string(bytes.fromhex(f"07ea0301ff{hour:02x}0000ff000000")) for hour in (1, 2)]


def settings_for(auth: Authentication, **others: Any) -> AssociationSettings:
    return AssociationSettings(
        auth, client_title=bytes.fromhex(CLIENT_TITLE), server_title=TITLE, password=SECRET,
        protector=KeyRing(0, KEYS),
        broken_digests_allowed=auth.broken, **others,
    )  # fmt: skip


def whole(settings: AssociationSettings, talk: Callable[[Session], Conversation[Any]]) -> Conversation[Any]:
    session = yield from associate(settings, Ports(secrets.token_bytes, count(1).__next__))
    result = yield from talk(session)
    yield from release(session)
    return result


async def asked(
    port: int, settings: AssociationSettings, talk: Callable[[Session], Conversation[Any]] = release
) -> Any:
    channel = await WrapperChannel.open("127.0.0.1", port, PUBLIC_CLIENT, 1, TIMEOUT_S)
    try:
        return await channel.run(whole(settings, talk), TIMEOUT_S)
    finally:
        await channel.close()


@pytest.mark.parametrize("auth", HLS, ids=str)
async def test_its_aare_counts_the_length_of_its_challenge_wrong(auth: Authentication):
    ledger.ran(PEER, role="meter", auth=auth.value, services="association")
    with foreign_meter(auth) as meter, pytest.raises(RemoteProtocolError):
        await asked(meter.port, settings_for(auth))
    ledger.defect("its AARE says 16 octets (AA 10 80 10 …) where 18 follow")


@pytest.mark.parametrize("auth", HLS, ids=str)
async def test_with_that_repaired_it_cannot_take_pass_3(auth: Authentication):
    """As every ACTION: its own code raises AttributeError, and it answers C7 01 .. 01 without what has to follow."""
    ledger.ran(PEER, role="meter", auth=auth.value, services="pass 3, its AARE repaired")
    with foreign_meter(auth, "repaired") as meter, pytest.raises(AssociationRejectedError) as refusal:
        await asked(meter.port, settings_for(auth))
    assert refusal.value.answer == "action-result hardware-fault"
    ledger.defect("its own code raises at ACTION: no answer to a challenge can be given")


async def test_it_has_no_aare_for_glo():
    ledger.ran(PEER, role="meter", auth="lls", ciphering="glo", services="association")
    with foreign_meter(Authentication.LLS, "ciphered") as meter:
        with pytest.raises(ConnectionClosedError):
            await asked(meter.port, ciphered(Ciphering.GLO))
        assert "Invalid GLO command" in meter.raised()
    ledger.defect("it raises 'Invalid GLO command' in place of its AARE")


async def test_it_enciphers_its_aare_for_general_glo():
    """Nobody can read that before the meter has said its title; who knows it finds 61 00 A1 09 … A4 08 04 00 inside."""
    ledger.ran(PEER, role="meter", auth="lls", ciphering="general-glo", services="association")
    with foreign_meter(Authentication.LLS, "ciphered") as meter:
        channel = await WrapperChannel.open("127.0.0.1", meter.port, PUBLIC_CLIENT, 1, TIMEOUT_S)
        ours = associate(ciphered(Ciphering.GENERAL_GLO), Ports(secrets.token_bytes, count(1).__next__))
        answer = decode(await channel.exchange(next(ours), TIMEOUT_S))
        ours.close()
        await channel.close()
    assert isinstance(answer, Ciphered)
    assert (answer.tag, answer.system_title) == (CipherTag.GENERAL_GLO, TITLE)
    inside = KeyRing(0, KEYS).unprotect(answer.security_control, TITLE, answer.invocation_counter, answer.payload)
    assert inside.startswith(bytes.fromhex("6100a109"))
    assert TITLE not in inside
    ledger.defect("it enciphers its whole AARE (DB …), inside of which are a length of 0 and half a title")


def ciphered(ciphering: Ciphering) -> AssociationSettings:
    return settings_for(Authentication.LLS, ciphering=ciphering, protection=Protection.AUTHENTICATED_ENCRYPTED)


async def test_it_answers_snrm_with_no_ua():
    ledger.ran(PEER, role="meter", framing="hdlc", auth="none", services="SNRM")
    frames: asyncio.Queue[Frame] = asyncio.Queue()
    reader = Reader()
    with foreign_meter(Authentication.NONE, framing="hdlc") as meter:
        line = await open_tcp_line("127.0.0.1", meter.port, TIMEOUT_S)
        line.listener = lambda octets: [frames.put_nowait(frame) for frame in reader.feed(octets)]
        line.write(encode(Address(PUBLIC_CLIENT), Address(1), control_of(FrameKind.SNRM)))
        async with asyncio.timeout(TIMEOUT_S):
            answer = await frames.get()
        await line.close()
    assert answer.kind is FrameKind.I
    ledger.defect("it answers SNRM with an I frame, never with UA: no link, so nothing over HDLC")


@pytest.mark.parametrize(
    ("service", "talk", "refusal"),
    [
        ("SET", lambda session: set_attribute(session, NOTE, unsigned(200)), WriteRefusedError),
        ("ACTION", lambda session: act(session, RESET, integer(0)), MethodRefusedError),
        ("GET by range", lambda one: get_octets(one, BUFFER, RangeAccess(CLOCK_COLUMN, *DATES)), AmityError),
        ("GET by entry", lambda session: get_octets(session, BUFFER, EntryAccess(1, 2)), AmityError),
    ],
)
async def test_its_own_code_raises_at(
    service: str, talk: Callable[[Session], Conversation[Any]], refusal: type[AmityError]
):
    ledger.ran(PEER, role="meter", auth="none", services=service)
    with foreign_meter(Authentication.NONE) as meter, pytest.raises(refusal) as error:
        await asked(meter.port, settings_for(Authentication.NONE), talk)
    assert "hardware-fault" in str(error.value)
    ledger.defect("its own code raises, and it answers hardware-fault")


async def test_it_cuts_a_long_answer_off():
    """A buffer that does not fit the client's PDU has to come in blocks."""
    ledger.ran(PEER, role="meter", auth="none", services="GET in blocks")
    settings = settings_for(Authentication.NONE, max_pdu_octets=512)
    with foreign_meter(Authentication.NONE) as meter, pytest.raises(AmityError):
        await asked(meter.port, settings, lambda session: get_octets(session, BUFFER))
    ledger.defect("a block is cut off in its middle")
