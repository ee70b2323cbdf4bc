import pytest

from amity.kernel.errors import LocalProtocolError
from amity.protocols.gateway.prefix import GatewayError, Prefixed, decode, encode, is_prefixed


def test_a_prefix_says_network_and_device():
    octets = encode(Prefixed(1, b"\x12\x34", b"\xc0\x01"))
    assert octets.hex(" ") == "e6 01 02 12 34 c0 01"
    assert decode(octets) == Prefixed(1, b"\x12\x34", b"\xc0\x01")
    assert encode(Prefixed(0, b"", b"\xc4", is_request=False)).hex() == "e70000c4"


def test_no_apdu_looks_like_a_prefix():
    assert is_prefixed(b"\xe6")
    assert is_prefixed(b"\xe7\x00")
    assert not is_prefixed(b"\xc0")
    assert not is_prefixed(b"")


@pytest.mark.parametrize("octets", ["", "c001", "e6", "e601", "e60102aa"])
def test_what_is_none_or_cut_short(octets: str):
    with pytest.raises(GatewayError):
        decode(bytes.fromhex(octets))


@pytest.mark.parametrize("wrong", [Prefixed(256, b"", b""), Prefixed(-1, b"", b""), Prefixed(0, bytes(256), b"")])
def test_what_does_not_fit(wrong: Prefixed):
    with pytest.raises(LocalProtocolError):
        encode(wrong)
