"""Wrapper frames (IEC 62056-47, 7.3): version 1, source and destination port, length, then the APDU."""

import struct
from typing import NamedTuple

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError

VERSION = 1
HEADER = struct.Struct(">HHHH")
HEADER_OCTETS = HEADER.size
PAYLOAD_OCTETS_MAX = 0xFFFF
PORT_MAX = 0xFFFF


class WrapperError(RemoteProtocolError):
    """The octets are not wrapper frames."""


class Frame(NamedTuple):
    """One APDU with the wrapper ports (client or logical device addresses) it goes from and to."""

    source: int
    destination: int
    payload: bytes


def encode(source_wport: int, destination_wport: int, payload: bytes) -> bytes:
    """Put the eight octets of header before an APDU; raise LocalProtocolError when a field does not fit."""
    if not (0 <= source_wport <= PORT_MAX and 0 <= destination_wport <= PORT_MAX):
        raise LocalProtocolError(f"wrapper ports are 0 to {PORT_MAX}, not {source_wport} and {destination_wport}")
    if len(payload) > PAYLOAD_OCTETS_MAX:
        raise LocalProtocolError(
            f"an APDU of {len(payload)} octets does not fit a wrapper frame ({PAYLOAD_OCTETS_MAX} at most)",
            next_step="let the association negotiate a smaller PDU size and transfer in blocks",
        )
    return HEADER.pack(VERSION, source_wport, destination_wport, len(payload)) + payload


def decode_datagram(octets: bytes) -> Frame:
    """The one frame that fills a UDP datagram (IEC 62056-47, 6); raise WrapperError when it is not exactly one."""
    reader = Reader()
    frames = reader.feed(octets)
    if len(frames) != 1 or reader.pending_octets:
        raise WrapperError(
            "a datagram carries exactly one wrapper frame",
            answer=octets[:HEADER_OCTETS].hex(" "),
            next_step="check that the port speaks DLMS over the wrapper",
        )
    return frames[0]


class Reader:
    """Collects octets as the stream delivers them and gives back every frame that is complete.

    A TCP stream has no way back into step, so after a WrapperError the connection is of no more use.
    """

    __slots__ = ("_buffer", "_payload_octets_max")

    def __init__(self, payload_octets_max: int = PAYLOAD_OCTETS_MAX) -> None:
        self._buffer = bytearray()
        self._payload_octets_max = payload_octets_max

    @property
    def pending_octets(self) -> int:
        """How many octets of an unfinished frame are held."""
        return len(self._buffer)

    def feed(self, octets: bytes) -> list[Frame]:
        """Take what arrived; return the frames now complete; raise WrapperError when it is no wrapper stream."""
        self._buffer += octets
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if len(self._buffer) < HEADER_OCTETS:
            return None
        version, source, destination, length = HEADER.unpack_from(self._buffer)
        self._check(version, length)
        end = HEADER_OCTETS + length
        if len(self._buffer) < end:
            return None
        frame = Frame(source, destination, bytes(self._buffer[HEADER_OCTETS:end]))
        del self._buffer[:end]
        return frame

    def _check(self, version: int, length: int) -> None:
        if version != VERSION:
            raise WrapperError(
                f"not DLMS over the wrapper: it begins with {_shown(bytes(self._buffer[:HEADER_OCTETS]))}",
                answer=bytes(self._buffer[:HEADER_OCTETS]).hex(" "),
                next_step="check that the port speaks DLMS over the wrapper and not HDLC",
            )
        if length > self._payload_octets_max:
            raise WrapperError(
                f"a wrapper frame announces {length} octets; {self._payload_octets_max} is the most accepted here",
                answer=bytes(self._buffer[:HEADER_OCTETS]).hex(" "),
            )


def _shown(octets: bytes) -> str:
    """As text where it is some, as from a web server: whoever sees it knows whose port that is."""
    text = octets.decode("latin-1")
    return repr(text) if text.isascii() and text.isprintable() else octets.hex(" ")
