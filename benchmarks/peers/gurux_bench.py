"""gurux-dlms at the same work as Amity, in a process of its own: workload in as JSON, CPU seconds out as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType, Security
from gurux_dlms.objects import GXDLMSCaptureObject, GXDLMSClock, GXDLMSProfileGeneric, GXDLMSRegister
from gurux_dlms.secure import GXDLMSSecureClient
from measure import ClientClock, cpu_seconds, median_session_s, median_whole_session_s

Workload = dict[str, Any]


def ciphered_client(keys: Workload, interface: InterfaceType) -> GXDLMSSecureClient:
    """A client with HLS-GMAC, authenticated and encrypted."""
    client = GXDLMSSecureClient(True, keys["client"], keys["server"], Authentication.HIGH_GMAC, None, interface)
    client.maxReceivePDUSize = keys["max_pdu"]
    client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    client.ciphering.systemTitle = bytes.fromhex(keys["client_title"])
    client.ciphering.blockCipherKey = bytes.fromhex(keys["guek"])
    client.ciphering.authenticationKey = bytes.fromhex(keys["gak"])
    return client


def buffer_object(columns: list[list[Any]]) -> GXDLMSProfileGeneric:
    """The profile with its capture objects as a reader has them after reading attribute 3."""
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
    for class_id, obis, attribute in columns:
        item = GXDLMSClock(obis) if class_id == 8 else GXDLMSRegister(obis)
        profile.captureObjects.append((item, GXDLMSCaptureObject(attribute, 0)))
    return profile


def rows_of(client: GXDLMSSecureClient, profile: GXDLMSProfileGeneric, value: Any) -> list[tuple[float, list[Any]]]:
    """Rows as epoch seconds and values."""
    profile.buffer.clear()
    client.updateValue(profile, 2, value)
    return [(row[0].value.timestamp(), row[1:]) for row in profile.buffer]


def profile_s(work: Workload) -> float:
    """The A-XDR octets of a buffer to timestamps and columns."""
    client = GXDLMSSecureClient(True)
    profile = buffer_object(work["columns"])
    octets = bytes.fromhex(work["octets"])
    assert len(rows_of(client, profile, client.getValue(GXByteBuffer(octets), False))) == work["rows"]  # noqa: S101
    return cpu_seconds(lambda: rows_of(client, profile, client.getValue(GXByteBuffer(octets), False)))


def association_s(work: Workload) -> float:
    """Build an AARQ and parse the AARE."""
    aare = bytes.fromhex(work["aare"])

    def associate() -> None:
        client = ciphered_client(work, InterfaceType.PDU)
        client.aarqRequest()
        reply = GXReplyData()
        client.getData(GXByteBuffer(aare), reply, GXReplyData())
        client.parseAareResponse(reply.data)

    return cpu_seconds(associate)


def decrypt_s(work: Workload) -> float:
    """A ciphered GET response through the client's parser."""
    client = ciphered_client(work, InterfaceType.PDU)
    client.ciphering.recipientSystemTitle = None
    client.settings.sourceSystemTitle = bytes.fromhex(work["server_title"])
    apdu = bytes.fromhex(work["apdu"])

    def decrypt() -> Any:
        reply = GXReplyData()
        client.getData(GXByteBuffer(apdu), reply, GXReplyData())
        return reply.value

    assert len(decrypt()) == work["plain_octets"]  # noqa: S101
    return cpu_seconds(decrypt)


class Session:
    """One whole session against the meter of the workload; the clock runs only inside the peer's own code."""

    def __init__(self, work: Workload, clock: ClientClock) -> None:
        self.work = work
        self.clock = clock
        self.client = ciphered_client(work, InterfaceType.WRAPPER)
        self.client.ciphering.invocationCounter = next(COUNTERS)

    def ask(self, frames: Any) -> GXReplyData:
        """Send one request and parse its answer, block by block."""
        reply = GXReplyData()
        for frame in frames if isinstance(frames, list) else [frames]:
            reply.clear()
            self._exchange(frame, reply)
            while reply.isMoreData():
                self._exchange(self.client.receiverReady(reply), reply)
        return reply

    def _exchange(self, frame: bytes, reply: GXReplyData) -> None:
        self.clock.pause()
        answer = exchange(self.connection, frame)
        self.clock.run()
        self.client.getData(GXByteBuffer(answer), reply, GXReplyData())
        if reply.error:
            raise ConnectionError(reply.getErrorMessage())

    def run(self) -> int:
        """Associate, one register, the day's profile, release: the number of rows."""
        client, work = self.client, self.work
        with socket.create_connection((work["host"], work["port"])) as self.connection:
            self.clock.run()
            client.parseAareResponse(self.ask(client.aarqRequest()).data)
            client.parseApplicationAssociationResponse(self.ask(client.getApplicationAssociationRequest()).data)
            register = GXDLMSRegister(work["register"])
            client.updateValue(register, 2, self.ask(client.read(register, 2)).value)
            profile = buffer_object(work["columns"])
            reply = self.ask(client.readRowsByRange(profile, *(datetime.fromisoformat(at) for at in work["range"])))
            rows = rows_of(client, profile, reply.value)
            self.ask(client.releaseRequest())
            self.clock.pause()
        return len(rows)


def exchange(connection: socket.socket, frame: bytes) -> bytes:
    """One wrapper frame out, one in."""
    connection.sendall(frame)
    answer = connection.recv(65536)
    while len(answer) < 8 or len(answer) < 8 + int.from_bytes(answer[6:8], "big"):
        answer += connection.recv(65536)
    return answer


def session_s(work: Workload) -> float:
    """Median of whole sessions."""
    assert Session(work, ClientClock()).run() == work["rows"]  # noqa: S101
    return median_session_s(lambda clock: Session(work, clock).run(), work["sessions"])


def whole_session_s(work: Workload) -> float:
    """The same with connecting, sockets and system calls."""
    return median_whole_session_s(lambda clock: Session(work, clock).run(), work["sessions"])


COUNTERS = iter(range(1_000_000, 2_000_000_000, 1000))
JOBS = {
    "profile": profile_s,
    "association": association_s,
    "decrypt": decrypt_s,
    "session": session_s,
    "session over TCP": whole_session_s,
}


def main() -> None:
    """Every job of the workload."""
    workload = json.load(sys.stdin)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):  # the peer prints as it works
        seconds = {name: JOBS[name](work) for name, work in workload.items()}
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
