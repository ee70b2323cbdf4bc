import pytest

from amity.kernel.errors import LocalProtocolError
from amity.protocols.hdlc import checksum
from amity.protocols.hdlc import frame as frame_module
from amity.protocols.hdlc.address import Address, decode_address
from amity.protocols.hdlc.checksum import check_sequence
from amity.protocols.hdlc.frame import (
    FrameKind,
    HdlcError,
    Reader,
    control_of,
    encode,
    encode_ui,
    find_unflagged,
    information_control,
    kind_of,
    parse,
)

CLIENT, SERVER = Address(16), Address(1, 17)
FRAME = encode_ui(SERVER, CLIENT, b"information")


def test_check_sequence_of_the_standard_example():
    assert check_sequence(b"123456789").hex() == "6e90"  # CRC-16/X-25, low octet first


@pytest.mark.parametrize(
    ("address", "octets"),
    [
        (Address(16), "21"),
        (Address(1, 17), "0223"),
        (Address(1, 0x3FFF), "0002feff"),
        (Address(0x1234, 0x0345), "48680c8b"),
        (Address(300), "0459"),
    ],
)
def test_addresses_of_one_two_and_four_octets(address: Address, octets: str):
    assert address.encode().hex() == octets
    decoded = decode_address(bytes.fromhex("aa" + octets), 1)
    assert decoded is not None
    assert decoded[1] == 1 + len(octets) // 2
    if address != Address(300):  # two octets are read as logical and physical device
        assert decoded[0] == address


@pytest.mark.parametrize(
    ("address", "octets"), [(Address(1, 17, 4), "00020023"), (Address(1, 17, 2), "0223"), (Address(1, None, 1), "03")]
)
def test_a_wider_form_than_needed_is_kept(address: Address, octets: str):
    assert address.encode().hex() == octets
    decoded = decode_address(bytes.fromhex(octets), 0)
    assert decoded is not None
    assert decoded[0].station == address.station
    assert decoded[0].encode().hex() == octets
    assert decoded[0].width == address.width == len(octets) // 2


@pytest.mark.parametrize("address", [Address(1, 17, 1), Address(1, None, 2), Address(300, 17, 2), Address(1, 2, 3)])
def test_a_form_that_does_not_hold_the_address(address: Address):
    with pytest.raises(LocalProtocolError, match="form"):
        address.encode()


@pytest.mark.parametrize("octets", ["", "02", "020203", "02020202", "0202020205"])
def test_other_addresses_are_none(octets: str):
    assert decode_address(bytes.fromhex(octets), 0) is None


@pytest.mark.parametrize("address", [Address(1 << 14), Address(-1), Address(1, 1 << 14)])
def test_addresses_that_do_not_fit(address: Address):
    with pytest.raises(LocalProtocolError):
        address.encode()


@pytest.mark.parametrize(
    ("control", "kind"),
    [(0x10, FrameKind.I), (0x32, FrameKind.I), (0x11, FrameKind.RR), (0x15, FrameKind.RNR), (0x19, FrameKind.REJ),
     (0x93, FrameKind.SNRM),
     (0x53, FrameKind.DISC), (0x73, FrameKind.UA), (0x1F, FrameKind.DM), (0x97, FrameKind.FRMR), (0x13, FrameKind.UI),
     (0x03, FrameKind.UI), (0xFF, FrameKind.UNKNOWN)],
)  # fmt: skip
def test_kinds_of_frames(control: int, kind: FrameKind):
    assert kind_of(control) is kind


def test_controls_of_other_frames():
    assert [control_of(kind) for kind in (FrameKind.SNRM, FrameKind.DISC, FrameKind.UA)] == [0x93, 0x53, 0x73]
    assert control_of(FrameKind.RR, 3, final=False) == 0x61
    assert control_of(FrameKind.UI, final=False) == 0x03


def test_numbers_of_a_frame_are_read_from_its_control_octet():
    frame = parse(encode(CLIENT, SERVER, information_control(2, 3, final=False), b"x")[1:-1])
    assert (frame.send_number, frame.receive_number, frame.final) == (2, 3, False)


def test_control_of_an_information_frame():
    assert information_control(2, 3) == 0x74
    assert information_control(0, 0, final=False) == 0x00


def test_frame_between_flags():
    frame = parse(FRAME[1:-1])
    assert (frame.source, frame.destination, frame.information) == (SERVER, CLIENT, b"information")
    assert frame.fcs_ok
    assert frame.hcs_ok
    assert find_unflagged(FRAME[1:-1]) == frame
    assert find_unflagged(FRAME[1:-2] + b"\x00") is None


def test_frame_without_information_has_no_header_check():
    frame = parse(encode(CLIENT, SERVER, 0x93)[1:-1])
    assert (frame.kind, frame.hcs_ok, frame.fcs_ok) == (FrameKind.SNRM, None, True)


def test_a_wrong_frame_check_is_reported_not_hidden():
    altered = FRAME[:-6] + bytes([FRAME[-6] ^ 1]) + FRAME[-5:]
    (frame,) = Reader().feed(altered)
    assert (frame.fcs_ok, frame.hcs_ok) == (False, True)


def test_a_wrong_header_check_is_reported_too():
    at = 1 + 2 + 2 + 1 + 1  # flag, format, addresses, control
    altered = bytearray(FRAME)
    altered[at] ^= 1
    altered[-3:-1] = check_sequence(bytes(altered[1:-3]))
    (frame,) = Reader().feed(bytes(altered))
    assert (frame.fcs_ok, frame.hcs_ok) == (True, False)


@pytest.mark.parametrize(
    "noise", [b"", b"\x7e", b"\x7e\x7e\x7e", b"noise", b"\x7e\xa7\xff", b"\x7e\xa0", b"\x7e\xa0\x08"]
)
def test_back_in_step_after_noise(noise: bytes):
    reader = Reader()
    frames = reader.feed(noise + FRAME + noise + FRAME) + reader.finish()
    assert [frame.information for frame in frames] == [b"information"] * 2


def test_an_unfinished_frame_is_waited_for_and_given_up_at_the_end():
    reader = Reader()
    assert reader.feed(FRAME[:-4]) == []
    assert reader.pending_octets == len(FRAME) - 4
    assert reader.finish() == []
    assert reader.noise_octets == len(FRAME) - 4 - 1  # a flag alone is no noise
    assert reader.pending_octets == 0


@pytest.mark.parametrize(
    "noise", [b"\x7e\xa7\xff", b"\x7e\xa7\xfd", b"\x7e\xa7\xff\x7d\x03", b"\x7e\xa7\xfe\x03\x03\x13"]
)
def test_noise_that_announces_long_frames_is_not_gone_through_again_and_again(
    noise: bytes, monkeypatch: pytest.MonkeyPatch
):
    checked = 0

    def holds(octets: bytes) -> bool:
        nonlocal checked
        checked += len(octets)
        return checksum.holds(octets)

    monkeypatch.setattr(frame_module, "holds", holds)
    reader, octets = Reader(), noise * 7_000
    for at in range(0, len(octets), 1460):
        assert reader.feed(octets[at : at + 1460]) == []
    assert checked < 10 * len(octets)


def test_endless_noise_is_not_collected():
    reader = Reader()
    for _ in range(100):
        reader.feed(b"\x7e\xa7\xff\x01" * 50)
    assert reader.pending_octets <= 2 * 2048


def test_what_is_no_frame_and_what_does_not_fit():
    with pytest.raises(HdlcError):
        parse(b"\xa0\x08")
    with pytest.raises(HdlcError):
        parse(bytes.fromhex("a00a020202029393aabb"))
    with pytest.raises(LocalProtocolError, match="longer than 2047"):
        encode(CLIENT, SERVER, 0x10, bytes(2048))
