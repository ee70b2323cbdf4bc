"""Says why octets that begin as a frame are none: cut off, wrongly delimited, or altered on the way."""

from collections.abc import Iterator

from amity.protocols.hdlc import frame as hdlc
from amity.protocols.hdlc.address import decode_address
from amity.protocols.hdlc.checksum import check_sequence
from amity.protocols.mbus import frame as mbus
from amity.protocols.wrapper import frame as wrapper

_FLAG = bytes([hdlc.FLAG])
_FORMAT_OCTETS = 2
_CHECK_OCTETS = 2
_WRAPPER_START = wrapper.VERSION.to_bytes(2, "big")
_MBUS_HEAD_OCTETS = 4
_MBUS_TAIL_OCTETS = 2
_MBUS_OCTETS_MAX = _MBUS_HEAD_OCTETS + 0xFF + _MBUS_TAIL_OCTETS
_STARTS_MAX = 64  # octets that lie between frames hold few flags; noise in plenty tells nothing


def broken_frame(octets: bytes) -> str | None:
    """What is wrong with the frame that these octets seem to begin, None when they look like no frame.

    For octets in which no frame was found. Announced lengths count as the standards count them: HDLC between its
    flags, the wrapper behind its header, M-Bus from the control field to before the checksum.
    """
    return next(filter(None, (*_hdlc(octets), _wrapper(octets), *_mbus(octets))), None)


# ------------------------------------------------------------------ HDLC
def _hdlc(octets: bytes) -> Iterator[str | None]:
    """A flag in front is enough; without it, or further on, only a header whose own check holds is believed."""
    for flag in (-1, *_starts(octets, _FLAG)):
        frame = octets[flag + 1 : flag + 2 + hdlc.LENGTH_MAX]
        if flag == 0 or _has_sound_header(frame):
            yield _hdlc_between_flags(frame)


def _has_sound_header(octets: bytes) -> bool:
    destination = decode_address(octets, _FORMAT_OCTETS)
    source = decode_address(octets, destination[1]) if destination else None
    if source is None:
        return False
    end = source[1] + 1
    return octets[end : end + _CHECK_OCTETS] == check_sequence(octets[:end])


def _hdlc_between_flags(octets: bytes) -> str | None:
    announced = hdlc.announced_octets(octets)
    if announced is None:
        return None
    captured = len(octets.removesuffix(_FLAG))
    if captured < announced:
        return f"an HDLC frame of {announced} octets is announced, {captured} were captured"
    try:
        frame = hdlc.parse(octets[:announced])
    except hdlc.HdlcError:
        return f"an HDLC frame of {announced} octets has no readable addresses"
    return None if frame.fcs_ok else f"the frame check of an HDLC frame of {announced} octets does not match"


# ------------------------------------------------------------------ wrapper
def _wrapper(octets: bytes) -> str | None:
    if len(octets) < wrapper.HEADER_OCTETS or not octets.startswith(_WRAPPER_START):
        return None
    length = wrapper.HEADER.unpack_from(octets)[-1]
    payload = octets[wrapper.HEADER_OCTETS :]
    if length == 0:
        return "the wrapper announces no octets"
    if length == len(payload):
        return f"the wrapper carries {length} octets that are no APDU: they begin with {payload[:1].hex()}"
    return f"the wrapper announces {length} octets, {len(payload)} follow"


# ------------------------------------------------------------------ M-Bus
def _mbus(octets: bytes) -> Iterator[str | None]:
    for start in _starts(octets, bytes([mbus.START])):
        yield _mbus_frame(octets[start : start + _MBUS_OCTETS_MAX])


def _mbus_frame(octets: bytes) -> str | None:
    if len(octets) < _MBUS_HEAD_OCTETS or octets[3] != mbus.START or octets[1] != octets[2]:
        return None
    announced, captured = octets[1], len(octets) - _MBUS_HEAD_OCTETS
    if captured < announced + _MBUS_TAIL_OCTETS:
        return f"an M-Bus frame of {announced} octets with checksum and stop is announced, {captured} follow its head"
    return f"an M-Bus frame of {announced} octets does not end with the stop octet where it says"


def _starts(octets: bytes, mark: bytes) -> Iterator[int]:
    start = octets.find(mark)
    for _ in range(_STARTS_MAX):
        if start < 0:
            return
        yield start
        start = octets.find(mark, start + 1)
