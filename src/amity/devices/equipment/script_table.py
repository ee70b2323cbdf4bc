"""Scripts (class 9): numbered things a meter can be told to do, by the head-end or by another object of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from amity.devices.cosem import fields
from amity.devices.cosem.limits import ScriptCall
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import SCRIPT_TABLE, Role, newest_version
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, enum, integer, long_unsigned, octet_string, structure
from amity.protocols.dlms.results import ActionResult

DISCONNECT_SCRIPTS = Obis.parse("0.0.10.0.106.255")
"""The disconnect control script table: 1 disconnects, 2 reconnects (IEC 62056-6-2, 6.2.7)."""

Script = Callable[[datetime], object]
Run = Callable[[ScriptCall, datetime], object]
"""Runs a script at an instant."""


class Service(IntEnum):
    """service_id of an action: what is done to the object it names."""

    WRITE = 1
    EXECUTE = 2


@dataclass(frozen=True, slots=True)
class Action:
    """What a script says it does, and the doing of it."""

    service: Service
    class_id: int
    obis: Obis
    index: int
    parameter: Data
    run: Script

    @property
    def needs_control(self) -> bool:
        """True when only control may do by hand what this does."""
        touched = newest_version(self.class_id)
        return touched is not None and touched.changed_by is Role.CONTROL

    def to_data(self) -> Data:
        """The action specification as it travels."""
        return structure(
            enum(self.service), long_unsigned(self.class_id), octet_string(bytes(self.obis)),
            integer(self.index), self.parameter,
        )  # fmt: skip


class Scripts:
    """Every script table of a meter; other objects run scripts through it, with the rights of who writes them.

    A table with a script that touches what control alone may change is control's as a whole.
    """

    def __init__(self, tables: Mapping[Obis, Mapping[int, Action]]) -> None:
        self._tables = tables

    def run(self, call: ScriptCall, now: datetime) -> bool:
        """Run a script for what control has written; False when there is none of that number."""
        found = self._find(call)
        if found is None:
            return False
        found.run(now)
        return True

    def run_for_management(self, call: ScriptCall, now: datetime) -> bool:
        """As `run`, for what management has written; False also for a script that needs control's rights."""
        found = self._find(call)
        return found is not None and not found.needs_control and self.run(call, now)

    def _find(self, call: ScriptCall) -> Action | None:
        return self._tables.get(call.table, {}).get(call.selector)

    def objects(self) -> list[StoredObject]:
        """The script tables as class 9."""
        return [self._object(table) for table in self._tables]

    def _object(self, table: Obis) -> StoredObject:
        def execute(parameter: Data, now: datetime) -> ActionResult:
            known = self.run(ScriptCall(table, fields.number(parameter, "script number")), now)
            return ActionResult.SUCCESS if known else ActionResult.OTHER_REASON

        scripts = array(
            structure(long_unsigned(number), array((action.to_data(),)))
            for number, action in self._tables[table].items()
        )
        controlled = any(action.needs_control for action in self._tables[table].values())
        interface = SCRIPT_TABLE._replace(changed_by=Role.CONTROL) if controlled else SCRIPT_TABLE
        return StoredObject(interface, table, {"scripts": scripts}, methods={"execute": execute})
