"""The typed helpers against a meter: supply, clock, limiter, sub-meters, payment; and who may do what."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from amity.devices.client import AttributeRefusedError, MethodRefusedError, WriteRefusedError
from amity.devices.client import payment as paying
from amity.devices.client.clock_setting import (
    Adjustment,
    Correction,
    adjust_clock,
    local_time,
    preset_clock,
    set_clock,
    shift_clock,
    synchronise_clock,
)
from amity.devices.client.limiting import read_limiter, set_emergency, set_threshold
from amity.devices.client.sub_meters import (
    capture_sub_meter,
    install_sub_meter,
    read_sub_meter,
    remove_sub_meter,
    reset_sub_meter_alarm,
)
from amity.devices.client.supply import (
    NotSwitchedError,
    Settling,
    disconnect,
    read_supply,
    reconnect,
    set_control_mode,
)
from amity.devices.cosem.disconnect import ControlState, SwitchEvent
from amity.devices.cosem.limits import EmergencyProfile, MonitoredValue, ScriptCall
from amity.devices.cosem.mbus import MBusIdentity, MBusMedium
from amity.devices.cosem.payment import (
    ChargeType,
    CreditConfiguration,
    CreditStatus,
    CreditType,
    PaymentMode,
    TokenStatus,
    UnitCharge,
    charge_obis,
    credit_obis,
)
from amity.devices.equipment.clock import AdjustableClock, clock_object
from amity.devices.equipment.limiter import Limiter, Limits, limiter_object
from amity.devices.equipment.mbus_client import MBusChannel, SubMeter, mbus_client, mbus_value
from amity.devices.equipment.payment_objects import payment_objects
from amity.devices.equipment.prepayment import TICK, Account, Charge, Credit
from amity.devices.equipment.relay import Relay, disconnect_control
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS
from amity.devices.equipment.token_gateway import TokenGateway, TokenVerdict, token_gateway
from amity.devices.profiles import CLOCK_OBIS, ClockEncoding, ClockRules, Deviation
from amity.kernel.errors import ConfigurationError, LocalProtocolError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.data import double_long_unsigned, octet_string
from amity.protocols.dlms.datetime import CosemDateTime
from tests.unit.devices.conversing import NOW
from tests.unit.devices.equipped import CONTROL, MANAGEMENT, READING, EquippedMeter, Visit, slow_relay

OFF, ON, READY = ControlState.DISCONNECTED, ControlState.CONNECTED, ControlState.READY_FOR_RECONNECTION
POWER = MonitoredValue(3, Obis.parse("1.0.1.7.0.255"), 2)


# ------------------------------------------------------------------ supply
def supplied(mode: int, client: int = CONTROL, state: ControlState = ON) -> tuple[Relay, Visit]:
    relay = Relay(mode, state)
    return relay, EquippedMeter([disconnect_control(relay)]).visit(client)


@pytest.mark.parametrize(("mode", "back"), [(1, READY), (2, ON), (3, READY), (4, ON), (5, READY), (6, READY)])
def test_supply_goes_and_comes_back_as_the_mode_has_it(mode: int, back: ControlState):
    relay, visit = supplied(mode)
    assert visit.lead(disconnect(visit.session)) == (False, OFF, mode)
    assert visit.lead(disconnect(visit.session)).state is OFF
    assert visit.lead(reconnect(visit.session)) == (back is ON, back, mode)
    assert relay.state is back


def test_a_meter_that_cannot_be_switched_says_so():
    relay, visit = supplied(0)
    with pytest.raises(MethodRefusedError, match="other-reason") as caught:
        visit.lead(disconnect(visit.session))
    assert "control mode is 0" in caught.value.next_step
    assert visit.lead(read_supply(visit.session)) == (True, ON, 0)
    assert relay.connected


def test_who_reconnects_what_is_ready_for_it_is_told_who_may():
    relay, visit = supplied(4)
    relay.apply(SwitchEvent.LOCAL_DISCONNECT, NOW)
    assert relay.state is READY
    with pytest.raises(MethodRefusedError, match="other-reason") as caught:
        visit.lead(reconnect(visit.session))
    assert "switch it on there, or disconnect it first" in caught.value.next_step
    visit.lead(disconnect(visit.session))
    assert visit.lead(reconnect(visit.session)).state is ON


@pytest.mark.parametrize("client", [READING, MANAGEMENT])
def test_only_control_switches(client: int):
    relay, visit = supplied(4, client)
    with pytest.raises(MethodRefusedError, match="read-write-denied"):
        visit.lead(disconnect(visit.session))
    with pytest.raises(WriteRefusedError, match="read-write-denied"):
        visit.lead(set_control_mode(visit.session, 2))
    assert (relay.connected, relay.mode) == (True, 4)
    assert visit.lead(read_supply(visit.session)).state is ON


def test_the_mode_is_set():
    relay, visit = supplied(1)
    visit.lead(set_control_mode(visit.session, 6))
    assert relay.mode == 6
    with pytest.raises(ConfigurationError):
        set_control_mode(visit.session, 7)


def test_a_relay_that_has_not_moved_at_once_is_an_error_unless_it_is_given_time():
    visit = EquippedMeter([slow_relay(1)]).visit(CONTROL)
    with pytest.raises(NotSwitchedError, match="after remote disconnect") as error:
        visit.lead(disconnect(visit.session))
    assert error.value.supply.output


@pytest.mark.parametrize(("seconds", "looks"), [(0, 1), (5, 2), (12, 4), (20, 5)])
def test_a_relay_that_needs_seconds_is_waited_for(seconds: int, looks: int):
    meter = EquippedMeter([slow_relay(seconds)], silence_s=5)
    visit = meter.visit(CONTROL)
    before = meter.requests
    settling = Settling(lambda: meter.now, 20)
    assert visit.lead(disconnect(visit.session, settling=settling)) == (False, OFF, 4)
    assert meter.requests == before + 1 + looks


def test_a_relay_that_sticks_is_found_when_its_time_is_over():
    meter = EquippedMeter([slow_relay(3600)], silence_s=5)
    visit = meter.visit(CONTROL)
    with pytest.raises(NotSwitchedError, match="output on"):
        visit.lead(disconnect(visit.session, settling=Settling(lambda: meter.now, 20)))
    assert meter.now == NOW + timedelta(seconds=20)


def test_a_meter_without_a_relay_says_what_it_has_not():
    visit = EquippedMeter([]).visit(CONTROL)
    with pytest.raises(MethodRefusedError, match="object-undefined"):
        visit.lead(disconnect(visit.session))
    with pytest.raises(AttributeRefusedError, match="object-undefined"):
        visit.lead(read_supply(visit.session))


# ------------------------------------------------------------------ clock
UTC_RULES = ClockRules(ClockEncoding.OCTET_STRING, Deviation.SPECIFIED, 0, deviation_inverted=False)
VIENNA = ClockRules(ClockEncoding.OCTET_STRING, Deviation.SPECIFIED, 60, deviation_inverted=False)
KAMSTRUP = ClockRules(ClockEncoding.OCTET_STRING, Deviation.UNSPECIFIED, 60, deviation_inverted=False)
INVERTED = ClockRules(ClockEncoding.OCTET_STRING, Deviation.SPECIFIED, 60, deviation_inverted=True)


def timed(ahead_s: float, rules: ClockRules = UTC_RULES) -> tuple[AdjustableClock, EquippedMeter, Visit]:
    held = AdjustableClock(lambda now: now + timedelta(seconds=ahead_s))
    cosem = clock_object(
        held, CLOCK_OBIS, lambda shows, _now: octet_string(local_time(shows, rules)),
        deviation_min=rules.default_deviation_min,
    )  # fmt: skip
    meter = EquippedMeter([cosem])
    return held, meter, meter.visit()


@pytest.mark.parametrize("rules", [UTC_RULES, VIENNA, KAMSTRUP])
@pytest.mark.parametrize(
    ("ahead_s", "correction", "left_s"),
    [
        (4, Correction.NONE, 4),
        (-4, Correction.NONE, -4),
        (100, Correction.SHIFTED, 0),
        (-900, Correction.SHIFTED, 0),
        (86_400, Correction.SET, 0),
    ],
)
def test_a_clock_is_left_shifted_or_set(rules: ClockRules, ahead_s: float, correction: Correction, left_s: float):
    held, meter, visit = timed(ahead_s, rules)
    done = visit.lead(synchronise_clock(visit.session, lambda: meter.now, rules))
    assert done == (ahead_s, correction, left_s)
    assert held.shows(meter.now) == meter.now + timedelta(seconds=left_s)


@pytest.mark.parametrize(
    ("rules", "written"),
    [
        (UTC_RULES, (0, 0, 0)),
        (VIENNA, (1, 0, -60)),
        (KAMSTRUP, (1, 0, None)),
        (INVERTED, (1, 0, 60)),
    ],
)
def test_time_is_written_as_the_model_writes_it(rules: ClockRules, written: tuple[int, int, int | None]):
    time = CosemDateTime.from_octets(local_time(NOW, rules))
    assert (time.hour, time.minute, time.deviation_min) == written
    shown = time.to_utc(rules.default_deviation_min, deviation_inverted=rules.deviation_inverted)
    assert shown == NOW


def test_a_clock_is_set_shifted_adjusted_and_preset():
    held, meter, visit = timed(0)
    visit.lead(set_clock(visit.session, NOW + timedelta(hours=1, minutes=2, seconds=40), UTC_RULES))
    visit.lead(shift_clock(visit.session, -10))
    visit.lead(adjust_clock(visit.session, Adjustment.MINUTE))
    assert held.shows(meter.now) == NOW + timedelta(hours=1, minutes=3)
    visit.lead(adjust_clock(visit.session, Adjustment.QUARTER))
    assert held.shows(meter.now) == NOW + timedelta(hours=1)
    valid = NOW, NOW + timedelta(hours=2)
    visit.lead(preset_clock(visit.session, NOW + timedelta(hours=5), valid, UTC_RULES))
    visit.lead(adjust_clock(visit.session, Adjustment.PRESET))
    assert held.shows(meter.now) == NOW + timedelta(hours=5)


def test_a_large_shift_is_refused_before_it_is_sent():
    _, _, visit = timed(0)
    with pytest.raises(LocalProtocolError, match="900"):
        shift_clock(visit.session, 901)


# ------------------------------------------------------------------ limiter
def limited(client: int = CONTROL) -> tuple[Limiter, EquippedMeter, Visit]:
    script = ScriptCall(DISCONNECT_SCRIPTS, 1)
    limiter = Limiter(Limits(POWER, 5000, 5000, over=script), lambda _: 0, lambda *_: None, NOW)
    meter = EquippedMeter([limiter_object(limiter)], [limiter])
    return limiter, meter, meter.visit(client)


def test_a_threshold_is_set_and_read():
    _, _, visit = limited()
    visit.lead(set_threshold(visit.session, 2300, over_s=60, under_s=300))
    readout = visit.lead(read_limiter(visit.session))
    assert readout[:6] == (POWER, 2300, 2300, 5000, 60, 300)
    assert (readout.over, readout.emergency_active) == (ScriptCall(DISCONNECT_SCRIPTS, 1), False)


def test_an_emergency_is_prepared_and_holds_in_its_time():
    _, meter, visit = limited()
    profile = EmergencyProfile.at(4, NOW + timedelta(hours=1), 3600)
    visit.lead(set_emergency(visit.session, 500, profile, groups=(3, 4)))
    assert visit.lead(read_limiter(visit.session)).active == 5000
    meter.wait(minutes=61)
    readout = visit.lead(read_limiter(visit.session))
    assert (readout.active, readout.emergency_active, readout.groups) == (500, True, (3, 4))
    assert readout.emergency_profile == profile


def test_only_control_limits():
    limiter, _, visit = limited(MANAGEMENT)
    with pytest.raises(WriteRefusedError, match="read-write-denied"):
        visit.lead(set_threshold(visit.session, 1, over_s=0, under_s=0))
    assert limiter.limits.normal == 5000


# ------------------------------------------------------------------ sub-meters
def test_a_sub_meter_is_read_captured_removed_and_installed():
    identity = MBusIdentity("00471100", "AMY", 1, MBusMedium.GAS)
    channel = MBusChannel(1, SubMeter(identity, lambda _: 123_456, -2, Unit.CUBIC_METRE, b"\x14"))
    visit = EquippedMeter([mbus_client(channel), mbus_value(channel)]).visit()
    assert visit.lead(read_sub_meter(visit.session, 1)) == (identity, 1, 0, 0, 0)
    readout = visit.lead(capture_sub_meter(visit.session, 1))
    assert readout.value == double_long_unsigned(123_456)
    assert readout.scaler_unit == (-2, Unit.CUBIC_METRE)
    assert readout.captured_at == CosemDateTime.from_utc(NOW)
    visit.lead(remove_sub_meter(visit.session, 1))
    assert not visit.lead(read_sub_meter(visit.session, 1)).installed
    with pytest.raises(MethodRefusedError, match="hardware-fault"):
        visit.lead(capture_sub_meter(visit.session, 1))
    visit.lead(install_sub_meter(visit.session, 1, 5))
    visit.lead(reset_sub_meter_alarm(visit.session, 1))
    assert visit.lead(read_sub_meter(visit.session, 1)).primary_address == 5
    visit.lead(remove_sub_meter(visit.session, 1))
    visit.lead(install_sub_meter(visit.session, 1))
    assert visit.lead(read_sub_meter(visit.session, 1)).installed


# ------------------------------------------------------------------ payment
TOKEN, EMERGENCY, ENERGY = credit_obis(0), credit_obis(1), charge_obis(0)


def prepaid(client: int = CONTROL, token: int = 50) -> tuple[Relay, EquippedMeter, Visit]:
    relay = Relay(6)
    waits = CreditConfiguration.CONFIRMATION_NEEDED | CreditConfiguration.PAID_BACK
    account = Account(
        [
            Credit(CreditType.TOKEN, 1, token),
            Credit(CreditType.EMERGENCY, 2, preset=100, available_threshold=20, configuration=waits),
        ],
        [Charge(ChargeType.CONSUMPTION, 1, UnitCharge(30, commodity_scale=3))],
        consumption,
        NOW,
        relay,
    )
    gateway = TokenGateway(account, lambda octets: TOKENS.get(octets, TokenVerdict(TokenStatus.FORMAT_FAILURE)))
    objects = [*payment_objects(account, "EUR"), token_gateway(gateway), disconnect_control(relay)]
    meter = EquippedMeter(objects, [account])
    return relay, meter, meter.visit(client)


def consumption(at: datetime) -> int:
    return 1000 * ((at - NOW) // TICK)


TOKENS = {b"good": TokenVerdict(TokenStatus.VALIDATION_OK, 500, "5.00 EUR")}


def test_credit_runs_out_and_a_token_brings_supply_back():
    _, meter, visit = prepaid()
    account = visit.lead(paying.read_account(visit.session))
    assert account[:5] == (PaymentMode.PREPAYMENT, 2, 50, 0, 0)
    assert (account.credits, account.charges, account.currency) == ((TOKEN, EMERGENCY), (ENERGY,), "EUR")
    meter.wait(minutes=30)
    assert visit.lead(read_supply(visit.session)).state is READY
    assert visit.lead(paying.read_account(visit.session)).amount_to_clear == 10
    result = visit.lead(paying.enter_token(visit.session, b"good"))
    assert (result.executed, result.description) == (True, "5.00 EUR")
    assert visit.lead(read_supply(visit.session)).state is ON
    assert visit.lead(paying.read_credit(visit.session, TOKEN)) == (TOKEN, CreditType.TOKEN, 1, 490, 3)


def test_a_token_that_is_none_says_why():
    _, _, visit = prepaid()
    result = visit.lead(paying.enter_token(visit.session, b"bad"))
    assert (result.status, result.executed, result.data) == (TokenStatus.FORMAT_FAILURE, False, "")
    assert result.status.label == "format-failure"


def test_emergency_credit_is_invoked():
    _, meter, visit = prepaid()
    with pytest.raises(MethodRefusedError):
        visit.lead(paying.invoke_credit(visit.session, EMERGENCY))
    meter.wait(minutes=15)
    assert visit.lead(paying.read_credit(visit.session, EMERGENCY)).status is CreditStatus.SELECTABLE
    visit.lead(paying.invoke_credit(visit.session, EMERGENCY))
    assert visit.lead(paying.read_credit(visit.session, EMERGENCY)).amount == 100
    meter.wait(minutes=15)
    assert visit.lead(read_supply(visit.session)).state is ON


def test_credit_is_given_and_set():
    _, _, visit = prepaid()
    visit.lead(paying.add_credit(visit.session, TOKEN, 25))
    assert visit.lead(paying.read_credit(visit.session, TOKEN)).amount == 75
    visit.lead(paying.set_credit(visit.session, TOKEN, 7))
    assert visit.lead(paying.read_credit(visit.session, TOKEN)).amount == 7


def test_a_price_changes_at_its_time_and_charges_tell_what_they_took():
    _, meter, visit = prepaid(token=1000)
    dearer = UnitCharge(40, commodity_scale=3)
    visit.lead(paying.set_price(visit.session, ENERGY, dearer, NOW + 2 * TICK))
    meter.wait(minutes=45)
    charge = visit.lead(paying.read_charge(visit.session, ENERGY))
    assert (charge.unit, charge.paid, charge.last_amount) == (dearer, 30 + 40 + 40, 40)
    visit.lead(paying.collect_charge(visit.session, ENERGY))
    assert visit.lead(paying.read_charge(visit.session, ENERGY)).paid == 110


def test_a_charge_of_an_account_that_is_not_open_is_not_collected():
    _, meter, visit = prepaid()
    visit.lead(paying.close_account(visit.session))
    meter.wait(minutes=45)
    with pytest.raises(MethodRefusedError, match="other-reason") as refused:
        visit.lead(paying.collect_charge(visit.session, ENERGY))
    assert "account is closed" in refused.value.next_step
    assert visit.lead(paying.read_charge(visit.session, ENERGY)).paid == 0
    visit.lead(paying.open_account(visit.session))
    meter.wait(minutes=15)
    assert visit.lead(paying.read_charge(visit.session, ENERGY)).paid == 30
    visit.lead(paying.collect_charge(visit.session, ENERGY))


@pytest.mark.parametrize(
    "change",
    [
        lambda session: paying.enter_token(session, b"good"),
        lambda session: paying.add_credit(session, TOKEN, 1),
        lambda session: paying.invoke_credit(session, EMERGENCY),
        lambda session: paying.collect_charge(session, ENERGY),
    ],
)
@pytest.mark.parametrize("client", [READING, MANAGEMENT])
def test_only_control_touches_money(change: Callable[[object], object], client: int):
    _, _, visit = prepaid(client)
    with pytest.raises(MethodRefusedError, match="read-write-denied"):
        visit.lead(change(visit.session))
    assert visit.lead(paying.read_credit(visit.session, TOKEN)).amount == 50
