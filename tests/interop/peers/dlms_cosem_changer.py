"""Changes one meter with dlms-cosem: SET and ACTION; prints how each step went."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from dlms_cosem.clients.blocking_tcp_transport import BlockingTcpTransport
from dlms_cosem.clients.dlms_client import DlmsClient
from dlms_cosem.cosem import CosemAttribute, CosemMethod, Obis
from dlms_cosem.enumerations import AuthenticationMechanism, CosemInterface

SHORT, LONG = bytes(range(20)), bytes(number % 251 for number in range(700))


def octet_string(octets: bytes) -> bytes:
    """The A-XDR octets of an octet string."""
    length = bytes([len(octets)]) if len(octets) < 128 else b"\x82" + len(octets).to_bytes(2, "big")
    return b"\x09" + length + octets


class Changer:
    """The steps; each returns what is to be printed."""

    def __init__(self, client: DlmsClient, names: dict[str, str]) -> None:
        self.client = client
        self.note = CosemAttribute(CosemInterface.DATA, Obis.from_string(names["note"]), 2)
        self.echo = CosemMethod(CosemInterface.SCRIPT_TABLE, Obis.from_string(names["echo"]), 1)

    def write(self, octets: bytes) -> Any:
        """SET the value, then GET it: the result's name and the octets."""
        response = self.client.set(self.note, octets)
        return [response.result.name, bytes(self.client.get(self.note)).hex()]

    def act(self, octets: bytes) -> Any:
        """ACTION of the object that returns its parameter."""
        returned = self.client.action(self.echo, octets)
        return bytes(returned).hex() if isinstance(returned, bytes | bytearray) else str(returned)


def steps(changer: Changer) -> dict[str, Callable[[], Any]]:
    """All steps by name."""
    return {
        "set octets": lambda: changer.write(octet_string(SHORT)),
        "set long octets": lambda: changer.write(octet_string(LONG)),
        "action short": lambda: changer.act(octet_string(SHORT)),
        "set refused": lambda: changer.write(b"\x0a\x02no"),
    }


def main() -> None:
    """Carry out the steps that were ordered, each in an association of its own; an error is its text."""
    order = json.loads(sys.stdin.read())
    answer: dict[str, Any] = {}
    for name in order["steps"]:
        transport = BlockingTcpTransport(
            host=order["host"],
            port=order["port"],
            client_logical_address=order["client"],
            server_logical_address=order["server"],
        )
        client = DlmsClient(
            client_logical_address=order["client"],
            server_logical_address=order["server"],
            io_interface=transport,
            authentication_method=AuthenticationMechanism.NONE,
            max_pdu_size=order["max_pdu"],
        )
        client.connect()
        try:
            client.associate()
            answer[name] = steps(Changer(client, order["names"]))[name]()
        except Exception as error:  # noqa: BLE001 - what this peer makes of it is what the test asks
            answer[name] = f"{type(error).__name__}: {error}"
        finally:
            client.disconnect()
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
