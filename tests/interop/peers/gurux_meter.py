"""A small meter built from gurux-dlms, so that Amity's client meets a server nobody here wrote.

Serves one connection at a time on a free loopback port, prints its connection document and runs until it is ended.
Usage: gurux_meter.py AUTH wrapper|hdlc [ciphered] [repaired]; `repaired` counts the length of its challenge anew.
"""

from __future__ import annotations

import json
import socket
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from gurux_dlms import GXDateTime, GXServerReply
from gurux_dlms.enums import (
    AccessMode,
    Authentication,
    DataType,
    InterfaceType,
    MethodAccessMode,
    Security,
    SourceDiagnostic,
    Unit,
)
from gurux_dlms.objects import (
    GXDLMSAssociationLogicalName,
    GXDLMSCaptureObject,
    GXDLMSClock,
    GXDLMSData,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
)
from gurux_dlms.secure import GXDLMSSecureServer
from gurux_reader import AUTHENTICATIONS

NAME = b"AMY0000000000042"
PASSWORD = "sunrise1"
NOTE = "0.0.96.50.0.255"
REGISTER_COUNT = 7_654_321  # in steps of 10 Wh
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = 96
FRAMINGS = {"wrapper": InterfaceType.WRAPPER, "hdlc": InterfaceType.HDLC}
SPOILT_CHALLENGE, SOUND_CHALLENGE = bytes.fromhex("aa108010"), bytes.fromhex("aa128010")
"""Around a challenge of 16 octets with tag and length the peer counts 16 octets; there are 18."""


class Reply(GXServerReply):
    """The peer's server calls two accessors that its reply class lacks."""

    def setReply(self, value: Any) -> None:  # noqa: N802 - the peer's name
        self.reply = value

    def getConnectionInfo(self) -> Any:  # noqa: N802
        return self.connectionInfo


class Meter(GXDLMSSecureServer):
    """The hooks that the peer's server class asks for: everything readable, one password."""

    def __init__(self, association: GXDLMSAssociationLogicalName, auth: str, framing: str, *, ciphered: bool) -> None:
        super().__init__(association, FRAMINGS[framing])
        self.settings.maxServerPDUSize = 1024
        self.settings.password = PASSWORD.encode()
        self.auth = AUTHENTICATIONS[auth]
        if ciphered:  # the settings lack the keys that its constructor made
            self.settings.cipher = self.getCiphering()
            self.getCiphering().security = Security.AUTHENTICATION_ENCRYPTION

    def isTarget(self, serverAddress: int, clientAddress: int) -> bool:  # noqa: N802, N803 - the peer's names
        del serverAddress, clientAddress
        return True

    def onValidateAuthentication(self, authentication: Any, password: Any) -> Any:  # noqa: N802
        if authentication != self.auth:
            return SourceDiagnostic.AUTHENTICATION_REQUIRED
        if authentication == Authentication.LOW and bytes(password) != PASSWORD.encode():
            return SourceDiagnostic.AUTHENTICATION_FAILURE
        return SourceDiagnostic.NONE

    def onGetAttributeAccess(self, arg: Any) -> Any:  # noqa: N802
        return AccessMode.READ_WRITE if arg.target.logicalName == NOTE else AccessMode.READ

    def onGetMethodAccess(self, arg: Any) -> Any:  # noqa: N802
        del arg
        return MethodAccessMode.ACCESS

    def onFindObject(self, objectType: Any, sn: Any, ln: Any) -> None:  # noqa: N802, N803
        del objectType, sn, ln

    def _nothing(self, *arguments: Any) -> None:
        """Every other hook."""
        del arguments

    onConnected = onDisconnected = onInvalidConnection = _nothing  # noqa: N815
    onPreRead = onPostRead = onPreGet = onPostGet = _nothing  # noqa: N815
    notifyRead = notifyPostRead = notifyWrite = notifyPostWrite = notifyAction = notifyPostAction = _nothing  # noqa: N815
    onPreWrite = onPostWrite = onPreAction = onPostAction = _nothing  # noqa: N815


def objects() -> list[Any]:
    """Name, clock, one register and a day of its load profile."""
    name = GXDLMSData("0.0.42.0.0.255")
    name.value = NAME
    name.setDataType(2, DataType.OCTET_STRING)
    clock = GXDLMSClock("0.0.1.0.0.255")
    clock.time = GXDateTime(FIRST)
    register = GXDLMSRegister("1.0.1.8.0.255")
    register.value, register.scaler, register.unit = REGISTER_COUNT, 10, Unit.ACTIVE_ENERGY
    register.setDataType(2, DataType.UINT32)
    interval = GXDLMSRegister("1.0.1.29.0.255")
    interval.setDataType(2, DataType.UINT32)
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
    profile.capturePeriod, profile.sortObject, profile.profileEntries = 900, clock, ROWS
    profile.captureObjects = [(clock, GXDLMSCaptureObject(2, 0)), (interval, GXDLMSCaptureObject(2, 0))]
    profile.buffer = [[GXDateTime(FIRST + timedelta(seconds=900 * row)), 100 + row] for row in range(ROWS)]
    profile.entriesInUse = ROWS
    note = GXDLMSData(NOTE)
    note.value = 1
    note.setDataType(2, DataType.UINT8)
    return [name, clock, register, interval, profile, note]


def build(auth: str, framing: str, *, ciphered: bool) -> Meter:
    """The meter with its objects."""
    association = GXDLMSAssociationLogicalName()
    association.secret = PASSWORD.encode()
    meter = Meter(association, auth, framing, ciphered=ciphered)
    for item in [association, *objects()]:
        meter.items.append(item)
        association.objectList.append(item)
    meter.initialize()
    return meter


def serve(meter: Meter, connection: socket.socket, *, repaired: bool) -> None:
    """Answer one connection until the other side closes it; say on standard output what the peer's code raises."""
    meter.reset()
    while octets := connection.recv(4096):
        reply = Reply(octets)
        try:
            meter.handleRequest(reply)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test asks
            say({"raised": f"{type(error).__name__}: {error}"})
            return
        if reply.reply:
            answer = bytes(reply.reply)
            connection.sendall(answer.replace(SPOILT_CHALLENGE, SOUND_CHALLENGE) if repaired else answer)


def say(document: dict[str, Any]) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Listen, say where, serve."""
    auth, framing, *options = sys.argv[1:]
    meter = build(auth, framing, ciphered="ciphered" in options)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say({
            "port": listener.getsockname()[1],
            "logical_device_name": NAME.decode(),
            "password": PASSWORD,
            "register_wh": REGISTER_COUNT * 10,
            "first": FIRST.isoformat(),
            "rows": ROWS,
        })  # fmt: skip
        while True:
            connection, _ = listener.accept()
            with connection:
                serve(meter, connection, repaired="repaired" in options)


if __name__ == "__main__":
    main()
