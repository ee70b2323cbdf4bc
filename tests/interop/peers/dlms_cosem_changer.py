"""Changes one meter with dlms-cosem: SET and ACTION; prints how each step went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dlms_cosem.clients.dlms_client import DlmsClient
from dlms_cosem.cosem import CosemAttribute, CosemMethod, Obis
from dlms_cosem.enumerations import CosemInterface
from dlms_cosem.utils import parse_as_dlms_data
from dlms_cosem_reader import CountingTransport, client_for
from order import print_answer, read_changes

ASSOCIATION_COUNTERS = 100
"""So many invocation counters are left to each association."""
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
        self.compact = CosemAttribute(CosemInterface.DATA, Obis.from_string(names["compact"]), 2)
        self.echo = CosemMethod(CosemInterface.SCRIPT_TABLE, Obis.from_string(names["echo"]), 1)

    def write(self, octets: bytes) -> Any:
        """SET the value, then GET it: the result's name and the octets."""
        response = self.client.set(self.note, octets)
        return [response.result.name, bytes(self.client.get(self.note)).hex()]

    def act(self, octets: bytes) -> Any:
        """ACTION of the object that returns its parameter."""
        returned = self.client.action(self.echo, octets)
        return bytes(returned).hex() if isinstance(returned, bytes | bytearray) else str(returned)

    def compact_array(self) -> Any:
        """GET of a compact-array, as the peer's parser gives it."""
        return parse_as_dlms_data(self.client.get(self.compact))


def steps(changer: Changer) -> dict[str, Callable[[], Any]]:
    """All steps by name."""
    return {
        "set octets": lambda: changer.write(octet_string(SHORT)),
        "set long octets": lambda: changer.write(octet_string(LONG)),
        "action short": lambda: changer.act(octet_string(SHORT)),
        "set refused": lambda: changer.write(b"\x0a\x02no"),
        "compact array": changer.compact_array,
    }


def main() -> None:
    """Carry out the steps that were ordered, each in an association of its own; an error is its text."""
    order, changes = read_changes()
    answer: dict[str, Any] = {}
    for number, name in enumerate(changes.steps):
        one = replace(order, invocation_counter=order.invocation_counter + ASSOCIATION_COUNTERS * number)
        transport = CountingTransport(one)
        client = client_for(one, transport)
        client.connect()
        try:
            client.associate()
            answer[name] = steps(Changer(client, changes.names))[name]()
            client.release_association()
        except Exception as error:  # noqa: BLE001 - what this peer makes of it is what the test asks
            answer[name] = f"{type(error).__name__}: {error}"
        finally:
            client.disconnect()
    print_answer(answer)


if __name__ == "__main__":
    main()
