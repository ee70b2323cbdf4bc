"""Opening a channel to a meter wherever it is: wrapper over TCP or UDP, HDLC over TCP or serial, behind a gateway."""

from typing import NamedTuple

from amity.cli.options import address, hex_octets
from amity.devices.doctor import Link
from amity.devices.profiles import Framing
from amity.headend.routes import BAUD_DEFAULT, Gateway, HdlcLink, Host, Route, SerialLine, WrapperLink
from amity.kernel.errors import ConfigurationError
from amity.protocols.hdlc.parameters import INFORMATION_OCTETS_DEFAULT, WINDOW_DEFAULT
from amity.transports import meter_connector
from amity.transports.channel import MeterChannel

_DEVICE_START = "/"


class Place(NamedTuple):
    """Where the meter is: a host and port, or the device file of a serial line."""

    host: str
    port: int
    device: str = ""

    @property
    def serial(self) -> bool:
        """True for a serial line."""
        return bool(self.device)

    def __str__(self) -> str:
        """As failures name it."""
        return self.device or f"{self.host}:{self.port}"


def place_of(text: str) -> Place:
    """`127.0.0.1:4059` or `/dev/ttyUSB0`; raise ConfigurationError for anything else."""
    if text.startswith(_DEVICE_START):
        return Place("", 0, text)
    return Place(*address(text))


def gateway_of(text: str) -> Gateway:
    """`1:0A2B`, network and device; raise ConfigurationError for anything else."""
    network, colon, device = text.partition(":")
    if not colon or not network.isdecimal() or int(network) > 0xFF:  # noqa: PLR2004 - one octet
        raise ConfigurationError(f"--gateway {text!r} names no device", next_step="write NETWORK:ADDRESS like 1:0A2B")
    return Gateway(int(network), hex_octets("--gateway", device))


class Way(NamedTuple):
    """What a person may know of the way beyond the link; `octets` and `window` are asked for in HDLC's SNRM.

    `parity_by_hand` is for a serial line that cannot be set to seven bits, `echoes` for an optical head that gives back
    what is sent, `device` the address for a sign-on on a line with several meters.
    """

    udp: bool = False
    octets: int = INFORMATION_OCTETS_DEFAULT
    window: int = WINDOW_DEFAULT
    echoes: bool = False
    parity_by_hand: bool = False
    device: str = ""
    gateway: Gateway | None = None


_PLAIN_WAY = Way()


async def open_channel(place: Place, link: Link, timeout_s: float, way: Way = _PLAIN_WAY) -> MeterChannel:
    """Open the way that a link describes; raise TransportError when it does not open in time."""
    return await meter_connector.open_channel(_route(place, link, way), link.client, link.server, timeout_s)


def _route(place: Place, link: Link, way: Way) -> Route:
    at = Host(place.host, place.port)
    if link.framing is Framing.WRAPPER:
        return Route(WrapperLink(at, way.udp), way.gateway)
    line = SerialLine(place.device, link.baud or BAUD_DEFAULT, link.sign_on, way.device, way.echoes, way.parity_by_hand)
    carrier = line if place.serial else at
    return Route(HdlcLink(carrier, link.physical, link.address_octets or None, way.octets, way.window), way.gateway)
