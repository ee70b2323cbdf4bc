"""Whatever is given to `amity decode` ends in JSON or in one of our errors."""

import json

from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from amity.cli.main import app
from amity.kernel.errors import AmityError
from amity.protocols.hdlc import frame as hdlc
from amity.protocols.hdlc.address import Address
from amity.protocols.mbus import frame as mbus
from amity.protocols.wrapper import frame as wrapper

PUSH = bytes.fromhex("0f40000000000101020309060100010700ff060000011802020f00161b")
BLOCK = bytes.fromhex("c402c1000000000100060204120001110209")
CLOSED = bytes.fromhex("db084d4d4d0000bc614e122001234567411312ff935a47566827c467bc")
FRAMES = [
    framed
    for apdu in (PUSH, BLOCK, CLOSED)
    for framed in (
        apdu,
        hdlc.encode_ui(Address(1, 17), Address(16), b"\xe6\xe7\0" + apdu),
        wrapper.encode(1, 103, apdu),
        *mbus.encode_segments(0x53, 0xFF, 1, 103, apdu),
    )
]


@st.composite
def captures(draw: st.DrawFn) -> bytes:
    """A frame that is cut at both ends, with an octet altered and others around it."""
    frame = bytearray(draw(st.sampled_from(FRAMES)))
    frame[draw(st.integers(0, len(frame) - 1))] ^= draw(st.integers(0, 255))
    start, end = draw(st.integers(0, 4)), draw(st.integers(1, len(frame)))
    return draw(st.binary(max_size=4)) + bytes(frame[start:end]) + draw(st.binary(max_size=12))


def decode_ends_well(*words: str, piped: bytes = b"") -> None:
    result = CliRunner().invoke(app, ["decode", "--compact", *words], input=piped)
    if result.exception is None:
        assert json.loads(result.stdout)["octets"] > 0
        return
    assert isinstance(result.exception, AmityError), result.exception
    assert result.exception.next_step


@given(captures(), st.sampled_from([(), ("--key", "000102030405060708090a0b0c0d0e0f")]))
def test_altered_and_cut_frames(capture: bytes, keys: tuple[str, ...]) -> None:
    decode_ends_well(capture.hex(), *keys)


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_anything_piped(piped: bytes) -> None:
    decode_ends_well(piped=piped)
