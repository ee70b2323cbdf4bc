"""How a meter is reached: what carries its APDUs, where that begins, and the gateway in between if there is one."""

from dataclasses import dataclass
from typing import Final

from amity.devices.profiles import SignOn
from amity.protocols.gateway.prefix import Prefixed
from amity.protocols.gateway.prefix import encode as prefixed
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.parameters import INFORMATION_OCTETS_DEFAULT, WINDOW_DEFAULT, Parameters
from amity.protocols.iec62056_21.sign_on import SignOnSettings
from amity.protocols.wrapper.frame import encode as wrapped

BAUD_DEFAULT: Final = 9600
ASKED_AGAIN: Final = 1
"""How often a frame or a sign-on is repeated: one that is lost on the line must not pass for a silent meter."""


@dataclass(frozen=True, slots=True)
class Host:
    """A TCP or UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """As failures name it."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SerialLine:
    """A serial port, or an optical head at one.

    `sign_on` hands over from IEC 62056-21 mode E; it begins at its own rate, so `baud` is for HDLC without it.
    `line_address` calls one of several meters in it. `echoes`: the head gives back what is sent through it.
    `parity_by_hand`: the port cannot be set to seven bits (a pseudo-terminal, a socket).
    """

    device: str
    baud: int = BAUD_DEFAULT
    sign_on: SignOn = SignOn.NONE
    line_address: str = ""
    echoes: bool = False
    parity_by_hand: bool = False

    @property
    def signing_on(self) -> SignOnSettings | None:
        """How the sign-on is made, None without."""
        if self.sign_on is SignOn.NONE:
            return None
        return SignOnSettings(address=self.line_address, parity_by_hand=self.parity_by_hand, retries=ASKED_AGAIN)

    def __str__(self) -> str:
        """As failures name it."""
        return self.device


@dataclass(frozen=True, slots=True)
class CallsIn:
    """A meter that opens the TCP connection itself, on which it is read; `from_host` is the only host it may call from.

    Empty: it may call from anywhere, which a meter without HLS is not believed.
    """

    from_host: str = ""

    def __str__(self) -> str:
        """As failures name it."""
        return f"the connection that it opens from {self.from_host or 'anywhere'}"


@dataclass(frozen=True, slots=True)
class WrapperLink:
    """The wrapper of IEC 62056-47, over TCP or in UDP datagrams."""

    at: Host | CallsIn
    udp: bool = False


@dataclass(frozen=True, slots=True)
class HdlcLink:
    """HDLC over TCP or a serial line; the client's and the logical device's address are those of the association.

    `physical` is the lower address, None for a meter that is called by the upper one alone; `address_octets` the width
    of the server's address, None for the shortest that fits. `information_octets` and `window` are asked for in SNRM.
    """

    at: Host | SerialLine | CallsIn
    physical: int | None = None
    address_octets: int | None = None
    information_octets: int = INFORMATION_OCTETS_DEFAULT
    window: int = WINDOW_DEFAULT

    @property
    def parameters(self) -> Parameters:
        """What is asked for in SNRM; raise LocalProtocolError for what no link has."""
        return Parameters.both_ways(self.information_octets, self.window)

    def address(self, server: int) -> Address:
        """The meter's address; whether it has that form shows when it is encoded."""
        return Address(server, self.physical, self.address_octets)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that takes APDUs with a prefix: the network behind it, and the meter's address there."""

    network: int
    device: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """The whole way to one meter; with a `collector`, that is who goes it, from where it stands.

    Meters of one `cell` share its medium (a radio cell, a concentrator, a transformer's power lines); empty for none.
    """

    link: WrapperLink | HdlcLink
    gateway: Gateway | None = None
    collector: str = ""
    cell: str = ""

    @property
    def host(self) -> str:
        """The host that is called, or calls; empty on a serial line and where it may be any."""
        match self.link.at:
            case Host(host) | CallsIn(host):
                return host
            case _:
                return ""

    @property
    def calls_in(self) -> bool:
        """True when the meter opens the connection."""
        return isinstance(self.link.at, CallsIn)

    @property
    def shared_line(self) -> str:
        """The line that only one meter at a time can be read over, empty where each has a connection of its own.

        HDLC over TCP ends at a modem, and behind that is a line as well. Each collector has lines of its own.
        """
        if not isinstance(self.link, HdlcLink) or self.calls_in:
            return ""
        line = self.link.at.device if isinstance(self.link.at, SerialLine) else str(self.link.at)
        return f"{line} via {self.collector}" if self.collector else line

    def evidence(self, source: int, destination: int, apdu: bytes, *, is_request: bool) -> bytes:
        """An APDU as it is kept: with gateway prefix and wrapper as on the line; HDLC frames are not kept."""
        if self.gateway is not None:
            apdu = prefixed(Prefixed(self.gateway.network, self.gateway.device, apdu, is_request))
        return wrapped(source, destination, apdu) if isinstance(self.link, WrapperLink) else apdu

    def __str__(self) -> str:
        """As failures name it."""
        at = f"{self.link.at} via {self.collector}" if self.collector else str(self.link.at)
        if self.gateway is None:
            return at
        return f"{at}, network {self.gateway.network} device {self.gateway.device.hex()} behind it"


def over_tcp(host: str, port: int) -> Route:
    """The plain way: the wrapper over TCP."""
    return Route(WrapperLink(Host(host, port)))
