"""Scripts (class 9): numbered things a meter can be told to do, by the head-end or by another object of its own."""

from collections.abc import Callable, Mapping
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import SCRIPT_TABLE
from amity.kernel.obis import Obis
from amity.protocols.dlms.attributes import Method
from amity.protocols.dlms.data import Data, array, enum, integer, long_unsigned, octet_string, structure
from amity.protocols.dlms.results import ActionResult

DISCONNECT_SCRIPTS = Obis.parse("0.0.10.0.106.255")
"""The disconnect control script table: 1 disconnects, 2 reconnects (IEC 62056-6-2, 6.2.7)."""

_EXECUTE = 2  # service_id of an action that calls a method
Script = Callable[[datetime], object]


class Scripts:
    """Every script table of a meter; other objects run scripts through it."""

    def __init__(self, tables: Mapping[Obis, Mapping[int, tuple[Method, Script]]]) -> None:
        self._tables = tables

    def run(self, table: Obis, selector: int, now: datetime) -> bool:
        """Run a script; False when there is none of that number."""
        found = self._tables.get(table, {}).get(selector)
        if found is None:
            return False
        found[1](now)
        return True

    def objects(self) -> list[StoredObject]:
        """The script tables as class 9."""
        return [self._object(table) for table in self._tables]

    def _object(self, table: Obis) -> StoredObject:
        def execute(parameter: Data, now: datetime) -> ActionResult:
            known = self.run(table, fields.number(parameter, "script number"), now)
            return ActionResult.SUCCESS if known else ActionResult.OTHER_REASON

        scripts = array(_script(number, method) for number, (method, _) in self._tables[table].items())
        return StoredObject(SCRIPT_TABLE, table, {"scripts": scripts}, methods={"execute": execute})


def _script(number: int, method: Method) -> Data:
    action = structure(
        enum(_EXECUTE), long_unsigned(method.class_id), octet_string(bytes(method.obis)),
        integer(method.index), integer(0),
    )  # fmt: skip
    return structure(long_unsigned(number), array((action,)))
