"""Wired M-Bus long frames (EN 13757-2, 6) and DLMS APDUs in several of them (EN 13757-3, CI field 0x00 to 0x1F)."""

from typing import NamedTuple

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError

START = 0x68
STOP = 0x16
_HEAD_OCTETS = 4
_TAIL_OCTETS = 2
_LENGTH_MIN = 3  # C, A and CI
_SEGMENT_CI_MAX = 0x1F
_FINAL = 0x10
_SEQUENCE = 0x0F
_PORT_OCTETS = 2
SEGMENT_OCTETS_MAX = 0xFF - _LENGTH_MIN - _PORT_OCTETS
SEGMENTS_MAX = _SEQUENCE + 1


class MbusError(RemoteProtocolError):
    """Octets that are no M-Bus frame, or segments that do not follow each other."""


class Frame(NamedTuple):
    """One long frame; `data` is what follows the control information field."""

    control: int
    address: int
    control_information: int
    data: bytes
    checksum_ok: bool = True

    @property
    def segment(self) -> "Segment | None":
        """The part of a DLMS APDU in it, None for any other M-Bus application."""
        if self.control_information > _SEGMENT_CI_MAX or len(self.data) < _PORT_OCTETS:
            return None
        final = bool(self.control_information & _FINAL)
        return Segment(self.control_information & _SEQUENCE, final, self.data[0], self.data[1], self.data[2:])


class Segment(NamedTuple):
    """A part of an APDU with the transport ports (STSAP, DTSAP) it goes from and to."""

    sequence: int
    final: bool
    source: int
    destination: int
    octets: bytes


def encode(control: int, address: int, control_information: int, data: bytes) -> bytes:
    """A long frame; raise LocalProtocolError when the data do not fit."""
    content = bytes([control, address, control_information]) + data
    if len(content) > 0xFF:  # noqa: PLR2004 - one octet of length
        raise LocalProtocolError(f"{len(data)} octets do not fit an M-Bus frame")
    head = bytes([START, len(content), len(content), START])
    return head + content + bytes([sum(content) & 0xFF, STOP])


def encode_segments(control: int, address: int, source: int, destination: int, apdu: bytes) -> list[bytes]:
    """The frames that carry an APDU; raise LocalProtocolError when sixteen of them do not hold it."""
    parts = [apdu[at : at + SEGMENT_OCTETS_MAX] for at in range(0, len(apdu), SEGMENT_OCTETS_MAX)] or [b""]
    if len(parts) > SEGMENTS_MAX:
        raise LocalProtocolError(f"an APDU of {len(apdu)} octets does not fit {SEGMENTS_MAX} M-Bus frames")
    ports = bytes([source, destination])
    last = len(parts) - 1
    return [
        encode(control, address, number | (_FINAL if number == last else 0), ports + part)
        for number, part in enumerate(parts)
    ]


def find(buffer: bytes) -> tuple[Frame, int] | None:
    """The long frame that starts at the first octet and its length; None when there is none.

    A frame whose checksum fails is given back all the same, marked.
    """
    if len(buffer) < _HEAD_OCTETS or buffer[0] != START or buffer[3] != START or buffer[1] != buffer[2]:
        return None
    length = buffer[1]
    end = _HEAD_OCTETS + length + _TAIL_OCTETS
    if length < _LENGTH_MIN or len(buffer) < end or buffer[end - 1] != STOP:
        return None
    content = buffer[_HEAD_OCTETS : end - _TAIL_OCTETS]
    checksum_ok = sum(content) & 0xFF == buffer[end - _TAIL_OCTETS]
    return Frame(content[0], content[1], content[2], content[3:], checksum_ok), end


class Reassembler:
    """Joins the segments of one sender to APDUs."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    @property
    def pending(self) -> bool:
        """True between the first and the last segment."""
        return bool(self._parts)

    def add(self, segment: Segment) -> bytes | None:
        """Take the next segment; return the APDU when it is complete; raise MbusError when one is missing."""
        if segment.sequence == 0:
            self._parts.clear()
        if segment.sequence != len(self._parts):
            missing = len(self._parts)
            self._parts.clear()
            raise MbusError(
                f"M-Bus segment {segment.sequence} came where {missing} was due",
                next_step="capture the whole telegram again, from its first frame",
            )
        self._parts.append(segment.octets)
        return self.rest() if segment.final else None

    def rest(self) -> bytes:
        """Give out what was joined so far and start again."""
        joined = b"".join(self._parts)
        self._parts.clear()
        return joined
