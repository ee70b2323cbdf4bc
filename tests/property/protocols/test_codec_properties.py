"""Any octets give a value or one typed error of the other side; any value comes back from its octets."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.devices.push import normalise
from amity.devices.push_body import read_body
from amity.devices.push_p1 import read_p1
from amity.devices.telegram_json import telegram_to_json
from amity.devices.telegrams import decode_telegram, protector_from_keys
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms import acse, apdu, data
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.profile_buffer import ClockReading, ProfileColumns, TemplateCache, decode_columns
from amity.protocols.gateway import prefix as gateway
from amity.protocols.hdlc import frame as hdlc
from amity.protocols.hdlc.address import Address
from amity.protocols.iec62056_21.messages import Identification, decode_acknowledgement, decode_identification
from amity.protocols.iec62056_21.meter_sign_on import MeterSignOn, MeterSignOnSettings
from amity.protocols.iec62056_21.sign_on import SignOn
from amity.protocols.mbus import frame as mbus
from amity.protocols.wrapper import frame as wrapper
from tests.property.protocols.strategies import mutated, values

APDUS = [
    bytes.fromhex(text)
    for text in (
        "c001c100080000010000ff0200",
        "c001c100070100630100ff0201010204020412000809060000010000ff0f02120000090c07e40101ff00030000ff8800090c07e40102ff00030000ff88000100",
        "c002c100000001",
        "c003c10200070100630100ff020000080000010000ff0200",
        "c401c1000204120001110209021234060000000a",
        "c401c10103",
        "c402c10000000001000a01020102110102021102",
        "c403c1020011050104",
        "c101c100080000010000ff0200090c07e50118ff0e303950ffc400",
        "c301c1000f0000280000ff010109111000001a90e6d2221fa2fd85eed61acc22",
        "c701c10001000905aabbccddee",
        "c2010c07e70706040a362600ff888000010000600101ff02090441424344",
        "0f00000001000203110112000202020f00161e",
        "db084d4d4d0000bc614e1e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b",
        "c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b",
        "e0400001000003aabbcc",
        "d801066000000001",
        "0e010600",
        "01000000065f1f0400007e1f04b0",
        "0800065f1f040000501f01f40007",
        "d94000000000010100010000600100ff020100",
        "da4000000000000103010100",
        "6036a1090607608574050801018a0207808b0760857405080201ac0a80083333333333333333be10040e01000000065f1f0400007e1f0000",
        "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000381f009b0007",
        "6315800100be10040e0800065f1f040000381f009b0007",
    )
]
PROFILE = bytes.fromhex(
    "01020203090c07e20c050300000000800000110006000186a00203090c07e20c05030100000080000011000600018840"
)
COMPACT = bytes.fromhex("13020212090a00060241420007024344")


GATEWAY = bytes.fromhex("e601021234c001c100080000010000ff0200")
SIGN_ON_MESSAGES = (b"/?!\r\n", b"/AMY5\\2E1\r\n", b"\x06252\r\n")
SIGN_ON = MeterSignOnSettings(Identification("AMY", 9600, offers_hdlc=True, text="E1"))


def any_octets() -> st.SearchStrategy[bytes]:
    return st.binary(max_size=200) | mutated(
        [*APDUS, PROFILE, COMPACT, b"/AMY5\\2E1\r\n", b"\x06252\r\n", b"\xe6\x01\x02\x12\x34\xc0\x01"]
    )


DECODERS: dict[str, Callable[[bytes], object]] = {
    "data": data.decode_all,
    "apdu": apdu.decode,
    "acse": acse.decode,
    "date-time": CosemDateTime.from_octets,
    "profile": lambda octets: decode_columns(octets, ClockReading(0, capture_period_s=900)),
    "wrapper": lambda octets: wrapper.Reader().feed(octets),
    "hdlc": lambda octets: (reader := hdlc.Reader()).feed(octets) + reader.finish(),
    "hdlc frame": hdlc.parse,
    "gateway": gateway.decode,
    "sign-on identification": decode_identification,
    "sign-on acknowledgement": decode_acknowledgement,
    "sign-on": lambda octets: (client := SignOn()).start(0.0) + client.receive(octets, 0.0),
    "sign-on of a meter": lambda octets: MeterSignOn(SIGN_ON).receive(octets, 0.0),
    "wrapper datagram": wrapper.decode_datagram,
    "m-bus": mbus.find,
    "push body": read_body,
    "p1": lambda octets: read_p1(octets.decode("latin-1")),
    "telegram": lambda octets: telegram_to_json(decode_telegram(octets, protector_from_keys(bytes(16), bytes(16)))),
}


@pytest.mark.parametrize("name", DECODERS)
def test_any_octets_give_a_value_or_one_typed_error(name: str):
    @given(any_octets())
    def check(octets: bytes) -> None:
        with suppress(RemoteProtocolError):
            DECODERS[name](octets)

    check()


@given(any_octets())
def test_lazy_values_too_give_a_value_or_one_typed_error(octets: bytes):
    try:
        decoded = apdu.decode(octets)
        lazy = decoded.result if isinstance(decoded, apdu.GetResponseNormal) else getattr(decoded, "body", None)
        time = getattr(decoded, "time", None)
    except RemoteProtocolError:
        return
    assert lazy is None or lazy.__class__.__name__ in {"Data", "DataAccessResult"}
    assert time is None or isinstance(time, CosemDateTime | bytes)


@given(values())
def test_data_comes_back_from_its_octets(value: data.Data):
    octets = data.encode(value)
    assert data.decode(octets) == (value, len(octets))
    assert data.encode(data.decode_all(octets)) == octets


@given(values())
def test_data_cut_short_is_an_error_of_the_other_side(value: data.Data):
    octets = data.encode(value)
    for end in {len(octets) - 1, len(octets) // 2}:
        with pytest.raises(data.DecodeError):
            data.decode_all(octets[:end])


@given(values())
def test_every_value_normalises_and_no_plain_value_is_dropped(value: data.Data):
    readings = normalise(value).readings
    assert readings or value.is_sequence


@given(any_octets())
def test_what_decodes_encodes_to_octets_that_decode_to_the_same(octets: bytes):
    try:
        decoded = apdu.decode(octets)
    except RemoteProtocolError:
        return
    assert apdu.decode(apdu.encode(decoded)) == decoded


@given(any_octets())
def test_association_apdus_that_decode_encode_to_octets_that_decode_to_the_same(octets: bytes):
    try:
        decoded = acse.decode(octets)
    except RemoteProtocolError:
        return
    assert acse.decode(acse.encode(decoded)) == decoded


addresses = st.tuples(st.integers(0, 0x3FFF), st.none() | st.integers(0, 0x3FFF)).map(lambda parts: Address(*parts))


@given(addresses, addresses, st.integers(0, 255), st.binary(max_size=300), st.binary(max_size=20), st.integers(1, 50))
def test_hdlc_frames_come_back_out_of_noise_in_any_pieces(
    source: Address, destination: Address, control: int, information: bytes, noise: bytes, piece: int
):
    stream = noise.replace(b"~", b"") + hdlc.encode(source, destination, control, information) * 2
    reader = hdlc.Reader()
    frames = [frame for at in range(0, len(stream), piece) for frame in reader.feed(stream[at : at + piece])]
    frames += reader.finish()
    assert [frame.information for frame in frames] == [information] * 2
    assert all(frame.fcs_ok and frame.control == control for frame in frames)


@given(st.binary(max_size=3000), st.integers(0, 255), st.integers(0, 255))
def test_mbus_segments_come_back_as_the_apdu(octets: bytes, source: int, destination: int):
    reassembler = mbus.Reassembler()
    frames = [mbus.find(one) for one in mbus.encode_segments(0x53, 0xFF, source, destination, octets)]
    joined = [reassembler.add(frame[0].segment) for frame in frames if frame and frame[0].segment]
    assert joined[-1] == octets
    assert joined[:-1] == [None] * (len(joined) - 1)


@given(st.lists(st.binary(max_size=100), max_size=5), st.integers(1, 40))
def test_wrapper_frames_come_back_in_any_pieces(payloads: list[bytes], piece: int):
    stream = b"".join(wrapper.encode(16, 1, payload) for payload in payloads)
    reader = wrapper.Reader()
    frames = [frame for at in range(0, len(stream), piece) for frame in reader.feed(stream[at : at + piece])]
    assert frames == [wrapper.Frame(16, 1, payload) for payload in payloads]
    assert reader.pending_octets == 0


@given(st.binary(min_size=12, max_size=12))
def test_date_times_keep_their_octets(octets: bytes):
    assert CosemDateTime.from_octets(octets).to_octets() == octets


@given(st.integers(0, len(PROFILE) - 1), st.integers(0, 255))
def test_an_altered_profile_is_never_read_in_another_way_by_the_template(at: int, octet: int):
    """The fast way gives what the slow way gives, or the same kind of refusal, whatever octet is altered."""
    altered = PROFILE[:at] + bytes([octet]) + PROFILE[at + 1 :]
    clock = ClockReading(0)
    cache = TemplateCache()
    cache.decode("model", PROFILE, clock)
    try:
        slow = data.natural(data.decode_all(altered))
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            cache.decode("model", altered, clock)
        return
    try:
        fast = cache.decode("model", altered, clock)
    except RemoteProtocolError:
        return  # a profile can be wrong where data is not: a date that does not exist, rows of two lengths
    assert fast.rows == len(slow)
    for column in range(1, len(fast.columns)):
        cells = [row[column] for row in slow]
        assert _cells(fast, column) == cells


def _cells(columns: ProfileColumns, place: int) -> list[object]:
    values_read = list(columns.columns[place])
    mask = columns.missing[place]
    return [None if mask is not None and mask[row] else value for row, value in enumerate(values_read)]
