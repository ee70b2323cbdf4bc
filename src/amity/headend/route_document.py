"""A route as JSON members: in the fleet document beside the rest of a meter, in the OT database by itself.

framing             wrapper | hdlc; without it the wrapper
host, port          of the meter, or of the modem or gateway before it
calls_in            true: the meter opens the TCP connection; no port, and host only if it always calls from there
udp                 true: the wrapper in UDP datagrams
device              a serial port instead of host and port; only hdlc
physical, address_octets, information_octets, window
                    of the HDLC link; physical 0 or nothing: the meter is called by its upper address alone
baud, sign_on, line_address, echoes, parity_by_hand
                    of the serial line; sign_on is none | mode-e
gateway             {"network": 0 to 255, "device": hexadecimal}
collector           the name of the collector that goes this way; without it the head-end does
cell                the name of what the meter shares its medium with others in; without it it shares none
"""

from typing import Any, Final

from amity.devices.profiles import Framing, SignOn
from amity.headend.fields import Fields
from amity.headend.routes import BAUD_DEFAULT, CallsIn, Gateway, HdlcLink, Host, Route, SerialLine, WrapperLink
from amity.kernel.errors import LocalProtocolError
from amity.protocols.hdlc.parameters import (
    INFORMATION_OCTETS_DEFAULT,
    INFORMATION_OCTETS_MAX,
    INFORMATION_OCTETS_MIN,
    WINDOW_DEFAULT,
    WINDOW_MAX,
)

PORT_MAX: Final = 0xFFFF
_OCTET_MAX: Final = 0xFF
_BAUD_MAX: Final = 4_000_000
_PHYSICAL_MAX: Final = 0x3FFF
_ADDRESS_OCTETS: Final = (0, 1, 2, 4)
_OF_SERIAL: Final = ("baud", "sign_on", "line_address", "echoes", "parity_by_hand")
_OF_HDLC: Final = ("physical", "address_octets", "information_octets", "window", "device", *_OF_SERIAL)
_OF_GATEWAY: Final = ("network", "device")
ROUTE_MEMBERS: Final = frozenset(
    {"framing", "host", "port", "calls_in", "udp", "gateway", "collector", "cell", *_OF_HDLC}
)
"""What `read_route` reads."""


def read_route(fields: Fields) -> Route:
    """The route that these members describe; raise ConfigurationError that names the first one that cannot be used."""
    framing = fields.choice("framing", Framing, Framing.WRAPPER)
    link = _hdlc_link(fields) if framing is Framing.HDLC else _wrapper_link(fields)
    gateway = _gateway(fields.inside("gateway")) if fields.has("gateway") else None
    return Route(link, gateway, fields.text("collector", otherwise=""), fields.text("cell", otherwise=""))


def route_document(route: Route) -> dict[str, Any]:
    """The members that `read_route` reads this route from; what is the default is left out."""
    link = route.link
    document: dict[str, Any] = _place_document(link.at)
    if isinstance(link, HdlcLink):
        document |= {"framing": Framing.HDLC.value} | _changed(link, HdlcLink(link.at), _OF_HDLC[:4])
    elif link.udp:
        document["udp"] = True
    if route.gateway is not None:
        document["gateway"] = {"network": route.gateway.network, "device": route.gateway.device.hex()}
    if route.collector:
        document["collector"] = route.collector
    if route.cell:
        document["cell"] = route.cell
    return document


# ------------------------------------------------------------------ reading
def _wrapper_link(fields: Fields) -> WrapperLink:
    for key in _OF_HDLC:
        if fields.has(key):
            raise fields.refusal(key, "goes with framing hdlc")
    at = _host(fields)
    if fields.flag("udp") and isinstance(at, CallsIn):
        raise fields.refusal("udp", "is not for a meter that calls in")
    return WrapperLink(at, fields.flag("udp"))


def _hdlc_link(fields: Fields) -> HdlcLink:
    if fields.flag("udp"):
        raise fields.refusal("udp", "goes with framing wrapper")
    address_octets = fields.number("address_octets", 0, _ADDRESS_OCTETS[-1], otherwise=0)
    if address_octets not in _ADDRESS_OCTETS:
        raise fields.refusal("address_octets", "must be 1, 2 or 4, or 0 for the shortest")
    return HdlcLink(
        _serial_line(fields) if fields.has("device") else _tcp_line(fields),
        fields.number("physical", 0, _PHYSICAL_MAX, otherwise=0) or None,
        address_octets or None,
        fields.number(
            "information_octets", INFORMATION_OCTETS_MIN, INFORMATION_OCTETS_MAX, otherwise=INFORMATION_OCTETS_DEFAULT
        ),
        fields.number("window", WINDOW_DEFAULT, WINDOW_MAX, otherwise=WINDOW_DEFAULT),
    )


def _tcp_line(fields: Fields) -> Host | CallsIn:
    for key in _OF_SERIAL:
        if fields.has(key):
            raise fields.refusal(key, "goes with device, the serial port")
    return _host(fields)


def _serial_line(fields: Fields) -> SerialLine:
    return SerialLine(
        fields.text("device"),
        fields.number("baud", 1, _BAUD_MAX, otherwise=BAUD_DEFAULT),
        fields.choice("sign_on", SignOn, SignOn.NONE),
        fields.text("line_address", otherwise=""),
        fields.flag("echoes"),
        fields.flag("parity_by_hand"),
    )


def _host(fields: Fields) -> Host | CallsIn:
    if fields.flag("calls_in"):
        if fields.has("port"):
            raise fields.refusal("port", "is not for a meter that calls in: it chooses one itself")
        return CallsIn(fields.text("host", otherwise=""))
    return Host(fields.text("host"), fields.number("port", 1, PORT_MAX))


def _gateway(fields: Fields) -> Gateway:
    fields.only(_OF_GATEWAY)
    device = fields.octets("device")
    if not 0 < len(device) <= _OCTET_MAX:
        raise fields.refusal("device", f"must have 1 to {_OCTET_MAX} octets")
    return Gateway(fields.number("network", 0, _OCTET_MAX, otherwise=0), device)


def check_server(fields: Fields, link: WrapperLink | HdlcLink, server: int) -> None:
    """Raise ConfigurationError when a logical device's address has no HDLC form with what the link says of it."""
    if isinstance(link, HdlcLink):
        try:
            link.address(server).encode()
        except LocalProtocolError as error:
            raise fields.refusal("server", f"cannot be called so: {error.what}") from error


# ------------------------------------------------------------------ writing
def _place_document(at: Host | SerialLine | CallsIn) -> dict[str, Any]:
    if isinstance(at, CallsIn):
        return {"calls_in": True} | ({"host": at.from_host} if at.from_host else {})
    if isinstance(at, Host):
        return {"host": at.host, "port": at.port}
    return {"device": at.device} | _changed(at, SerialLine(at.device), _OF_SERIAL)


def _changed(one: object, default: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(one, name) for name in names if getattr(one, name) != getattr(default, name)}
