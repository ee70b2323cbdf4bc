"""What both ends of a link agree on in SNRM and UA (IEC 62056-46, 6.4.4.4.3): octets in a frame, frames in a row."""

from dataclasses import dataclass

from amity.kernel.errors import LocalProtocolError
from amity.protocols.hdlc.frame import HdlcError

INFORMATION_OCTETS_DEFAULT = 128
INFORMATION_OCTETS_MIN = 32
INFORMATION_OCTETS_MAX = 2030
WINDOW_DEFAULT = 1
WINDOW_MAX = 7

_FORMAT, _GROUP, _USER_DATA = 0x81, 0x80, 0xF0
_TRANSMIT_OCTETS, _RECEIVE_OCTETS, _TRANSMIT_WINDOW, _RECEIVE_WINDOW = 0x05, 0x06, 0x07, 0x08
_HEAD_OCTETS = 3
_ONE_OCTET_MAX = 0xFF


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one station can: the information octets of a frame and the frames of a burst, each way.

    What a station does not say has the default of the standard: 128 octets, one frame at a time.
    """

    transmit_octets: int = INFORMATION_OCTETS_DEFAULT
    receive_octets: int = INFORMATION_OCTETS_DEFAULT
    transmit_window: int = WINDOW_DEFAULT
    receive_window: int = WINDOW_DEFAULT

    def __post_init__(self) -> None:
        """Raise LocalProtocolError for a size that no frame has, or a window that sequence numbers cannot tell."""
        for octets in (self.transmit_octets, self.receive_octets):
            if not INFORMATION_OCTETS_MIN <= octets <= INFORMATION_OCTETS_MAX:
                raise LocalProtocolError(
                    f"an HDLC information field has {INFORMATION_OCTETS_MIN} to {INFORMATION_OCTETS_MAX} octets,"
                    f" not {octets}"
                )
        for window in (self.transmit_window, self.receive_window):
            if not WINDOW_DEFAULT <= window <= WINDOW_MAX:
                raise LocalProtocolError(f"an HDLC window has 1 to {WINDOW_MAX} frames, not {window}")

    @classmethod
    def both_ways(cls, octets: int = INFORMATION_OCTETS_DEFAULT, window: int = WINDOW_DEFAULT) -> "Parameters":
        """The same limits for sending and for receiving."""
        return cls(octets, octets, window, window)

    def limited_by(self, peer: "Parameters") -> "Parameters":
        """What we do with a peer that can so much: neither sends more than the other takes."""
        return Parameters(
            min(self.transmit_octets, peer.receive_octets),
            min(self.receive_octets, peer.transmit_octets),
            min(self.transmit_window, peer.receive_window),
            min(self.receive_window, peer.transmit_window),
        )

    def encode(self) -> bytes:
        """The information field of SNRM or UA."""
        fields = (
            _octets(_TRANSMIT_OCTETS, self.transmit_octets)
            + _octets(_RECEIVE_OCTETS, self.receive_octets)
            + _window(_TRANSMIT_WINDOW, self.transmit_window)
            + _window(_RECEIVE_WINDOW, self.receive_window)
        )
        return bytes([_FORMAT, _GROUP, len(fields)]) + fields


DEFAULT_PARAMETERS = Parameters()
"""What holds for a station that says nothing."""


def _octets(name: int, value: int) -> bytes:
    return bytes([name, 1, value]) if value <= _ONE_OCTET_MAX else bytes([name, 2]) + value.to_bytes(2, "big")


def _window(name: int, value: int) -> bytes:
    return bytes([name, 4]) + value.to_bytes(4, "big")


def decode_parameters(information: bytes) -> Parameters:
    """What the other station says in SNRM or UA; defaults for what it leaves out; raise HdlcError when it is malformed.

    A value above what HDLC knows is taken as the most there is; one below the least as the least. User data may follow
    the group of parameters (ISO/IEC 13239, 5.5.3.2); nothing is asked of it.
    """
    if not information:
        return Parameters()
    head, following = information[:_HEAD_OCTETS], information[_HEAD_OCTETS:]
    if head[:2] != bytes([_FORMAT, _GROUP]) or len(head) < _HEAD_OCTETS or head[2] > len(following):
        raise _malformed(information)
    fields, user_data = following[: head[2]], following[head[2] :]
    if user_data and user_data[0] != _USER_DATA:
        raise _malformed(information)
    said = dict(_fields(fields, information))
    return Parameters(
        _size(said.get(_TRANSMIT_OCTETS)),
        _size(said.get(_RECEIVE_OCTETS)),
        _frames(said.get(_TRANSMIT_WINDOW)),
        _frames(said.get(_RECEIVE_WINDOW)),
    )


def _fields(fields: bytes, information: bytes) -> list[tuple[int, int]]:
    """Name and value of each parameter, unknown ones too."""
    found, offset = [], 0
    while offset < len(fields):
        value = fields[offset + 2 : offset + 2 + fields[offset + 1]] if offset + 1 < len(fields) else b""
        if not value or len(value) != fields[offset + 1]:
            raise _malformed(information)
        found.append((fields[offset], int.from_bytes(value, "big")))
        offset += 2 + len(value)
    return found


def _size(value: int | None) -> int:
    if value is None:
        return INFORMATION_OCTETS_DEFAULT
    return min(max(value, INFORMATION_OCTETS_MIN), INFORMATION_OCTETS_MAX)


def _frames(value: int | None) -> int:
    return WINDOW_DEFAULT if value is None else min(max(value, WINDOW_DEFAULT), WINDOW_MAX)


def _malformed(information: bytes) -> HdlcError:
    return HdlcError("the link parameters of SNRM or UA do not decode", answer=information[:32].hex(" "))
