"""Reads one meter with dlms-cosem and prints what it understood (run by the peer's own interpreter)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dlms_cosem import cosem
from dlms_cosem.clients.blocking_tcp_transport import BlockingTcpTransport
from dlms_cosem.clients.dlms_client import DlmsClient
from dlms_cosem.clients.hdlc_transport import SerialHdlcTransport
from dlms_cosem.cosem import CosemAttribute, Obis
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import EntryDescriptor, RangeDescriptor
from dlms_cosem.enumerations import AuthenticationMechanism, CosemInterface
from dlms_cosem.parsers import AssociationObjectListParser, ProfileGenericBufferParser
from dlms_cosem.time import datetime_from_bytes
from dlms_cosem.utils import parse_as_dlms_data
from order import CLOCK, CURRENT_ASSOCIATION, LOGICAL_DEVICE_NAME, Order, print_answer, read_order, utc_text
from serial import Serial, serial_for_url

MECHANISMS = {
    "none": AuthenticationMechanism.NONE,
    "lls": AuthenticationMechanism.LLS,
    "hls2": AuthenticationMechanism.HLS,
    "hls-md5": AuthenticationMechanism.HLS_MD5,
    "hls-sha1": AuthenticationMechanism.HLS_SHA1,
    "hls-gmac": AuthenticationMechanism.HLS_GMAC,
    "hls-sha256": AuthenticationMechanism.HLS_SHA256,
}


class CountingTransport:
    """One of the peer's transports, counting the requests that went through it."""

    def __init__(self, order: Order) -> None:
        self._serial = serial_of(order) if order.framing == "hdlc" else None
        self._transport = tcp_transport(order) if self._serial is None else hdlc_transport(order, self._serial)
        self.requests = 0

    def connect(self) -> None:
        """Open the connection."""
        self._transport.connect()

    def disconnect(self) -> None:
        """Close the connection; an HDLC link without DISC, whose UA the peer takes with information only (21.3.2)."""
        if self._serial is None:
            self._transport.disconnect()
        else:
            self._serial.close()

    def send(self, bytes_to_send: bytes) -> bytes:
        """One request, one answer."""
        self.requests += 1
        return self._transport.send(bytes_to_send)


def tcp_transport(order: Order) -> BlockingTcpTransport:
    """The wrapper over TCP."""
    return BlockingTcpTransport(
        host=order.host,
        port=order.port,
        client_logical_address=order.client,
        server_logical_address=order.server,
    )


def serial_of(order: Order) -> Serial:
    """A serial line; the serial library takes a TCP connection for one too."""
    return serial_for_url(order.device or f"socket://{order.host}:{order.port}", timeout=2)


def hdlc_transport(order: Order, line: Serial) -> SerialHdlcTransport:
    """HDLC, as the peer has it, on a serial line."""
    return SerialHdlcTransport(
        client_logical_address=order.client,
        server_logical_address=order.server,
        server_physical_address=order.physical,
        serial_port=order.device,
        serial=line,
    )


def client_for(order: Order, transport: CountingTransport) -> DlmsClient:
    """The peer's client, set up from the order."""
    ciphering: dict[str, Any] = {}
    if order.ciphered:
        ciphering = {
            "encryption_key": order.guek,
            "authentication_key": order.gak,
            "client_initial_invocation_counter": order.invocation_counter,
            "security_suite": order.suite,
            "dedicated_ciphering": bool(order.dedicated_key),
        }
    return DlmsClient(
        client_logical_address=order.client,
        server_logical_address=order.server,
        io_interface=transport,
        authentication_method=MECHANISMS[order.auth],
        password=order.password or None,
        client_system_title=order.client_title,
        max_pdu_size=order.max_pdu,
        **ciphering,
    )


def attribute(interface: CosemInterface, obis: str, index: int) -> CosemAttribute:
    """One COSEM attribute."""
    return CosemAttribute(interface=interface, instance=Obis.from_string(obis), attribute=index)


def read(client: DlmsClient, interface: CosemInterface, obis: str, index: int) -> Any:
    """One attribute as Python values."""
    return parse_as_dlms_data(client.get(attribute(interface, obis, index)))


def captured(entry: Any) -> CosemAttribute:
    """A capture_object_definition: class, logical name, attribute, element."""
    return CosemAttribute(
        interface=CosemInterface(entry[0]), instance=Obis.from_bytes(bytes(entry[1])), attribute=entry[2]
    )


def cell_json(value: Any) -> Any:
    """A cell of the buffer: an instant as text, a number as it is."""
    return utc_text(value) if isinstance(value, datetime) else value


def wanted_rows(client: DlmsClient, order: Order) -> RangeDescriptor | EntryDescriptor:
    """Rows by range of time, or the newest ones by entry number."""
    if order.newest is None:
        clock = CaptureObject(attribute(CosemInterface.CLOCK, CLOCK, 2))
        return RangeDescriptor(restricting_object=clock, from_value=order.start, to_value=order.end)
    entries = read(client, CosemInterface.PROFILE_GENERIC, order.profile, 7)
    return EntryDescriptor(from_entry=entries - order.newest + 1, to_entry=entries)


def profile(client: DlmsClient, order: Order, transport: CountingTransport) -> dict[str, Any]:
    """Capture objects, then the rows of the ordered range."""
    definitions = read(client, CosemInterface.PROFILE_GENERIC, order.profile, 3)
    columns = [captured(entry) for entry in definitions]
    before = transport.requests
    octets = client.get(
        attribute(CosemInterface.PROFILE_GENERIC, order.profile, 2),
        access_descriptor=wanted_rows(client, order),
    )
    rows = ProfileGenericBufferParser(capture_objects=columns, capture_period=15).parse_bytes(octets)
    return {
        "capture_objects": [
            [entry[0], Obis.from_bytes(bytes(entry[1])).to_string("."), entry[2], entry[3]] for entry in definitions
        ],
        "blocks": transport.requests - before,
        "rows": [[cell_json(cell.value) for cell in row] for row in rows],
    }


def register(client: DlmsClient, order: Order) -> dict[str, int]:
    """The raw value with scaler and unit."""
    interface = CosemInterface(order.register_class)
    scaler, unit = read(client, interface, order.register, 3)
    value = read(client, interface, order.register, 2)
    return {"value": value, "scaler": scaler, "unit": unit}


def with_list(client: DlmsClient, order: Order) -> list[Any]:
    """Logical device name and register in one GET with list."""
    response = client.get_many(
        [
            cosem.CosemAttributeWithSelection(
                attribute=attribute(CosemInterface.DATA, LOGICAL_DEVICE_NAME, 2), access_selection=None
            ),
            cosem.CosemAttributeWithSelection(
                attribute=attribute(CosemInterface(order.register_class), order.register, 2), access_selection=None
            ),
        ]
    )
    name, value = (data.value for data in response.response_data)
    return [bytes(name).decode("ascii"), value]


def object_list(client: DlmsClient) -> list[list[Any]]:
    """Class and logical name of every object that the association shows."""
    octets = client.get(attribute(CosemInterface.ASSOCIATION_LN, CURRENT_ASSOCIATION, 2))
    shown = AssociationObjectListParser.parse_bytes(octets)
    return [[int(item.interface), item.logical_name.to_string(".")] for item in shown]


def readings(client: DlmsClient, order: Order, transport: CountingTransport) -> dict[str, Any]:
    """Everything that was ordered, in the open association."""
    instant, _status = datetime_from_bytes(bytes(read(client, CosemInterface.CLOCK, CLOCK, 2)))
    return {
        "peer": "dlms-cosem",
        "logical_device_name": bytes(read(client, CosemInterface.DATA, LOGICAL_DEVICE_NAME, 2)).decode("ascii"),
        "clock": utc_text(instant),
        "register": register(client, order),
        "with_list": with_list(client, order) if order.with_list else None,
        "objects": object_list(client),
        "profile": profile(client, order, transport),
    }


def main() -> None:
    """Read what the order asks for, in one association."""
    order = read_order()
    transport = CountingTransport(order)
    client = client_for(order, transport)
    client.connect()
    try:
        client.associate()
        answer = readings(client, order, transport)
        if order.release:
            client.release_association()
    finally:
        client.disconnect()
    print_answer(answer)


if __name__ == "__main__":
    main()
