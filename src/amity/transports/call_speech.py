"""What a meter that called in says while nobody reads it: wrapper frames, HDLC pushes, or its name as a line of text.

The first octet of each message tells which: zero begins a wrapper frame, 7E an HDLC frame, anything printable a name.
"""

from typing import Final

from amity.devices.profiles import Framing
from amity.protocols.hdlc import frame as hdlc
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.llc import LLC_REQUEST, without_llc
from amity.protocols.wrapper.frame import HEADER, HEADER_OCTETS, Frame, Reader, WrapperError, encode

NAME_OCTETS_MAX: Final = 64
_FLAG: Final = 0x7E
_LINE_ENDS: Final = b"\r\n\0"
_PRINTABLE: Final = frozenset(range(0x20, 0x7F)) | frozenset(b"\r\n")

Said = Frame | str
"""A notification with the addresses it goes between, or a name."""


class Speech:
    """Cuts one connection's octets; an APDU has at most `apdu_octets_max`."""

    __slots__ = ("_apdu_octets_max", "_buffer", "_hdlc", "_way")

    def __init__(self, apdu_octets_max: int) -> None:
        self._apdu_octets_max = apdu_octets_max
        self._buffer = bytearray()
        self._hdlc: hdlc.Reader | None = None
        self._way: tuple[Address, Address] | None = None

    @property
    def framing(self) -> Framing:
        """What it speaks; the wrapper until it shows HDLC."""
        return Framing.WRAPPER if self._hdlc is None else Framing.HDLC

    @property
    def pending_octets(self) -> int:
        """How many octets of an unfinished message have come."""
        return len(self._buffer) if self._hdlc is None else self._hdlc.pending_octets

    def feed(self, octets: bytes) -> list[Said]:
        """Take what came; return what is whole now; raise RemoteProtocolError when it is none of the three."""
        said: list[Said] = []
        self._buffer += octets
        while self._buffer and (message := self._next()) is not None:
            said += message
        return said

    def framed(self, frame: Frame, answer: bytes) -> bytes:
        """An answer to this notification, as it goes out."""
        if self._way is None:
            return encode(frame.destination, frame.source, answer)
        source, destination = self._way
        return hdlc.encode_ui(destination, source, LLC_REQUEST + answer)

    def _next(self) -> list[Said] | None:
        """The next messages, None while they are not whole."""
        if self._hdlc is not None or self._buffer[0] == _FLAG:
            return self._pushes_in_hdlc()
        if self._buffer[0] == 0:
            return self._wrapper_frame()
        return self._name()

    def _pushes_in_hdlc(self) -> list[Said]:
        """UI frames carry pushes; whatever else belongs to a link is nobody's now."""
        self._hdlc = self._hdlc or hdlc.Reader()
        found = self._hdlc.feed(bytes(self._buffer))
        self._buffer.clear()
        pushes = [one for one in found if one.kind is hdlc.FrameKind.UI and one.fcs_ok]
        if pushes:
            self._way = pushes[-1].source, pushes[-1].destination
        return [Frame(one.source.upper, one.destination.upper, without_llc(one.information)) for one in pushes]

    def _wrapper_frame(self) -> list[Said] | None:
        if len(self._buffer) < HEADER_OCTETS:
            return None
        _, _, _, length = HEADER.unpack_from(self._buffer)
        end = HEADER_OCTETS + length
        frames = Reader(self._apdu_octets_max).feed(bytes(self._buffer[:end]))
        if not frames:
            return None
        del self._buffer[:end]
        return list(frames)

    def _name(self) -> list[Said] | None:
        ends = [at for at in (self._buffer.find(end) for end in _LINE_ENDS) if at >= 0]
        line = bytes(self._buffer[: min(ends)] if ends else self._buffer)
        if len(line) > NAME_OCTETS_MAX or not _PRINTABLE.issuperset(line):
            raise WrapperError(
                "this is neither a wrapper frame, nor HDLC, nor a name",
                answer=line[:HEADER_OCTETS].hex(" "),
                next_step="check that the caller speaks DLMS",
            )
        if not ends:
            return None
        del self._buffer[: min(ends) + 1]
        name = line.decode("ascii").strip()
        return [name] if name else []
