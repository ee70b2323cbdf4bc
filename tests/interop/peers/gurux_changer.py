"""Changes one meter with gurux-dlms: SET, ACTION, lists, long values, parts of a profile; prints how each step went."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from gurux_dlms import GXDLMSAccessItem, GXReplyData
from gurux_dlms.enums import AccessServiceCommandType, Conformance, DataType
from gurux_dlms.objects import GXDLMSData, GXDLMSProfileGeneric, GXDLMSRegister, GXDLMSScriptTable
from gurux_reader import Conversation, associate, cell_json, client_for, set_up_link, take_down_link
from order import print_answer, read_changes

SPECIFIC_BLOCKS = (
    Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
)
SHORT, LONG = bytes(range(20)), bytes(number % 251 for number in range(700))
VALUES: dict[str, tuple[DataType, Any]] = {
    "boolean": (DataType.BOOLEAN, True),
    "integer": (DataType.INT8, -5),
    "long": (DataType.INT16, -300),
    "double-long": (DataType.INT32, -70_000),
    "long64": (DataType.INT64, -(1 << 40)),
    "unsigned": (DataType.UINT8, 200),
    "long-unsigned": (DataType.UINT16, 60_000),
    "double-long-unsigned": (DataType.UINT32, 4_000_000_000),
    "long64-unsigned": (DataType.UINT64, 1 << 60),
    "enum": (DataType.ENUM, 7),
    "float32": (DataType.FLOAT32, 1.5),
    "float64": (DataType.FLOAT64, 2.25),
    "visible-string": (DataType.STRING, "Amity"),
    "utf8-string": (DataType.STRING_UTF8, "Größe"),
}


class Changer:
    """The steps; each returns what is to be printed."""

    def __init__(self, conversation: Conversation, names: dict[str, str]) -> None:
        self.conversation = conversation
        self.client = conversation.client
        self.names = names

    def write(self, name: str, kind: DataType, value: Any) -> Any:
        """SET the value, then GET it."""
        item = GXDLMSData(self.names[name])
        item.value = value
        item.setDataType(2, kind)
        self.conversation.ask(self.client.write(item, 2))
        return self.conversation.read(GXDLMSData(self.names[name]), 2)

    def write_list(self) -> Any:
        """SET with-list of two values."""
        items = []
        for name, value in (("note", 11), ("other_note", 22)):
            item = GXDLMSData(self.names[name])
            item.value = value
            item.setDataType(2, DataType.UINT8)
            items.append(GXDLMSAccessItem(AccessServiceCommandType.SET, item, 2))
        self.conversation.ask(self.client.writeList(items))
        return [self.conversation.read(GXDLMSData(self.names[name]), 2) for name in ("note", "other_note")]

    def act(self, value: bytes) -> Any:
        """ACTION of the object that returns its parameter; where that came in blocks, the octets the peer joined."""
        item = GXDLMSScriptTable(self.names["echo"])
        reply: GXReplyData = self.conversation.ask(self.client.method(item, 1, value, DataType.OCTET_STRING))
        return reply.value if reply.value is not None else bytes(reply.data.array())

    def rows(self, how: Callable[[GXDLMSProfileGeneric, list[Any]], Any]) -> Any:
        """Rows of the profile with its first two columns."""
        profile = GXDLMSProfileGeneric(self.names["profile"])
        self.conversation.read(profile, 3)
        columns = profile.captureObjects[:2]
        reply = self.conversation.ask(how(profile, columns))
        profile.captureObjects = columns
        self.client.updateValue(profile, 2, reply.value)
        return [[cell_json(cell) for cell in row] for row in profile.buffer]

    def access(self) -> Any:
        """ACCESS: set, then get."""
        item = GXDLMSData(self.names["note"])
        item.value = 33
        item.setDataType(2, DataType.UINT8)
        parts = [
            GXDLMSAccessItem(AccessServiceCommandType.SET, item, 2),
            GXDLMSAccessItem(AccessServiceCommandType.GET, GXDLMSRegister(self.names["register"]), 2),
        ]
        reply = self.conversation.ask(self.client.accessRequest(None, parts))
        self.client.parseAccessResponse(parts, reply.data)
        return [int(part.error) for part in parts] + [parts[1].value]


def steps(changer: Changer) -> dict[str, Callable[[], Any]]:
    """All steps by name."""
    client = changer.client
    return {
        **{f"set {name}": (lambda one=one: changer.write("note", *one)) for name, one in VALUES.items()},
        "set octets": lambda: changer.write("note", DataType.OCTET_STRING, SHORT),
        "set long octets": lambda: changer.write("note", DataType.OCTET_STRING, LONG),
        "set refused": lambda: changer.write("note", DataType.STRING, "no"),
        "set list": changer.write_list,
        "action short": lambda: changer.act(SHORT),
        "action long": lambda: changer.act(LONG),
        "compact array": lambda: changer.conversation.read(GXDLMSData(changer.names["compact"]), 2),
        "entries": lambda: changer.rows(lambda profile, columns: client.readRowsByEntry(profile, 2, 3, columns)),
        "access": changer.access,
    }


def printable(value: Any) -> Any:
    """Octets as hexadecimal, anything else as it is."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if isinstance(value, list | tuple):
        return [printable(one) for one in value]
    return value if isinstance(value, int | float | str | bool | type(None)) else str(value)


def main() -> None:
    """Carry out the steps that were ordered, in one association; an error is its text."""
    order, changes = read_changes()
    client = client_for(order)
    client.autoIncreaseInvokeID = True
    general = Conformance.GENERAL_BLOCK_TRANSFER
    client.proposedConformance &= ~(SPECIFIC_BLOCKS if changes.general else general)
    if changes.general:
        client.proposedConformance |= general
    with socket.create_connection((order.host, order.port), timeout=5) as connection:
        conversation = Conversation(client, connection)
        set_up_link(conversation, order)
        associate(conversation, order)
        known = steps(Changer(conversation, changes.names))
        answer: dict[str, Any] = {"granted": int(client.negotiatedConformance)}
        for name in changes.steps or known:
            try:
                answer[name] = printable(known[name]())
            except Exception as error:  # noqa: BLE001 - what this peer makes of it is what the test asks
                answer[name] = f"{type(error).__name__}: {error}"
        take_down_link(conversation, order)
    print_answer(answer)


if __name__ == "__main__":
    main()
