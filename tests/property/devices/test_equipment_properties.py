"""Whatever a client writes to the parts of a meter or calls: an answer, and every attribute still encodes."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from amity.devices.cosem.calendar import Calendar, DayAction
from amity.devices.cosem.limits import MonitoredValue, ScriptCall
from amity.devices.cosem.mbus import MBusIdentity
from amity.devices.cosem.payment import ChargeType, CreditConfiguration, CreditType, TokenStatus, UnitCharge
from amity.devices.equipment.action_schedule import ActionSchedule, single_action_schedule
from amity.devices.equipment.activity_calendar import ActivityCalendar, activity_calendar, special_days_table
from amity.devices.equipment.clock import AdjustableClock, clock_object
from amity.devices.equipment.compact_data import CompactData, compact_data
from amity.devices.equipment.image_store import ImageStore, image_transfer
from amity.devices.equipment.limiter import Limiter, Limits, limiter_object
from amity.devices.equipment.living import LivingObjects
from amity.devices.equipment.mbus_client import MBusChannel, SubMeter, mbus_client, mbus_value
from amity.devices.equipment.payment_objects import payment_objects
from amity.devices.equipment.prepayment import Account, Charge, Credit
from amity.devices.equipment.push_setup import push_setup_object, to_tcp
from amity.devices.equipment.register_activation import ActiveRegisters, register_activation
from amity.devices.equipment.register_monitor import RegisterMonitor, register_monitor
from amity.devices.equipment.relay import Relay, disconnect_control
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS, Action, Scripts, Service
from amity.devices.equipment.stored import StoredObject
from amity.devices.equipment.token_gateway import TokenGateway, TokenVerdict, token_gateway
from amity.devices.objects import CaptureObject
from amity.devices.profiles import CLOCK_OBIS
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.action_service import ActionOutcome
from amity.protocols.dlms.attributes import Attribute, Method
from amity.protocols.dlms.data import Data, Tag, boolean, double_long_unsigned, encode, integer, octet_string
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.results import DataAccessResult
from tests.property.protocols.strategies import WHOLE, leaves, values
from tests.unit.devices.conversing import IMPORT, NOW

Draw = Callable[[st.SearchStrategy[Any]], Any]
POWER = MonitoredValue(3, Obis.parse("1.0.1.7.0.255"), 2)
OPEN = ScriptCall(DISCONNECT_SCRIPTS, 1)


def equipment() -> tuple[list[StoredObject], LivingObjects]:
    """One of everything, wired to each other as in a meter."""
    relay = Relay(6)
    scripts = Scripts({DISCONNECT_SCRIPTS: {1: Action(Service.EXECUTE, 70, IMPORT, 1, integer(0), lambda _: None)}})
    clock = AdjustableClock(lambda now: now)
    store = ImageStore(lambda _: b"", lambda *_: True, block_octets=8, verification_s=5)
    limits = Limits(POWER, 1000, 500, over=OPEN)
    limiter = Limiter(limits, lambda at: at.minute * 50, scripts.run, NOW)
    waits = CreditConfiguration.CONFIRMATION_NEEDED | CreditConfiguration.PAID_BACK
    account = Account(
        [Credit(CreditType.TOKEN, 1, 100), Credit(CreditType.EMERGENCY, 2, preset=50, configuration=waits)],
        [
            Charge(ChargeType.CONSUMPTION, 1, UnitCharge(30, commodity_scale=3)),
            Charge(ChargeType.TIME, 2, UnitCharge(5), period_s=3600, continuous=False, remaining=50),
            Charge(ChargeType.PAYMENT_EVENT, 3, UnitCharge(0), proportion=1000),
        ],
        lambda at: int((at - NOW).total_seconds()),
        NOW,
        relay,
    )
    gateway = TokenGateway(account, lambda token: TokenVerdict(TokenStatus(len(token) % 9), 1 << 30))
    channel = MBusChannel(
        1, SubMeter(MBusIdentity("00000001", "AMY", 1, 3), lambda _: 7, 0, Unit.COUNT, b"", lambda key: key)
    )
    calendar = ActivityCalendar(Calendar.same_every_day(b"C", [DayAction(time(6), OPEN)]), scripts.run, NOW)
    schedule = ActionSchedule(scripts.run, NOW)
    monitor = RegisterMonitor(POWER, lambda _, at: at.minute * 50, scripts.run, NOW)
    compact = CompactData([CaptureObject(3, IMPORT, 2)], lambda *_: double_long_unsigned(4711))
    masks = ActiveRegisters({b"T1": IMPORT, b"T2": IMPORT}, b"T1", lambda *_: None)
    objects = [
        activity_calendar(calendar), special_days_table(calendar), single_action_schedule(schedule),
        register_monitor(monitor), compact_data(compact), register_activation(masks),
        disconnect_control(relay), image_transfer(store), limiter_object(limiter), *scripts.objects(),
        clock_object(clock, CLOCK_OBIS, _shown, deviation_min=-60),
        push_setup_object(to_tcp([CaptureObject(3, IMPORT, 2)], "192.0.2.1:4059"), Obis.parse("0.0.25.9.0.255")),
        mbus_client(channel), mbus_value(channel), *payment_objects(account, "EUR"), token_gateway(gateway),
    ]  # fmt: skip
    return objects, LivingObjects(objects, [calendar, schedule, monitor, limiter, account, store])


def _shown(shows: datetime, _now: datetime) -> Data:
    return octet_string(CosemDateTime.from_utc(shows, -60).to_octets())


def leaves_of(tag: Tag) -> st.SearchStrategy[Data]:
    """Values of one type that is no sequence."""
    if tag in WHOLE:
        return st.integers(*WHOLE[tag]).map(lambda number: Data(tag, number))
    if tag is Tag.OCTET_STRING:
        lengths = st.sampled_from((0, 6, 12)).flatmap(lambda size: st.binary(min_size=size, max_size=size))
        return (lengths | st.binary(max_size=40)).map(octet_string)
    if tag is Tag.BOOLEAN:
        return st.booleans().map(boolean)
    return leaves()


OBJECTS, _ = equipment()
ATTRIBUTES = [Attribute(o.interface.class_id, o.obis, n) for o in OBJECTS for n in sorted(o.writable_attributes)]
METHODS = [Method(o.interface.class_id, o.obis, n) for o in OBJECTS for n in sorted(o.offered_methods)]


# Strategies are made once: building them costs more than what is tested.
LEAVES, VALUES = leaves(), values()
SEQUENCES = frozenset({Tag.ARRAY, Tag.STRUCTURE})
OF_TAG = {
    tag: st.lists(LEAVES, max_size=3).map(lambda items, tag=tag: Data(tag, tuple(items)))
    if tag in SEQUENCES
    else leaves_of(tag)
    for tag in Tag
}
ANY_PARAMETER = st.none() | VALUES


def alike(draw: Draw, original: Data) -> Data:
    """Shaped as a value is, with other leaves here and there: this gets past the first check."""
    if original.tag in SEQUENCES and original.value:
        return Data(original.tag, tuple(alike(draw, item) for item in original.items))
    choice = draw(st.sampled_from(("same", "same type", "any")))
    return original if choice == "same" else draw(OF_TAG[original.tag] if choice == "same type" else LEAVES)


def written(draw: Draw, original: Data) -> Data:
    return draw(VALUES) if draw(st.booleans()) else alike(draw, original)


def parameters(draw: Draw, method: Method) -> Data | None:
    cosem = next(o for o in OBJECTS if o.obis == method.obis)
    return draw(OF_TAG[cosem.interface.methods[method.index - 1].parameter] if draw(st.booleans()) else ANY_PARAMETER)


@given(st.data())
def test_nothing_that_is_written_or_called_breaks_a_meter(data: st.DataObject):
    objects, model = equipment()
    now = NOW
    for _ in range(data.draw(st.integers(1, 6))):
        now += timedelta(seconds=data.draw(st.integers(0, 7200)))
        if data.draw(st.booleans()):
            target = data.draw(st.sampled_from(ATTRIBUTES))
            before = model.attribute(target, None, now)
            assert isinstance(before, Data)
            assert isinstance(model.set_attribute(target, None, written(data.draw, before), now), DataAccessResult)
        else:
            method = data.draw(st.sampled_from(METHODS))
            assert isinstance(model.act(method, parameters(data.draw, method), now), ActionOutcome)
    for cosem in objects:
        for index in range(1, len(cosem.interface.attributes) + 1):
            answer = model.attribute(Attribute(cosem.interface.class_id, cosem.obis, index), None, now)
            assert isinstance(answer, Data)
            assert encode(answer)


@given(st.data())
def test_a_value_that_was_refused_changes_nothing(data: st.DataObject):
    _, model = equipment()
    target = data.draw(st.sampled_from(ATTRIBUTES))
    before = model.attribute(target, None, NOW)
    assert isinstance(before, Data)
    if model.set_attribute(target, None, alike(data.draw, before), NOW) is not DataAccessResult.SUCCESS:
        assert model.attribute(target, None, NOW) == before
