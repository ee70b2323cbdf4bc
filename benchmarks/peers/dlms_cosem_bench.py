"""dlms-cosem at the same work as Amity, in a process of its own: workload in as JSON, CPU seconds out as JSON."""

from __future__ import annotations

import json
import logging
import socket
import sys
from datetime import datetime
from typing import Any

from dlms_cosem.clients.dlms_client import DlmsClient
from dlms_cosem.connection import DlmsConnection
from dlms_cosem.cosem import CosemAttribute, Obis
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.enumerations import AuthenticationMechanism, CosemInterface
from dlms_cosem.parsers import ProfileGenericBufferParser
from dlms_cosem.security import SecurityControlField, decrypt
from dlms_cosem.utils import parse_as_dlms_data
from measure import ClientClock, cpu_seconds, median_session_s, median_whole_session_s

Workload = dict[str, Any]


def attribute(class_id: int, obis: str, index: int) -> CosemAttribute:
    """One COSEM attribute."""
    return CosemAttribute(interface=CosemInterface(class_id), instance=Obis.from_string(obis), attribute=index)


def parser_for(columns: list[list[Any]]) -> ProfileGenericBufferParser:
    """The peer's buffer parser for these capture objects, a quarter of an hour apart."""
    return ProfileGenericBufferParser(capture_objects=[attribute(*column) for column in columns], capture_period=15)


def rows_of(parser: ProfileGenericBufferParser, octets: bytes) -> list[tuple[float, list[Any]]]:
    """Rows as epoch seconds and values."""
    return [(row[0].value.timestamp(), [cell.value for cell in row[1:]]) for row in parser.parse_bytes(octets)]


def profile_s(work: Workload) -> float:
    """The A-XDR octets of a buffer to timestamps and columns."""
    parser, octets = parser_for(work["columns"]), bytes.fromhex(work["octets"])
    assert len(rows_of(parser, octets)) == work["rows"]  # noqa: S101
    return cpu_seconds(lambda: rows_of(parser, octets))


def association_s(work: Workload) -> float:
    """Build an AARQ and parse the AARE."""
    aare = bytes.fromhex(work["aare"])

    def associate() -> None:
        connection = DlmsConnection(
            client_system_title=bytes.fromhex(work["client_title"]),
            global_encryption_key=bytes.fromhex(work["guek"]),
            global_authentication_key=bytes.fromhex(work["gak"]),
            authentication_method=AuthenticationMechanism.HLS_GMAC,
            max_pdu_size=work["max_pdu"],
        )
        connection.send(connection.get_aarq())
        connection.receive_data(aare)
        connection.next_event()

    return cpu_seconds(associate)


def decrypt_s(work: Workload) -> float:
    """The ciphered octets of a GET response, decrypted and verified."""
    arguments = {
        "security_control": SecurityControlField(security_suite=0, authenticated=True, encrypted=True),
        "system_title": bytes.fromhex(work["server_title"]),
        "invocation_counter": work["invocation_counter"],
        "key": bytes.fromhex(work["guek"]),
        "cipher_text": bytes.fromhex(work["cipher_text"]),
        "auth_key": bytes.fromhex(work["gak"]),
    }
    assert len(decrypt(**arguments)) > work["plain_octets"]  # noqa: S101
    return cpu_seconds(lambda: decrypt(**arguments))


class PausingTransport:
    """A transport whose waiting and system calls are not the client's work."""

    def __init__(self, work: Workload, clock: ClientClock) -> None:
        self.work = work
        self.clock = clock
        self.header = (1).to_bytes(2, "big") + work["client"].to_bytes(2, "big") + work["server"].to_bytes(2, "big")

    def connect(self) -> None:
        """Open the connection."""
        self.connection = socket.create_connection((self.work["host"], self.work["port"]))

    def disconnect(self) -> None:
        """Close the connection."""
        self.connection.close()

    def send(self, bytes_to_send: bytes) -> bytes:
        """One APDU out, one in."""
        frame = self.header + len(bytes_to_send).to_bytes(2, "big") + bytes_to_send
        self.clock.pause()
        answer = exchange(self.connection, frame)
        self.clock.run()
        return answer[8:]


def exchange(connection: socket.socket, frame: bytes) -> bytes:
    """One wrapper frame out, one in."""
    connection.sendall(frame)
    answer = connection.recv(65536)
    while len(answer) < 8 or len(answer) < 8 + int.from_bytes(answer[6:8], "big"):
        answer += connection.recv(65536)
    return answer


def run_session(work: Workload, clock: ClientClock) -> int:
    """Associate, one register, the day's profile, release: the number of rows."""
    transport = PausingTransport(work, clock)
    client = DlmsClient(
        client_logical_address=work["client"],
        server_logical_address=work["server"],
        io_interface=transport,
        authentication_method=AuthenticationMechanism.HLS_GMAC,
        encryption_key=bytes.fromhex(work["guek"]),
        authentication_key=bytes.fromhex(work["gak"]),
        client_system_title=bytes.fromhex(work["client_title"]),
        client_initial_invocation_counter=next(COUNTERS),
        max_pdu_size=work["max_pdu"],
    )
    start, end = (datetime.fromisoformat(at) for at in work["range"])
    transport.connect()
    clock.run()
    client.associate()
    parse_as_dlms_data(client.get(attribute(3, work["register"], 2)))
    selection = RangeDescriptor(CaptureObject(attribute(*work["columns"][0])), start, end)
    octets = client.get(attribute(7, work["profile"], 2), access_descriptor=selection)
    rows = rows_of(parser_for(work["columns"]), octets)
    client.release_association()
    clock.pause()
    transport.disconnect()
    return len(rows)


def session_s(work: Workload) -> float:
    """Median of whole sessions."""
    assert run_session(work, ClientClock()) == work["rows"]  # noqa: S101
    return median_session_s(lambda clock: run_session(work, clock), work["sessions"])


def whole_session_s(work: Workload) -> float:
    """The same with connecting, sockets and system calls."""
    return median_whole_session_s(lambda clock: run_session(work, clock), work["sessions"])


COUNTERS = iter(range(1_000_000_000, 4_000_000_000, 1000))
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
    logging.disable()  # the peer logs as it works
    print(json.dumps({name: JOBS[name](work) for name, work in workload.items()}))


if __name__ == "__main__":
    main()
