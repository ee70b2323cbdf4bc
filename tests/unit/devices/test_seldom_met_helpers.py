"""Helpers for classes that few meters have (65, 68, 122 to 124), against objects that only these tests need."""

from collections.abc import Callable
from datetime import datetime

import pytest

from amity.devices.client import MethodRefusedError
from amity.devices.client.arbitration import ARBITRATOR_OBIS, read_arbitration, request_action
from amity.devices.client.array_manager import (
    ARRAY_MANAGER_OBIS,
    insert_entry,
    read_entries,
    read_managed_arrays,
    remove_entries,
    update_entry,
)
from amity.devices.client.function_control import FUNCTION_CONTROL_OBIS, read_functions, switch_functions
from amity.devices.client.parameter_monitor import (
    PARAMETER_MONITOR_OBIS,
    read_last_change,
    read_watched,
    unwatch_parameter,
    watch_parameter,
)
from amity.devices.client.port_protection import PortStatus, read_port_protection, unlock_port
from amity.devices.cosem import fields
from amity.devices.cosem.limits import MonitoredValue, ScriptCall
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import (
    ARBITRATOR,
    ARRAY_MANAGER,
    FUNCTION_CONTROL,
    PARAMETER_MONITOR,
    PORT_PROTECTION,
)
from amity.devices.objects import NOT_SPECIFIED_TIME
from amity.kernel.errors import ConfigurationError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.action_service import ActionOutcome
from amity.protocols.dlms.data import (
    Data,
    array,
    bit_string,
    boolean,
    double_long_unsigned,
    enum,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from amity.protocols.dlms.results import ActionResult
from amity.protocols.dlms.selective_access import Access
from tests.unit.devices.conversing import IMPORT, NOW
from tests.unit.devices.equipped import CONTROL, MANAGEMENT, EquippedMeter

THRESHOLD, PERIOD = MonitoredValue(71, Obis.parse("0.0.17.0.0.255"), 4), MonitoredValue(5, IMPORT, 8)
PORT = Obis.parse("0.0.44.2.0.255")
SERIAL_PORT = Obis.parse("0.0.22.0.0.255")


# ------------------------------------------------------------------ parameter monitor
def monitoring(captured: Data) -> EquippedMeter:
    watched = [THRESHOLD]

    def remove(value: Data, _now: datetime) -> ActionResult:
        parameter = MonitoredValue.from_data(value)
        if parameter not in watched:
            return ActionResult.OTHER_REASON
        watched.remove(parameter)
        return ActionResult.SUCCESS

    changed = structure(*THRESHOLD.to_data().items, double_long_unsigned(4711))
    return EquippedMeter(
        [
            StoredObject(
                PARAMETER_MONITOR,
                PARAMETER_MONITOR_OBIS,
                {
                    "changed_parameter": changed,
                    "capture_time": captured,
                    "parameter_list": lambda _now: array(one.to_data() for one in watched),
                },
                methods={
                    "add_parameter": lambda value, _now: watched.append(MonitoredValue.from_data(value)),
                    "delete_parameter": remove,
                },
            )
        ]
    )


def test_parameters_are_watched_and_no_longer_watched():
    visit = monitoring(fields.instant(NOW)).visit(MANAGEMENT)
    visit.lead(watch_parameter(visit.session, PERIOD))
    assert visit.lead(read_watched(visit.session)) == (THRESHOLD, PERIOD)
    visit.lead(unwatch_parameter(visit.session, THRESHOLD))
    assert visit.lead(read_watched(visit.session)) == (PERIOD,)
    with pytest.raises(MethodRefusedError):
        visit.lead(unwatch_parameter(visit.session, THRESHOLD))


@pytest.mark.parametrize(("captured", "at"), [(fields.instant(NOW), NOW), (octet_string(NOT_SPECIFIED_TIME), None)])
def test_the_last_change_says_what_and_when(captured: Data, at: datetime | None):
    visit = monitoring(captured).visit(MANAGEMENT)
    change = visit.lead(read_last_change(visit.session))
    assert (change.parameter, change.value, change.at) == (THRESHOLD, double_long_unsigned(4711), at)


# ------------------------------------------------------------------ arbitrator
def arbitrating() -> tuple[EquippedMeter, list[tuple[int, str]]]:
    requests: list[tuple[int, str]] = []

    def decide(value: Data, _now: datetime) -> None:
        actor, wanted = fields.parts(value, 2, "request")
        requests.append((fields.number(actor, "actor"), fields.bits(wanted, "actions")))

    scripts = array(ScriptCall(DISCONNECT_SCRIPTS, number).to_data() for number in (1, 2))
    return EquippedMeter(
        [
            StoredObject(
                ARBITRATOR,
                ARBITRATOR_OBIS,
                {
                    "actions": scripts,
                    "permissions_table": array((bit_string("11"), bit_string("01"))),
                    "last_outcome": lambda _now: unsigned(requests[-1][1].find("1") + 1 if requests else 0),
                },
                methods={"request_action": decide},
            )
        ]
    ), requests


def test_an_actor_asks_for_what_it_may():
    meter, requests = arbitrating()
    visit = meter.visit(CONTROL)
    assert visit.lead(read_arbitration(visit.session)).outcome == 0
    assert visit.lead(request_action(visit.session, 1, [2])).outcome == 2
    assert requests == [(1, "01")]


@pytest.mark.parametrize(("actor", "action"), [(1, 1), (2, 1), (0, 3)])
def test_what_an_actor_may_not_is_not_even_asked_for(actor: int, action: int):
    meter, requests = arbitrating()
    visit = meter.visit(CONTROL)
    with pytest.raises(ConfigurationError, match="may not ask"):
        visit.lead(request_action(visit.session, actor, [action]))
    assert requests == []


# ------------------------------------------------------------------ function control
def functional() -> EquippedMeter:
    functions = {b"PUSH": True, b"RELAY": False}

    def switch(value: Data, _now: datetime) -> None:
        for entry in value.items:
            name, on = fields.parts(entry, 2, "function")
            functions[fields.octets(name, "name")] = fields.flag(on, "status")

    def status(_now: datetime) -> Data:
        return array(structure(octet_string(name), boolean(on)) for name, on in functions.items())

    values = {"activation_status": status, "function_list": array(())}
    return EquippedMeter(
        [StoredObject(FUNCTION_CONTROL, FUNCTION_CONTROL_OBIS, values, methods={"set_function_status": switch})]
    )


def test_functions_are_switched_by_name():
    visit = functional().visit(MANAGEMENT)
    assert visit.lead(switch_functions(visit.session, {b"RELAY": True})) == {b"PUSH": True, b"RELAY": True}
    assert visit.lead(read_functions(visit.session))[b"RELAY"]
    with pytest.raises(ConfigurationError, match="PULL") as caught:
        visit.lead(switch_functions(visit.session, {b"PULL": True, b"PUSH": False}))
    assert "PUSH, RELAY" in str(caught.value.next_step)
    assert visit.lead(read_functions(visit.session))[b"PUSH"]


# ------------------------------------------------------------------ array manager
class Managed:
    """An array manager of one array; unlike other objects its methods give something back."""

    interface = ARRAY_MANAGER
    obis = ARRAY_MANAGER_OBIS
    writable_attributes: frozenset[int] = frozenset()
    offered_methods = frozenset(range(1, 6))

    def __init__(self, count: int, *, loses: int = 0) -> None:
        self.entries = [unsigned(number) for number in range(1, count + 1)]
        self.loses = loses

    def attribute(self, _index: int, _access: Access | None, _now: datetime) -> Data:
        return array((structure(unsigned(3), THRESHOLD.to_data()),))

    def set_attribute(self, *_: object) -> None:
        raise AssertionError

    def act(self, index: int, parameters: Data | None, _now: datetime) -> ActionOutcome:
        given = None if parameters is None else parameters
        assert given is not None
        does: dict[int, Callable[..., Data | None]] = {2: self._some, 3: self._insert, 4: self._update, 5: self._remove}
        if index == 1:
            return ActionOutcome(ActionResult.SUCCESS, long_unsigned(len(self.entries)))
        first, second = given.items[1].items
        return ActionOutcome(ActionResult.SUCCESS, does[index](first.value, second))

    def _some(self, first: int, last: Data) -> Data:
        return array(self.entries[first - 1 : last.value - self.loses])  # type: ignore[operator]

    def _insert(self, before: int, entry: Data) -> None:
        self.entries.insert(before - 1, entry)

    def _update(self, place: int, entry: Data) -> None:
        self.entries[place - 1] = entry

    def _remove(self, first: int, last: Data) -> None:
        del self.entries[first - 1 : last.value]  # type: ignore[misc]


@pytest.mark.parametrize("count", [0, 1, 16, 17, 40])
def test_entries_are_read_some_at_a_time(count: int):
    managed = Managed(count)
    visit = EquippedMeter([managed]).visit(MANAGEMENT)
    assert visit.lead(read_managed_arrays(visit.session)) == {3: THRESHOLD}
    assert visit.lead(read_entries(visit.session, 3)) == tuple(managed.entries)


def test_single_entries_are_inserted_replaced_and_removed():
    managed = Managed(4)
    visit = EquippedMeter([managed]).visit(MANAGEMENT)
    visit.lead(insert_entry(visit.session, 3, 1, unsigned(90)))
    visit.lead(update_entry(visit.session, 3, 2, unsigned(91)))
    visit.lead(remove_entries(visit.session, 3, 3, 4))
    assert [entry.value for entry in managed.entries] == [90, 91, 4]


def test_entries_that_do_not_come_are_noticed():
    visit = EquippedMeter([Managed(4, loses=1)]).visit(MANAGEMENT)
    with pytest.raises(RemoteProtocolError, match="4 entries were asked for and 3 came"):
        visit.lead(read_entries(visit.session, 3))


# ------------------------------------------------------------------ port protection
def test_a_locked_port_is_unlocked():
    failed = [5]

    def reset(_value: Data, _now: datetime) -> None:
        failed[0] = 0

    values = {
        "port_reference": octet_string(bytes(SERIAL_PORT)),
        "protection_status": lambda _now: enum(PortStatus.LOCKED if failed[0] else PortStatus.UNLOCKED),
        "failed_attempts": lambda _now: double_long_unsigned(failed[0]),
        "cumulative_failed_attempts": double_long_unsigned(9),
        "allowed_failed_attempts": long_unsigned(3),
    }
    visit = EquippedMeter([StoredObject(PORT_PROTECTION, PORT, values, methods={"reset": reset})]).visit(MANAGEMENT)
    before = visit.lead(read_port_protection(visit.session, PORT))
    assert (before.port, before.status, before.failed, before.failed_ever) == (SERIAL_PORT, PortStatus.LOCKED, 5, 9)
    assert visit.lead(unlock_port(visit.session, PORT)).status is PortStatus.UNLOCKED
