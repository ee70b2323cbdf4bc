"""HDLC frames of type 3 (IEC 62056-46, 6.4): format with length, addresses, control, checks, information."""

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError
from amity.protocols.hdlc.address import Address, decode_address
from amity.protocols.hdlc.checksum import (
    both_hold,
    check_sequence,
    check_sequence_after_check,
    holds,
    holds_after_check,
)

FLAG = 0x7E
_FLAG = bytes([FLAG])
_ESCAPE = 0x7D
_ESCAPE_BIT = 0x20
_FORMAT_TYPE = 0xA000
_FORMAT_TYPE_MASK = 0xF000
_SEGMENTED = 0x0800
_LENGTH_MASK = 0x07FF
LENGTH_MAX = _LENGTH_MASK
_LENGTH_MIN = 7  # format 2, addresses 1 + 1, control 1, frame check 2
_CHECK_OCTETS = 2
POLL_FINAL = 0x10
UI_CONTROL = 0x03

_OPENING = re.compile(rb"\x7e(?=[\xa0-\xaf]|\Z)")
"""A flag behind which a frame may begin: the others of a noisy line are stepped over unseen."""
_EVEN, _ODD = (rb"[" + re.escape(bytes(range(first, 256, 2))) + rb"]" for first in (0, 1))
_ADDRESS = rb"(?:%b|%b|%b)" % (_ODD, _EVEN + _ODD, 3 * _EVEN + _ODD)
_HEAD = re.compile(rb"[\xa0-\xaf]." + _ADDRESS + _ADDRESS + rb"...", re.DOTALL)
"""Format, two addresses, control and the check of these."""


class HdlcError(RemoteProtocolError):
    """Octets that are no HDLC frame."""


class FrameKind(Enum):
    """What a control octet says."""

    I = "I"  # noqa: E741 - the standard's own one-letter name
    RR = "RR"
    RNR = "RNR"
    REJ = "REJ"
    SNRM = "SNRM"
    DISC = "DISC"
    UA = "UA"
    DM = "DM"
    FRMR = "FRMR"
    UI = "UI"
    UNKNOWN = "unknown"


_SUPERVISORY = {0x01: FrameKind.RR, 0x05: FrameKind.RNR, 0x09: FrameKind.REJ}
_UNNUMBERED = {
    0x83: FrameKind.SNRM, 0x43: FrameKind.DISC, 0x63: FrameKind.UA, 0x0F: FrameKind.DM, 0x87: FrameKind.FRMR,
    UI_CONTROL: FrameKind.UI,
}  # fmt: skip
_CONTROLS = {kind: control for controls in (_SUPERVISORY, _UNNUMBERED) for control, kind in controls.items()}


class Frame(NamedTuple):
    """One frame; `hcs_ok` is None for a frame without information, which has no header check.

    `stuffed` marks a sender that escapes octets as asynchronous HDLC does; DLMS does not.
    """

    source: Address
    destination: Address
    control: int
    information: bytes
    segmented: bool = False
    fcs_ok: bool = True
    hcs_ok: bool | None = True
    stuffed: bool = False

    @property
    def kind(self) -> FrameKind:
        """What the control octet says."""
        return kind_of(self.control)

    @property
    def final(self) -> bool:
        """The P/F bit: the sender gives the other side the turn."""
        return bool(self.control & POLL_FINAL)

    @property
    def send_number(self) -> int:
        """N(S) of an I frame."""
        return self.control >> 1 & 7

    @property
    def receive_number(self) -> int:
        """N(R) of an I or supervisory frame: the next number its sender waits for."""
        return self.control >> 5


class Found(NamedTuple):
    """What was found at the start of a buffer: a frame and where it ends, or how many octets are noise."""

    frame: Frame | None
    end: int


def kind_of(control: int) -> FrameKind:
    """The kind of frame that a control octet announces."""
    if not control & 0x01:
        return FrameKind.I
    if not control & 0x02:
        return _SUPERVISORY.get(control & 0x0F, FrameKind.UNKNOWN)
    return _UNNUMBERED.get(control & ~POLL_FINAL, FrameKind.UNKNOWN)


def information_control(send: int, receive: int, *, final: bool = True) -> int:
    """The control octet of an I frame with its sequence numbers (0 to 7)."""
    return (receive & 7) << 5 | (POLL_FINAL if final else 0) | (send & 7) << 1


def control_of(kind: FrameKind, receive: int = 0, *, final: bool = True) -> int:
    """The control octet of any other kind; `receive` is N(R) of a supervisory frame."""
    return _CONTROLS[kind] | (receive & 7) << 5 | (POLL_FINAL if final else 0)


def encode(
    source: Address, destination: Address, control: int, information: bytes = b"", *, segmented: bool = False
) -> bytes:
    """A frame between its two flags; raise LocalProtocolError when it is too long for its length field."""
    head = _head(source, destination, control, len(information), segmented)
    if not information:
        return head + _FLAG
    return b"".join((head, information, check_sequence_after_check(information), _FLAG))


@lru_cache(maxsize=1024)
def _head(source: Address, destination: Address, control: int, information_octets: int, segmented: bool) -> bytes:
    """Flag to header check; without information the header check is the frame check. A link repeats the same few."""
    fields = destination.encode() + source.encode() + bytes([control])
    length = 2 + len(fields) + _CHECK_OCTETS + (information_octets + _CHECK_OCTETS if information_octets else 0)
    if length > LENGTH_MAX:
        raise LocalProtocolError(
            f"a frame of {length} octets is longer than {LENGTH_MAX}", next_step="send the information in segments"
        )
    head = (_FORMAT_TYPE | (_SEGMENTED if segmented else 0) | length).to_bytes(2, "big") + fields
    return _FLAG + head + check_sequence(head)


def encode_ui(source: Address, destination: Address, information: bytes) -> bytes:
    """An unnumbered information frame, as a meter pushes it."""
    return encode(source, destination, UI_CONTROL | POLL_FINAL, information)


# ------------------------------------------------------------------ reading
def parse(octets: bytes) -> Frame:
    """The frame between two flags (which are not given); raise HdlcError when the octets are none.

    A frame whose checks do not hold is given back all the same, with `fcs_ok` and `hcs_ok` false.
    """
    frame = _parse(octets, stuffed=False)
    if frame is None:
        raise HdlcError(f"these {len(octets)} octets are no HDLC frame", answer=octets[:16].hex(" "))
    return frame


def find_unflagged(octets: bytes) -> Frame | None:
    """The frame that fills a buffer without its flags, as some loggers store it; None unless its checks hold."""
    frame = _parse(octets, stuffed=False)
    return frame if frame is not None and frame.fcs_ok else None


class _Addresses(NamedTuple):
    """The two addresses at the start of a frame, and their octets: a stream repeats them, frame after frame."""

    octets: bytes
    destination: Address
    source: Address


def _addresses(octets: bytes) -> _Addresses | None:
    destination = decode_address(octets, 2)
    source = decode_address(octets, destination[1]) if destination else None
    if destination is None or source is None:
        return None
    return _Addresses(octets[2 : source[1]], destination[0], source[0])


def _parse(octets: bytes, *, stuffed: bool) -> Frame | None:
    addresses = _addresses(octets) if announced_octets(octets) == len(octets) else None
    if addresses is None or 2 + len(addresses.octets) + 1 + _CHECK_OCTETS > len(octets):
        return None
    return _frame(octets, addresses, stuffed=stuffed)


def _frame(octets: bytes, addresses: _Addresses, *, stuffed: bool) -> Frame:
    """The frame in octets of the announced length whose addresses are known."""
    control_at = 2 + len(addresses.octets)
    information, fcs_ok, hcs_ok = _checked(octets, control_at + 1)
    segmented = octets[0] & _SEGMENTED >> 8 != 0
    return Frame(
        addresses.source, addresses.destination, octets[control_at], information, segmented, fcs_ok, hcs_ok, stuffed
    )


def _checked(octets: bytes, head_end: int) -> tuple[bytes, bool, bool | None]:
    """The information, whether the frame check holds, and the header check where there is one."""
    start = head_end + _CHECK_OCTETS
    if start + _CHECK_OCTETS > len(octets):
        return octets[head_end:-_CHECK_OCTETS], holds(octets), None
    information = octets[start:-_CHECK_OCTETS]
    if holds(octets[:start]):
        return information, holds_after_check(octets[start:]), True
    return information, holds(octets), False


def announced_octets(octets: bytes) -> int | None:
    """The length that a format field announces; None when there is no format field."""
    if len(octets) < 2:  # noqa: PLR2004 - the format field has two octets
        return None
    form = int.from_bytes(octets[:2], "big")
    length = form & _LENGTH_MASK
    return length if form & _FORMAT_TYPE_MASK == _FORMAT_TYPE and length >= _LENGTH_MIN else None


def find(buffer: bytes, *, complete: bool = False) -> Found | None:
    """Look for a frame at the first flag of a buffer that starts with one; None when more octets are needed.

    Args:
        buffer: what arrived, from a flag on.
        complete: nothing more will come, so a frame that is not complete is noise.
    """
    if len(buffer) < 1 + 2:
        return Found(None, 1) if complete else None
    if buffer[1] == FLAG:  # one flag may close a frame and open the next, or time is filled with flags
        return Found(None, 1)
    length = announced_octets(buffer[1:3])
    if length is None:
        return Found(None, 1)
    plain = _plain_frame(buffer, length)
    if plain is not None:
        return plain
    stuffed = _stuffed_frame(buffer)
    if stuffed is not None:
        return stuffed
    waiting = len(buffer) <= length + 1 or (_ESCAPE in buffer and FLAG not in buffer[1:] and len(buffer) < LENGTH_MAX)
    return None if waiting and not complete else Found(None, 1)


def _plain_frame(buffer: bytes, length: int) -> Found | None:
    end = 1 + length
    if len(buffer) < end:
        return None
    closed = buffer[end : end + 1] == _FLAG
    if not (_head_holds(buffer) or (closed and FLAG not in buffer[1:end])):
        return None  # unseen what stands in it: on a noisy line every few octets announce 2 KB
    frame = _parse(buffer[1:end], stuffed=False)
    if frame is None:
        return None
    if closed:  # the flag stays: it may open the next frame
        return Found(frame, end) if frame.fcs_ok or frame.hcs_ok else None
    # A lost closing flag (or an abort after the frame) does not make a frame wrong whose check holds.
    return Found(frame, end) if frame.fcs_ok else None


def _head_holds(buffer: bytes) -> bool:
    head = _HEAD.match(buffer, 1)
    return head is not None and holds(head[0])


def _stuffed_frame(buffer: bytes) -> Found | None:
    end = buffer.find(FLAG, 1)
    if end < 0 or _ESCAPE not in buffer[1:end]:
        return None
    frame = _parse(_unstuffed(buffer[1:end]), stuffed=True)
    return Found(frame, end) if frame is not None and frame.fcs_ok else None


def _unstuffed(octets: bytes) -> bytes:
    plain = bytearray()
    escaped = False
    for octet in octets:
        if octet == _ESCAPE and not escaped:
            escaped = True
            continue
        plain.append(octet ^ _ESCAPE_BIT if escaped else octet)
        escaped = False
    return bytes(plain)


class Reader:
    """Collects octets as a line delivers them; gives back frames and steps over noise to the next flag.

    A frame whose frame check fails is given back, marked, when its header check holds; the caller decides.
    `noise_octets` counts what belongs to no frame, flags apart.
    """

    __slots__ = ("_addresses", "_buffer", "noise_octets")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._addresses: _Addresses | None = None
        self.noise_octets = 0

    @property
    def pending_octets(self) -> int:
        """How many octets of an unfinished frame are held, 2 KB at most."""
        return len(self._buffer)

    @property
    def in_frame(self) -> bool:
        """True when more than a flag is held: a frame has begun and is not whole."""
        return len(self._buffer) > 1

    def feed(self, octets: bytes) -> list[Frame]:
        """Take what arrived and return the frames now complete."""
        self._buffer += octets
        return self._frames(complete=False)

    def finish(self) -> list[Frame]:
        """Nothing more will come: return what frames the rest holds."""
        frames = self._frames(complete=True)
        self.noise_octets += len(self._buffer)
        self._buffer.clear()
        return frames

    def _frames(self, *, complete: bool) -> list[Frame]:
        frames: list[Frame] = []
        buffer = bytes(self._buffer)
        offset = 0
        while (opening := _OPENING.search(buffer, offset)) is not None:
            flag = opening.start()
            self._step_over(buffer, offset, flag)
            offset = self._frames_like_the_last(buffer, flag, frames)
            found = self._found(buffer, offset, complete=complete)
            if found is None:
                break
            offset += found.end
            if found.frame is not None:
                frames.append(found.frame)
        else:
            self._step_over(buffer, offset, len(buffer))
            offset = len(buffer)
        del self._buffer[:offset]
        return frames

    def _step_over(self, buffer: bytes, start: int, end: int) -> None:
        self.noise_octets += end - start - buffer.count(FLAG, start, end)

    def _found(self, buffer: bytes, flag: int, *, complete: bool) -> Found | None:
        found = find(buffer[flag : flag + 2 * LENGTH_MAX], complete=complete)
        if found is not None and found.frame is not None and not found.frame.stuffed:
            self._addresses = _addresses(buffer[flag + 1 : flag + found.end])
        return found

    def _frames_like_the_last(self, buffer: bytes, flag: int, frames: list[Frame]) -> int:
        """The short way through sound frames between the same stations as the one before; the place of the flag behind.

        What is done for each frame is kept together here: a call costs as much as the check of 30 octets.
        """
        known = self._addresses
        if known is None:
            return flag
        source, destination, address_octets = known.source, known.destination, known.octets
        control_at = 2 + len(address_octets)
        while buffer.startswith(address_octets, flag + 3):
            form = buffer[flag + 1] << 8 | buffer[flag + 2]
            start, end = flag + control_at + 4, flag + 1 + (form & _LENGTH_MASK)
            if form & _FORMAT_TYPE_MASK != _FORMAT_TYPE or not start <= end < len(buffer) or buffer[end] != FLAG:
                break
            if not both_hold(buffer[flag + 1 : end], control_at + 3):
                break
            control, segmented = buffer[flag + 1 + control_at], form & _SEGMENTED != 0
            if start == end:
                frames.append(Frame(source, destination, control, b"", segmented, True, None))
            else:
                frames.append(Frame(source, destination, control, buffer[start : end - 2], segmented))
            flag = end + buffer.startswith(_FLAG, end + 1)  # one flag between two frames, or one for each
        return flag
