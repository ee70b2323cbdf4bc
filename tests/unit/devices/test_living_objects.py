"""Parts go on while nobody looks; objects that nobody asks for are never built."""

from datetime import datetime, timedelta

from amity.devices.equipment.living import LateObjects, LivingObjects
from amity.devices.equipment.relay import Relay, disconnect_control
from amity.devices.objects import ObjectTree, data_object
from amity.kernel.obis import Obis
from amity.protocols.dlms.action_service import ActionOutcome
from amity.protocols.dlms.attributes import Attribute, Method
from amity.protocols.dlms.data import double_long_unsigned, enum, integer
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from tests.unit.devices.conversing import NOW, SERIAL

RELAY = Obis.parse("0.0.96.3.10.255")
NOBODY = Obis.parse("0.0.96.99.99.255")
MODE = Attribute(70, RELAY, 4)


class Minutes:
    """Counts the minutes until it was last let go on."""

    def __init__(self) -> None:
        self.count = 0

    def advance(self, now: datetime) -> None:
        self.count = (now - NOW) // timedelta(minutes=1)


def test_whatever_is_asked_parts_have_gone_on_until_then():
    minutes = Minutes()
    shown = data_object(SERIAL, lambda _now: double_long_unsigned(minutes.count))
    model = LivingObjects([shown, disconnect_control(Relay(1))], [minutes])
    assert model.attribute(Attribute(1, SERIAL, 2), None, NOW + timedelta(minutes=5)) == double_long_unsigned(5)
    model.set_attribute(MODE, None, enum(2), NOW + timedelta(minutes=6))
    assert minutes.count == 6
    model.act(Method(70, RELAY, 1), integer(0), NOW + timedelta(minutes=7))
    assert minutes.count == 7


def late() -> tuple[LateObjects, list[str]]:
    built: list[str] = []

    def build() -> LivingObjects:
        built.append("relay")
        return LivingObjects([disconnect_control(Relay(1))], ())

    return LateObjects(ObjectTree([data_object(SERIAL, double_long_unsigned(4711))]), build), built


def test_daily_reading_builds_nothing():
    model, built = late()
    assert model.attribute(Attribute(1, SERIAL, 2), None, NOW) == double_long_unsigned(4711)
    assert model.find(SERIAL) is not None
    assert model.set_attribute(Attribute(1, SERIAL, 2), None, enum(0), NOW) is DataAccessResult.READ_WRITE_DENIED
    assert built == []


def test_what_is_asked_for_is_built_once_and_keeps_its_state():
    model, built = late()
    assert model.set_attribute(MODE, None, enum(4), NOW) is DataAccessResult.SUCCESS
    assert model.act(Method(70, RELAY, 1), integer(0), NOW) == ActionOutcome(ActionResult.SUCCESS)
    assert model.attribute(MODE, None, NOW) == enum(4)
    assert [cosem.obis for cosem in model.objects()] == [SERIAL, RELAY]
    assert built == ["relay"]


def test_what_is_read_every_day_has_gone_on_too_once_the_others_are_there():
    minutes = Minutes()
    shown = data_object(SERIAL, lambda _now: double_long_unsigned(minutes.count))
    model = LateObjects(ObjectTree([shown]), lambda: LivingObjects([disconnect_control(Relay(1))], [minutes]))
    later = NOW + timedelta(minutes=5)
    assert model.attribute(Attribute(1, SERIAL, 2), None, later) == double_long_unsigned(0)
    model.attribute(MODE, None, NOW)
    assert model.attribute(Attribute(1, SERIAL, 2), None, later) == double_long_unsigned(5)


def test_what_nobody_has_is_undefined():
    model, _ = late()
    assert model.find(NOBODY) is None
    assert model.attribute(Attribute(1, NOBODY, 2), None, NOW) is DataAccessResult.OBJECT_UNDEFINED
    assert model.act(Method(70, NOBODY, 1), None, NOW).result is ActionResult.OBJECT_UNDEFINED
