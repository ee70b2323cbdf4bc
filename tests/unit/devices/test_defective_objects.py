"""An object with a defect spoils its own answers and nothing else."""

import pytest

from amity.devices.client import AttributeRefusedError, MethodRefusedError, WriteRefusedError, act, get, set_attribute
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import DATA, DISCONNECT_CONTROL
from amity.devices.objects import data_object
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, Method
from amity.protocols.dlms.data import enum, integer, unsigned
from tests.unit.devices.conversing import SERIAL
from tests.unit.devices.equipped import CONTROL, EquippedMeter

DEFECT = Obis.parse("0.0.96.3.10.255")


def broken(*_: object) -> None:
    raise KeyError(1)


def test_a_defect_is_a_hardware_fault_that_the_log_explains(caplog: pytest.LogCaptureFixture):
    sick = StoredObject(
        DISCONNECT_CONTROL, DEFECT, {"output_state": broken, "control_mode": enum(1)},  # type: ignore[dict-item]
        accept={"control_mode": broken}, methods={"remote_disconnect": broken},
    )  # fmt: skip
    visit = EquippedMeter([sick, data_object(SERIAL, unsigned(7))]).visit(CONTROL)
    mode = Attribute(DISCONNECT_CONTROL.class_id, DEFECT, 4)
    with pytest.raises(AttributeRefusedError, match="hardware-fault"):
        visit.lead(get(visit.session, mode._replace(index=2)))
    with pytest.raises(WriteRefusedError, match="hardware-fault"):
        visit.lead(set_attribute(visit.session, mode, enum(2)))
    with pytest.raises(MethodRefusedError, match="hardware-fault"):
        visit.lead(act(visit.session, Method(DISCONNECT_CONTROL.class_id, DEFECT, 1), integer(0)))
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError] * 3
    assert visit.lead(get(visit.session, Attribute(DATA.class_id, SERIAL, 2))) == unsigned(7)
