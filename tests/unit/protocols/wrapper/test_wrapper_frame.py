import pytest

from amity.kernel.errors import LocalProtocolError
from amity.protocols.wrapper.frame import Frame, Reader, WrapperError, encode


def test_header_then_apdu():
    assert encode(16, 1, b"\xc0\x01").hex() == "0001001000010002c001"
    assert Reader().feed(bytes.fromhex("0001001000010002c001")) == [Frame(16, 1, b"\xc0\x01")]


def test_frames_arrive_in_any_pieces():
    reader = Reader()
    stream = encode(16, 1, b"first") + encode(16, 1, b"") + encode(16, 1, b"third")
    assert reader.feed(stream[:3]) == []
    assert [frame.payload for frame in reader.feed(stream[3:-1])] == [b"first", b""]
    assert reader.pending_octets == 12
    assert [frame.payload for frame in reader.feed(stream[-1:])] == [b"third"]


def test_another_version_names_the_likely_cause():
    with pytest.raises(WrapperError, match="not DLMS over the wrapper: it begins with 7e a0") as caught:
        Reader().feed(bytes.fromhex("7ea0080102011037"))
    assert "HDLC" in str(caught.value.next_step)


def test_an_announced_length_is_bounded_before_the_octets_come():
    with pytest.raises(WrapperError, match="announces 65535"):
        Reader(payload_octets_max=4096).feed(bytes.fromhex("000100010001ffff"))


def test_what_does_not_fit_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        encode(1, 1, bytes(65_536))
    with pytest.raises(LocalProtocolError):
        encode(65_536, 1, b"")
