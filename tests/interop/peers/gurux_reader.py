"""Reads one meter with gurux-dlms and prints what it understood (run by the peer's own interpreter)."""

from __future__ import annotations

import socket
from datetime import datetime
from typing import Any

from gurux_dlms import GXByteBuffer, GXDateTime, GXDLMSClient, GXReplyData
from gurux_dlms.ecdsa import GXPrivateKey, GXPublicKey
from gurux_dlms.enums import Authentication, Conformance, InterfaceType, Security
from gurux_dlms.objects import GXDLMSClock, GXDLMSData, GXDLMSExtendedRegister, GXDLMSProfileGeneric, GXDLMSRegister
from gurux_dlms.objects.enums import SecuritySuite
from gurux_dlms.secure import GXDLMSSecureClient
from order import CLOCK, LOGICAL_DEVICE_NAME, Order, print_answer, read_order, utc_text

AUTHENTICATIONS = {
    "none": Authentication.NONE,
    "lls": Authentication.LOW,
    "hls2": Authentication.HIGH,
    "hls-md5": Authentication.HIGH_MD5,
    "hls-sha1": Authentication.HIGH_SHA1,
    "hls-gmac": Authentication.HIGH_GMAC,
    "hls-sha256": Authentication.HIGH_SHA256,
    "hls-ecdsa": Authentication.HIGH_ECDSA,
}
PROTECTIONS = {
    "none": Security.NONE,
    "auth": Security.AUTHENTICATION,
    "enc": Security.ENCRYPTION,
    "auth+enc": Security.AUTHENTICATION_ENCRYPTION,
}
UNCOMPRESSED = b"\x04"  # how the peer wants a point to begin
GENERAL = "general:"
"""Before a protection: in general-glo-ciphering instead of service-specific glo-*."""


class Conversation:
    """A TCP connection: the frames of the peer's client go out, its parser is fed what the meter answers."""

    def __init__(self, client: GXDLMSSecureClient, connection: socket.socket) -> None:
        self.client = client
        self.connection = connection
        self.requests = 0

    def ask(self, frames: Any) -> GXReplyData:
        """Send one request (all of its frames) and collect the whole answer, block by block."""
        reply = GXReplyData()
        for frame in frames if isinstance(frames, list) else [frames]:
            reply.clear()
            self._exchange(frame, reply)
            while reply.isMoreData():
                self._exchange(self.client.receiverReady(reply), reply)
        return reply

    def read(self, item: Any, attribute: int) -> Any:
        """The raw value of one attribute; the object keeps the value it made of it."""
        reply = self.ask(self.client.read(item, attribute))
        self.client.updateValue(item, attribute, reply.value)
        return reply.value

    def _exchange(self, frame: bytes, reply: GXReplyData) -> None:
        self.connection.sendall(frame)
        self.requests += 1
        received, notification = GXByteBuffer(), GXReplyData()
        while not self.client.getData(received, reply, notification):
            octets = self.connection.recv(4096)
            if not octets:
                raise ConnectionError("the meter closed the connection")
            received.set(octets)
        if reply.error:
            raise ConnectionError(f"the meter answered with error {reply.error}: {reply.getErrorMessage()}")


def client_for(order: Order) -> GXDLMSSecureClient:
    """The peer's client, set up from the order."""
    hdlc = order.framing == "hdlc"
    server = order.server if order.physical is None else GXDLMSClient.getServerAddress(order.server, order.physical)
    client = GXDLMSSecureClient(
        True, order.client, server, AUTHENTICATIONS[order.auth], order.password,
        InterfaceType.HDLC if hdlc else InterfaceType.WRAPPER,
    )  # fmt: skip
    if hdlc:
        client.hdlcSettings.maxInfoTX = client.hdlcSettings.maxInfoRX = order.hdlc_octets
        client.hdlcSettings.windowSizeTX = client.hdlcSettings.windowSizeRX = order.hdlc_window
    client.maxReceivePDUSize = order.max_pdu
    if order.auth in {"hls-sha256", "hls-ecdsa"}:
        client.ciphering.systemTitle = order.client_title
    if order.auth == "hls-ecdsa":
        client.ciphering.signingKeyPair = (
            GXPublicKey.fromRawBytes(UNCOMPRESSED + order.meter_signing),
            GXPrivateKey.fromRawBytes(order.client_signing),
        )
    if order.ciphered:
        client.ciphering.security = PROTECTIONS[order.protection.removeprefix(GENERAL)]
        client.ciphering.systemTitle = order.client_title
        client.ciphering.blockCipherKey = order.guek
        client.ciphering.authenticationKey = order.gak
        client.ciphering.invocationCounter = order.invocation_counter
        client.ciphering.securitySuite = SecuritySuite(order.suite)
        client.ciphering.dedicatedKey = order.dedicated_key or None
    if not order.protection.startswith(GENERAL):  # the peer proposes it unless told otherwise, and then uses it
        client.proposedConformance &= ~Conformance.GENERAL_PROTECTION
    return client


def set_up_link(conversation: Conversation, order: Order) -> None:
    """SNRM and UA, where the framing is HDLC."""
    if order.framing == "hdlc":
        conversation.client.parseUAResponse(conversation.ask(conversation.client.snrmRequest()).data)


def take_down_link(conversation: Conversation, order: Order) -> None:
    """DISC and UA, where the framing is HDLC."""
    if order.framing == "hdlc":
        conversation.ask(conversation.client.disconnectRequest())


def associate(conversation: Conversation, order: Order) -> None:
    """AARQ, AARE and, for a high level mechanism, the two further passes."""
    client = conversation.client
    client.parseAareResponse(conversation.ask(client.aarqRequest()).data)
    if order.auth.startswith("hls"):
        client.parseApplicationAssociationResponse(conversation.ask(client.getApplicationAssociationRequest()).data)


def instant_text(stamp: Any) -> str:
    """A GXDateTime as ISO text in UTC."""
    value: datetime = stamp.value
    return utc_text(value)


def cell_json(cell: Any) -> str | int | None:
    """A cell of the buffer: an instant, a number, or nothing where the meter left it out."""
    if cell is None:
        return None
    return instant_text(cell) if isinstance(cell, GXDateTime) else int(cell)


def profile(conversation: Conversation, order: Order) -> dict[str, Any]:
    """What describes the buffer (columns, period, sort object), then the rows that were ordered."""
    buffer = GXDLMSProfileGeneric(order.profile)
    for attribute in (3, 4, 6):
        conversation.read(buffer, attribute)
    frames = rows_request(conversation, buffer, order)
    before = conversation.requests
    reply = conversation.ask(frames)
    conversation.client.updateValue(buffer, 2, reply.value)
    return {
        "capture_objects": [
            [int(item.objectType), item.logicalName, column.attributeIndex, column.dataIndex]
            for item, column in buffer.captureObjects
        ],
        "blocks": conversation.requests - before,
        "rows": [[cell_json(cell) for cell in row] for row in buffer.buffer],
    }


def rows_request(conversation: Conversation, buffer: GXDLMSProfileGeneric, order: Order) -> Any:
    """Rows by range of time, or the newest ones by entry number."""
    if order.newest is None:
        return conversation.client.readRowsByRange(buffer, order.start, order.end)
    conversation.read(buffer, 7)
    return conversation.client.readRowsByEntry(buffer, buffer.entriesInUse - order.newest + 1, order.newest)


def register_object(order: Order) -> GXDLMSRegister:
    """A register or, where the meter has it so, an extended one."""
    return (GXDLMSExtendedRegister if order.register_class == 4 else GXDLMSRegister)(order.register)


def register(conversation: Conversation, order: Order) -> dict[str, int]:
    """The raw value with scaler and unit, unscaled so that no float stands between the meter and the test."""
    item = register_object(order)
    scaler, unit = conversation.read(item, 3)
    return {"value": int(conversation.read(item, 2)), "scaler": int(scaler), "unit": int(unit)}


def clock(conversation: Conversation) -> str:
    """The meter's clock in UTC."""
    item = GXDLMSClock(CLOCK)
    conversation.read(item, 2)
    return instant_text(item.time)


def with_list(conversation: Conversation, order: Order) -> list[Any]:
    """Logical device name and register in one GET with list."""
    name, item = GXDLMSData(LOGICAL_DEVICE_NAME), register_object(order)
    (frames,) = conversation.client.readList([(name, 2), (item, 2)])
    reply = conversation.ask(frames)
    return [bytes(reply.value[0]).decode("ascii"), int(reply.value[1])]


def object_list(conversation: Conversation) -> list[list[Any]]:
    """Class and logical name of every object that the association shows."""
    reply = conversation.ask(conversation.client.getObjectsRequest())
    shown = conversation.client.parseObjects(reply.data, False)
    return [[int(item.objectType), item.logicalName] for item in shown]


def main() -> None:
    """Read what the order asks for, in one association."""
    order = read_order()
    with socket.create_connection((order.host, order.port), timeout=10) as connection:
        conversation = Conversation(client_for(order), connection)
        set_up_link(conversation, order)
        associate(conversation, order)
        answer = {
            "peer": "gurux-dlms",
            "logical_device_name": bytes(conversation.read(GXDLMSData(LOGICAL_DEVICE_NAME), 2)).decode("ascii"),
            "clock": clock(conversation),
            "register": register(conversation, order),
            "with_list": with_list(conversation, order) if order.with_list else None,
            "objects": object_list(conversation),
            "profile": profile(conversation, order),
        }
        if order.release:
            conversation.ask(conversation.client.releaseRequest())
        take_down_link(conversation, order)
    print_answer(answer)


if __name__ == "__main__":
    main()
