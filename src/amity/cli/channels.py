"""Opening a channel to a meter wherever it is: wrapper over TCP or UDP, HDLC over TCP or serial, behind a gateway."""

from typing import NamedTuple

from amity.cli.options import address, hex_octets
from amity.devices.doctor import Link
from amity.devices.profiles import Framing, SignOn
from amity.kernel.errors import ConfigurationError
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.parameters import INFORMATION_OCTETS_DEFAULT, WINDOW_DEFAULT, Parameters
from amity.protocols.hdlc.station import LinkSettings
from amity.protocols.iec62056_21.sign_on import SignOnSettings
from amity.transports.channel import MeterChannel
from amity.transports.gateway_channel import GatewayChannel
from amity.transports.hdlc_channel import HdlcChannel, HdlcRoute
from amity.transports.line import SerialSettings
from amity.transports.udp_channel import UdpChannel
from amity.transports.wrapper_channel import WrapperChannel

_DEVICE_START = "/"
_ASKED_AGAIN = 1  # a frame lost on the line must not pass for a wrong address


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


class Gateway(NamedTuple):
    """A device behind a gateway: the network there and the address in it."""

    network: int
    device: bytes


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
    channel = await _open(place, link, timeout_s, way)
    return channel if way.gateway is None else GatewayChannel(channel, way.gateway.network, way.gateway.device)


async def _open(place: Place, link: Link, timeout_s: float, way: Way) -> MeterChannel:
    if link.framing is Framing.WRAPPER:
        kind = UdpChannel if way.udp else WrapperChannel
        return await kind.open(place.host, place.port, link.client, link.server, timeout_s)
    route = HdlcRoute(
        Address(link.client),
        Address(link.server, link.physical, link.address_octets or None),
        LinkSettings(
            Parameters.both_ways(way.octets, way.window),
            response_timeout_s=timeout_s / (_ASKED_AGAIN + 1),
            retries=_ASKED_AGAIN,
        ),
    )
    if not place.serial:
        return await HdlcChannel.open_tcp(place.host, place.port, route, timeout_s)
    signing_on = None
    if link.sign_on is SignOn.MODE_E:
        signing_on = SignOnSettings(address=way.device, parity_by_hand=way.parity_by_hand, retries=_ASKED_AGAIN)
    serial = SerialSettings(link.baud or SerialSettings().baud, echoes=way.echoes)
    return await HdlcChannel.open_serial(place.device, serial, route, timeout_s, signing_on)
