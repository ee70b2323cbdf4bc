r"""The three messages of a sign-on (IEC 62056-21, 6.3), and the parity bit where the line has eight data bits.

request          /?ADDRESS!<CR><LF>
identification   /XXXZ\2IDENT<CR><LF>     maker, baud rate, escapes (`\2` offers HDLC), the maker's own words
acknowledgement  <ACK>VZY<CR><LF>         protocol (0, 2 for HDLC), rate, mode (0 read-out, 1 programming, 2 binary)
"""

import re
from enum import StrEnum
from typing import NamedTuple

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError

END = b"\r\n"
ACK = b"\x06"
ADDRESS_OCTETS_MAX = 32
MESSAGE_OCTETS_MAX = 128
BAUD_RATES = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19_200}
_LETTERS = {rate: letter for letter, rate in BAUD_RATES.items()}
_IDENTIFICATION = re.compile(r"/([A-Za-z]{2}[A-Za-z0-9])(.)((?:\\.)*)(.*)")
_ACKNOWLEDGEMENT = re.compile(r"\x06([0-9])([0-9])([0-9])")
_ADDRESS = re.compile(r"[0-9A-Za-z ]*")
_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))
_EVEN = bytes(octet & 0x7F | (octet & 0x7F).bit_count() % 2 << 7 for octet in range(256))


class SignOnError(RemoteProtocolError):
    """What came is no message of a sign-on."""


class Mode(StrEnum):
    """What the client signs on to: a data read-out or the programming mode of mode C, or HDLC in mode E."""

    READOUT = "mode-c"
    PROGRAMMING = "mode-c-programming"
    HDLC = "mode-e"


_MODES = {Mode.READOUT: ("0", "0"), Mode.PROGRAMMING: ("0", "1"), Mode.HDLC: ("2", "2")}


class Identification(NamedTuple):
    """Who the meter is: `maker` is its FLAG id, `baud` the rate it proposes, `text` the maker's own words.

    `offers_hdlc` tells whether it says so; some meters that speak HDLC do not.
    """

    maker: str
    baud: int
    offers_hdlc: bool
    text: str

    def encode(self) -> bytes:
        """The message of a meter."""
        escape = r"\2" if self.offers_hdlc else ""
        return f"/{self.maker}{_letter(self.baud)}{escape}{self.text}".encode("ascii") + END


class Acknowledgement(NamedTuple):
    """What the client chooses; a meter confirms mode E with the same message."""

    mode: Mode
    baud: int

    def encode(self) -> bytes:
        """The message on the line."""
        protocol, mode = _MODES[self.mode]
        return ACK + f"{protocol}{_letter(self.baud)}{mode}".encode("ascii") + END


def request(address: str = "") -> bytes:
    """The message that a sign-on begins with; raise LocalProtocolError for an address that no meter can have."""
    if len(address) > ADDRESS_OCTETS_MAX or not _ADDRESS.fullmatch(address):
        raise LocalProtocolError(f"a device address has {ADDRESS_OCTETS_MAX} letters, digits or spaces at most")
    return f"/?{address}!".encode("ascii") + END


def decode_request(message: bytes) -> str | None:
    """The address that is asked for; None when it is no request. Leading zeros are as the client sent them."""
    if not (message.startswith(b"/?") and message.endswith(b"!" + END)):
        return None
    address = message[2 : -1 - len(END)].decode("ascii", "replace")
    return address if _ADDRESS.fullmatch(address) else None


def decode_identification(message: bytes) -> Identification:
    """Raise SignOnError when the message is none, or proposes no baud rate of modes C and E."""
    match = _IDENTIFICATION.fullmatch(message.removesuffix(END).decode("ascii", "replace"))
    if match is None or match[2] not in BAUD_RATES:
        raise SignOnError(
            "the meter does not identify itself for mode C or E",
            answer=repr(message[:MESSAGE_OCTETS_MAX]),
            next_step="check the parity (7 data bits, even) and which mode the meter speaks",
        )
    return Identification(match[1], BAUD_RATES[match[2]], r"\2" in match[3], match[4])


def decode_acknowledgement(message: bytes) -> Acknowledgement | None:
    """What was chosen; None when it is no acknowledgement, or one of a mode that is not ours."""
    match = _ACKNOWLEDGEMENT.fullmatch(message.removesuffix(END).decode("ascii", "replace"))
    if match is None or match[2] not in BAUD_RATES:
        return None
    mode = next((mode for mode, letters in _MODES.items() if letters == (match[1], match[3])), None)
    return None if mode is None else Acknowledgement(mode, BAUD_RATES[match[2]])


def with_even_parity(octets: bytes) -> bytes:
    """Seven bits and an even parity bit, for a line that is set to eight bits without parity."""
    return octets.translate(_EVEN)


def without_parity(octets: bytes) -> bytes:
    """The seven bits, whatever the parity bit says."""
    return octets.translate(_SEVEN_BITS)


def _letter(baud: int) -> str:
    if baud not in _LETTERS:
        raise LocalProtocolError(
            f"{baud} Bd is no rate of IEC 62056-21", next_step=f"choose one of {', '.join(map(str, _LETTERS))}"
        )
    return _LETTERS[baud]
