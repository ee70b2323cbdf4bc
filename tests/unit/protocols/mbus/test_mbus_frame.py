import pytest

from amity.kernel.errors import LocalProtocolError
from amity.protocols.mbus.frame import MbusError, Reassembler, Segment, encode, encode_segments, find


def test_long_frame_both_ways():
    octets = encode(0x53, 0xFF, 0x00, b"\x01\x67abc")
    assert octets.hex() == "6808086853ff00016761626 3e016".replace(" ", "")
    found = find(octets + b"more")
    assert found is not None
    frame, end = found
    assert end == len(octets)
    assert frame.checksum_ok
    assert frame.segment == Segment(0, False, 0x01, 0x67, b"abc")


def test_wrong_checksum_is_reported_not_hidden():
    octets = bytearray(encode(0x53, 0xFF, 0x10, b"\x01\x67abc"))
    octets[-2] ^= 1
    found = find(bytes(octets))
    assert found is not None
    assert not found[0].checksum_ok


@pytest.mark.parametrize(
    "octets", ["", "68", "68080868", "6808076853ff000167616263e016", "6802026853ff5216", "6808086853ff000167616263e017"]
)
def test_other_octets_are_no_frame(octets: str):
    assert find(bytes.fromhex(octets)) is None


def test_segments_join_and_a_new_first_one_starts_again():
    frames = [find(one) for one in encode_segments(0x53, 0xFF, 1, 103, bytes(600))]
    segments = [frame[0].segment for frame in frames if frame]
    assert [(one.sequence, one.final) for one in segments if one] == [(0, False), (1, False), (2, True)]
    reassembler = Reassembler()
    first, second, last = (one for one in segments if one)
    assert reassembler.add(first) is None
    assert reassembler.pending
    assert [reassembler.add(one) for one in (first, second, last)] == [None, None, bytes(600)]
    assert not reassembler.pending


def test_a_missing_segment_is_named():
    reassembler = Reassembler()
    reassembler.add(Segment(0, False, 1, 103, b"a"))
    with pytest.raises(MbusError, match="segment 2 came where 1 was due"):
        reassembler.add(Segment(2, True, 1, 103, b"c"))


def test_other_applications_carry_no_segment():
    found = find(encode(0x08, 0x01, 0x72, bytes(20)))
    assert found is not None
    assert found[0].segment is None


def test_what_does_not_fit_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        encode(0x53, 0xFF, 0, bytes(300))
    with pytest.raises(LocalProtocolError, match="16"):
        encode_segments(0x53, 0xFF, 1, 103, bytes(5000))
