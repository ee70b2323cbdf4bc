"""Telegrams in carriers that are put together here, with what goes wrong on the way."""

import json

import pytest

from amity.devices.telegram_json import telegram_to_json
from amity.devices.telegrams import Telegram, decode_telegram, protector_from_keys
from amity.kernel.errors import RemoteProtocolError, SecurityError
from amity.kernel.obis import Obis
from amity.protocols.dlms import acse, apdu, data
from amity.protocols.dlms.ciphering import CipherKeys, wrap_general_glo, wrap_glo
from amity.protocols.hdlc import frame as hdlc
from amity.protocols.hdlc.address import Address
from amity.protocols.mbus import frame as mbus
from amity.protocols.wrapper import frame as wrapper

TITLE, EK, AK = b"AMY\0\0\0\0\1", bytes(range(16)), bytes(range(16, 32))
KEYS = CipherKeys(0, EK, AK)
FOR = protector_from_keys(EK, AK)
METER, CLIENT = Address(1, 17), Address(16)
LLC = b"\xe6\xe7\x00"
ENTRIES = [
    data.structure(
        data.octet_string(Obis(bytes([1, 0, number, 8, 0, 255]))),
        data.double_long_unsigned(number),
        data.structure(data.integer(0), data.enum(30)),
    )
    for number in range(1, 40)
]
PUSH = apdu.DataNotification(7, b"", data.array(ENTRIES)).encode()
SEALED = wrap_general_glo(KEYS, 0x30, TITLE, 5, PUSH)


def pieces(octets: bytes, size: int) -> list[bytes]:
    return [octets[at : at + size] for at in range(0, len(octets), size)]


def blocks(octets: bytes, size: int = 100) -> list[bytes]:
    parts = pieces(octets, size)
    return [
        apdu.GeneralBlockTransfer(
            last_block=number == len(parts),
            streaming=True,
            window=0,
            block_number=number,
            block_number_ack=0,
            data=part,
        ).encode()
        for number, part in enumerate(parts, 1)
    ]


def ui(octets: bytes) -> bytes:
    return hdlc.encode_ui(METER, CLIENT, octets)


def segments(octets: bytes) -> bytes:
    parts = pieces(LLC + octets, 120)
    frames = [
        hdlc.encode(METER, CLIENT, 0x13, part, segmented=number < len(parts) - 1) for number, part in enumerate(parts)
    ]
    return b"".join(frames)


def read(octets: bytes, **more: bytes) -> Telegram:
    telegram = decode_telegram(octets, FOR, **more)
    json.dumps(telegram_to_json(telegram), allow_nan=False)
    return telegram


CARRIERS = {
    "bare": SEALED,
    "llc": LLC + SEALED,
    "hdlc": ui(LLC + SEALED),
    "hdlc without flags": ui(LLC + SEALED)[1:-1],
    "hdlc segments": segments(SEALED),
    "hdlc frames that go on without the segmentation bit": b"".join(map(ui, pieces(LLC + SEALED, 120))),
    "hdlc, flags shared": ui(LLC + SEALED)[:-1] + ui(b"")[0:],
    "block transfer over hdlc": ui(LLC + blocks(SEALED)[0]) + b"".join(map(ui, blocks(SEALED)[1:])),
    "block transfer in hdlc segments": b"".join(map(segments, blocks(SEALED, 300))),
    "blocks out of order and twice": b"".join(ui(LLC + blocks(SEALED, 200)[at]) for at in (0, 0, 2, 1, 3, 4)),
    "m-bus": b"".join(mbus.encode_segments(0x53, 0xFF, 1, 103, SEALED)),
    "wrapper": wrapper.encode(1, 103, SEALED),
    "wrapper after noise": b"\xff\x00" + wrapper.encode(1, 103, SEALED),
    "bare after noise": b"\xff\xfe" + SEALED,
    "general-glo around block transfer": b"".join(
        wrapper.encode(1, 103, wrap_general_glo(KEYS, 0x30, TITLE, 9 + at, one)) for at, one in enumerate(blocks(PUSH))
    ),
    "behind a gateway": wrapper.encode(1, 103, b"\xe7\x00\x03abc" + SEALED),
    "plain": PUSH,
    "plain value": data.encode(data.array(ENTRIES)),
}  # fmt: skip


@pytest.mark.parametrize("name", CARRIERS)
def test_the_same_readings_out_of_every_carrier(name: str):
    telegram = read(CARRIERS[name])
    assert [one.number for one in telegram.readings] == list(range(1, 40))
    assert len(telegram.messages) == 1


@pytest.mark.parametrize("name", ["hdlc", "m-bus", "wrapper", "block transfer over hdlc", "hdlc segments"])
def test_noise_before_between_and_after(name: str):
    noise = b"\x00\xff\x7e\x68\x10"
    telegram = read(noise + CARRIERS[name] + noise + CARRIERS[name] + noise)
    assert [one.number for one in telegram.readings] == list(range(1, 40)) * 2
    assert any("belong to no frame" in warning for warning in telegram.warnings)


def test_two_senders_on_one_line_are_kept_apart():
    others = Address(2, 18)
    parts = pieces(LLC + SEALED, 120)
    stream = b""
    for number, part in enumerate(parts):
        for source in (METER, others):
            stream += hdlc.encode(source, CLIENT, 0x13, part, segmented=number < len(parts) - 1)
    assert len(read(stream).messages) == 2


def test_a_missing_segment_or_block_is_said():
    with pytest.raises(RemoteProtocolError, match="only blocks 1, 3"):
        read(wrapper.encode(1, 1, blocks(SEALED)[0]) + wrapper.encode(1, 1, blocks(SEALED)[2]))
    frames = mbus.encode_segments(0x53, 0xFF, 1, 103, SEALED)
    assert any("segment 2 came where 1 was due" in warning for warning in read(frames[0] + frames[2]).warnings)
    cut = read(CARRIERS["hdlc segments"][: len(CARRIERS["hdlc segments"]) // 2])
    assert "the last HDLC segment is missing" in cut.warnings


def test_blocks_of_two_senders_in_turn_are_kept_apart():
    backwards = apdu.DataNotification(8, b"", data.array(ENTRIES[::-1])).encode()
    stream = b"".join(
        wrapper.encode(1, 103, mine) + wrapper.encode(2, 103, theirs)
        for mine, theirs in zip(blocks(PUSH), blocks(backwards), strict=True)
    )
    numbers = [[reading.number for reading in message.readings] for message in read(stream).messages]
    assert numbers == [list(range(1, 40)), list(range(39, 0, -1))]


def get_blocks(octets: bytes, size: int = 100) -> list[bytes]:
    parts = pieces(octets, size)
    return [
        apdu.GetResponseWithBlock(0xC1, number == len(parts), number, part).encode()
        for number, part in enumerate(parts, 1)
    ]


@pytest.mark.parametrize("protected", [False, True])
def test_a_get_answer_in_blocks_is_joined(protected: bool):
    value = data.array(ENTRIES)
    answers = get_blocks(data.encode(value))
    if protected:
        answers = [wrap_general_glo(KEYS, 0x30, TITLE, 9 + at, one) for at, one in enumerate(answers)]
    asked = [apdu.GetRequestNext(0xC1, number).encode() for number in range(1, len(answers))]
    stream = wrapper.encode(1, 16, answers[0]) + b"".join(
        wrapper.encode(16, 1, ask) + wrapper.encode(1, 16, answer)
        for ask, answer in zip(asked, answers[1:], strict=True)
    )
    telegram = read(stream)
    assert telegram.messages[-1].body == value
    assert len(telegram.messages) == len(asked) + 1


def test_a_get_answer_with_list_in_blocks_is_joined():
    results = (data.double_long_unsigned(7), apdu.DataAccessResult.OBJECT_UNAVAILABLE)
    head = 3  # tag, choice and invoke id stand before what is sent in blocks
    answers = get_blocks(apdu.GetResponseWithList(0xC1, results).encode()[head:], 4)
    (message,) = read(b"".join(answers)).messages
    assert message.content == apdu.GetResponseWithList(0xC1, results)


def test_get_blocks_that_are_not_all_there_are_shown_as_they_are():
    answers = get_blocks(data.encode(data.array(ENTRIES)))
    telegram = read(answers[0] + answers[2])
    assert [one.content.block_number for one in telegram.messages] == [1, 3]
    assert "only blocks 1, 3 of a GET answer in blocks are here" in telegram.warnings
    (message,) = read(get_blocks(b"\xff\xff\xff")[0]).messages
    assert "hold no value" in message.warnings[0]


SMALL = apdu.DataNotification(7, b"", data.array(ENTRIES[:3])).encode()
FRAME = ui(LLC + SMALL)
UNKNOWN = hdlc.encode_ui(METER, CLIENT, LLC + b"\x55" * 9)
CUT = {
    "half an HDLC frame": (FRAME[:42], "HDLC frame of 84 octets is announced, 41 were captured"),
    "half an HDLC frame without flags": (FRAME[1:40], "HDLC frame of 84 octets is announced, 39 were captured"),
    "half an HDLC frame behind noise": (b"\1\2\x7e" + FRAME[:42], "of 84 octets is announced, 41 were captured"),
    "a short HDLC frame": (bytes.fromhex("7ea00a0321130f4000007e"), "of 10 octets is announced, 9 were captured"),
    "no addresses": (bytes.fromhex("7ea008000000000000007e"), "of 8 octets has no readable addresses"),
    "an HDLC frame check": (UNKNOWN[:-3] + b"\0\0\x7e", "the frame check of the hdlc frame does not match, and what"),
    "both HDLC checks": (UNKNOWN[:6] + b"\0\0" + UNKNOWN[8:-3] + b"\0\0\x7e", "frame check of an HDLC frame of 22"),
    "an M-Bus checksum": (mbus.encode(8, 1, 0x10, b"\x55" * 9)[:-2] + b"\0\x16", "the checksum of the mbus frame does"),
    "half an M-Bus frame": (mbus.encode_segments(8, 1, 1, 103, SEALED)[0][:100], "of 255 octets .* 96 follow its head"),
    "an M-Bus frame without end": (b"\x68\4\4\x68" + bytes(16), "4 octets does not end with the stop octet"),
    "half a wrapper frame": (wrapper.encode(1, 103, SMALL[:25])[:13], "the wrapper announces 25 octets, 5 follow"),
    "a wrapper that announces less": (wrapper.HEADER.pack(1, 1, 103, 5) + SMALL[:25], "announces 5 octets, 25 follow"),
    "only a wrapper header": (wrapper.HEADER.pack(1, 1, 103, 25), "announces 25 octets, 0 follow"),
    "a wrapper around nothing": (wrapper.HEADER.pack(1, 1, 103, 0) + b"\x55", "the wrapper announces no octets"),
    "a wrapper around no APDU": (wrapper.encode(1, 103, b"\x55" * 5), "5 octets that are no APDU: they begin with 55"),
    "half an APDU": (SMALL[:-5], "the buffer ends"),
    "half a ciphered APDU": (SEALED[:-50], "announces 844 octets; 794 follow"),
}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_what_was_cut_off_or_altered_is_said_with_a_next_step(name: str):
    octets, what = CUT[name]
    with pytest.raises(RemoteProtocolError, match=what) as caught:
        read(octets)
    assert caught.value.next_step


def test_a_tag_that_fails_in_a_damaged_frame_names_the_frame():
    frame = bytearray(ui(LLC + SEALED))
    frame[200] ^= 1
    with pytest.raises(SecurityError, match="frame check of the hdlc frame does not match") as caught:
        read(bytes(frame))
    assert "verify" in (caught.value.answer or "")


@pytest.mark.parametrize(
    ("octets", "warning"),
    [
        (FRAME[:-3], "84 octets is announced, 82 were captured"),
        (FRAME + FRAME[:40], "an HDLC frame of 84 octets is announced, 39 were captured"),
        (wrapper.HEADER.pack(1, 1, 103, 5) + SMALL, "the wrapper announces 5 octets, "),
    ],
)
def test_a_message_that_decodes_from_a_broken_frame_says_so(octets: bytes, warning: str):
    telegram = read(octets)
    assert len(telegram.readings) == 3
    assert any(warning in one for one in telegram.warnings)


def test_wrong_authentication_key_and_altered_octets_are_security_errors():
    for keys in (protector_from_keys(EK, bytes(16)), protector_from_keys(AK, EK), protector_from_keys(AK)):
        with pytest.raises(SecurityError) as caught:
            decode_telegram(SEALED, keys)
        assert "key" in " ".join(caught.value.lines())
    with pytest.raises(SecurityError):
        read(SEALED[:-1] + bytes([SEALED[-1] ^ 1]))


def test_one_message_with_a_wrong_key_does_not_hide_the_others():
    foreign = wrap_general_glo(CipherKeys(0, AK, AK), 0x30, b"OTHERONE", 1, PUSH)
    telegram = read(wrapper.encode(1, 1, SEALED) + wrapper.encode(2, 1, foreign))
    assert len(telegram.messages) == 1
    assert any("does not verify" in warning for warning in telegram.warnings)


def test_keys_of_the_wrong_length_for_the_message():
    with pytest.raises(SecurityError, match="suite 2"):
        decode_telegram(wrap_general_glo(CipherKeys(2, EK + AK, AK + EK), 0x32, TITLE, 1, PUSH), FOR)


def test_a_message_without_title_takes_the_one_given():
    response = apdu.GetResponseNormal(0xC1, data.double_long_unsigned(4711)).encode()
    glo = wrap_glo(KEYS, 0x30, TITLE, 3, response)
    with pytest.raises(SecurityError, match="title"):
        read(glo)
    (message,) = read(glo, system_title=TITLE).messages
    assert message.body == data.double_long_unsigned(4711)
    assert message.security[0].verified


def test_authenticated_only_is_readable_without_keys_and_not_called_verified():
    octets = wrap_general_glo(KEYS, 0x10, TITLE, 5, PUSH)
    telegram = decode_telegram(octets)
    assert len(telegram.readings) == 39
    assert telegram.messages[0].security[0].verified is None
    assert "was not verified" in telegram.warnings[0]
    assert read(octets).messages[0].security[0].verified is True


def test_p1_text_inside_a_ciphered_message():
    text = b"/Lux5\\253663629_D\r\n\r\n1-3:0.2.8(42)\r\n1-0:1.8.0(000306.946*kWh)\r\n!\r\n"
    telegram = read(wrap_general_glo(KEYS, 0x30, b"SAC\0\0\0\0\1", 5, text))
    assert [str(one.number) for one in telegram.readings if one.scaling] == ["306946"]
    assert telegram.messages[0].text == text.decode()
    bare = read(text)
    assert bare.readings == telegram.readings


def test_association_frames_hide_passwords_and_keys():
    initiate = apdu.InitiateRequest(apdu.Conformance.GET, 1000, dedicated_key=EK).encode()
    aarq = acse.Aarq(initiate, acse.ApplicationContext.LN, acse.Mechanism.LLS, b"s3cret-password").encode()
    shown = json.dumps(telegram_to_json(read(aarq)))
    assert b"s3cret".hex() not in shown
    assert "(15 octets, not shown)" in shown
    assert EK.hex() not in shown
    assert EK.hex() not in json.dumps(telegram_to_json(read(initiate)))


def test_frames_without_apdus_are_shown_as_frames():
    snrm = hdlc.encode(CLIENT, METER, 0x93)
    ready = hdlc.encode(METER, CLIENT, 0x11)
    telegram = read(snrm + ready)
    assert [frame.kind for frame in telegram.frames] == ["SNRM", "RR"]
    assert telegram.messages == ()


@pytest.mark.parametrize("octets", [b"", b"\x55", b"garbage of any kind", bytes(40)[:0] + b"\xfe" * 300])
def test_nothing_that_decodes_is_one_typed_error(octets: bytes):
    with pytest.raises(RemoteProtocolError):
        decode_telegram(octets)


def test_every_apdu_has_a_json_tree():
    request = apdu.GetRequestNormal(0xC1, apdu.Attribute(7, Obis.parse("1.0.99.1.0.255"), 2), apdu.EntryAccess(1, 96))
    (message,) = telegram_to_json(read(request.encode()))["messages"]
    assert message["apdu"] == {
        "get-request-normal": {
            "invoke-id-and-priority": 193,
            "attribute": {"class-id": 7, "obis": "1.0.99.1.0.255", "index": 2},
            "access": {"from-entry": 1, "to-entry": 96, "from-column": 1, "to-column": 0},
        }
    }


BOMBS = {
    "flags and lengths": b"\x7e\xa7\xff" * 20_000,
    "m-bus starts": b"\x68" * 60_000,
    "wrapper headers": b"\x00\x01\x00\x01\x00\x01\x00\x10\xc0" * 6_000,
    "gateway prefixes": LLC * 20_000,
    "arrays of arrays": b"\x0f\0\0\0\0\0" + b"\x01\x82\xff\xff" * 10_000,
    "blocks without end": b"\xe0\x00\x00\x01\x00\x00\x00" * 8_000,
    "blocks without a first, all last": b"".join(
        b"\xe0\x80" + number.to_bytes(2, "big") + b"\0\0\0" for number in range(2, 30_000)
    ),
    "general-glo in general-glo": b"\xdb\x00" * 20_000,
    "lists of attributes": b"\xc0\x03\xc1\x82\xff\xff" * 10_000,
    "compact arrays": b"\x0f\0\0\0\0\0\x13" + b"\x01\xff\xff" * 20_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_octets_made_to_exhaust_the_reader_are_one_typed_error(name: str):
    with pytest.raises(RemoteProtocolError):
        decode_telegram(BOMBS[name])


def test_brackets_without_end_in_a_p1_text():
    assert read(b"/ABC5x\r\n1-0:1.8.0" + b"(1)" * 20_000).readings[0].value == "1"
