"""A prepayment account: what is used first, what falls due, when supply goes and comes back; tokens."""

from datetime import datetime, timedelta

import pytest

from amity.devices.cosem.disconnect import ControlState
from amity.devices.cosem.payment import (
    ACCOUNT_OBIS,
    AccountStatus,
    ChargeType,
    CreditConfiguration,
    CreditStatus,
    CreditType,
    PaymentMode,
    TokenStatus,
    UnitCharge,
    configuration_bits,
    configuration_of,
)
from amity.devices.equipment.payment_objects import credit_status_bits, payment_objects
from amity.devices.equipment.prepayment import TICK, Account, Charge, Credit
from amity.devices.equipment.relay import Relay
from amity.devices.equipment.token_gateway import TokenGateway, TokenVerdict, token_gateway
from amity.devices.interface_classes import ACCOUNT, CHARGE, CREDIT
from amity.protocols.dlms.data import (
    Data,
    array,
    bit_string,
    double_long,
    enum,
    integer,
    long_unsigned,
    natural,
    octet_string,
    structure,
    unsigned,
)
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from tests.unit.devices.conversing import NOW, stamp

OFF, ON, READY = ControlState.DISCONNECTED, ControlState.CONNECTED, ControlState.READY_FOR_RECONNECTION
EMERGENCY = CreditConfiguration.CONFIRMATION_NEEDED | CreditConfiguration.PAID_BACK
PER_KWH = UnitCharge(30, commodity_scale=3)
DAY_S = 86_400


class Home:
    """Uses 1 kWh in each quarter of an hour: 30 cents by the price above; its relay stops that."""

    def __init__(self, *charges: Charge, token: int = 100, emergency: int = 0, mode: int = 6) -> None:
        self.relay = Relay(mode)
        self.token = Credit(CreditType.TOKEN, 1, token)
        self.emergency = Credit(
            CreditType.EMERGENCY, 2, preset=emergency, available_threshold=40, configuration=EMERGENCY
        )
        self.account = Account(
            [self.token, *([self.emergency] if emergency else [])],
            list(charges or (self.energy(),)),
            self.count,
            NOW,
            self.relay,
        )

    @staticmethod
    def energy() -> Charge:
        return Charge(ChargeType.CONSUMPTION, 1, PER_KWH)

    def count(self, at: datetime) -> int:
        return 5000 + 1000 * ((at - NOW) // TICK)

    def live(self, quarters: int) -> None:
        self.account.advance(NOW + TICK * quarters)


def test_consumption_uses_up_the_credit_and_supply_goes():
    home = Home()
    home.live(3)
    assert (home.token.amount, home.token.status, home.relay.state) == (10, CreditStatus.IN_USE, ON)
    home.live(4)
    assert (home.token.amount, home.token.status, home.relay.state) == (-20, CreditStatus.EXHAUSTED, READY)
    assert home.account.amount_to_clear == 20


def test_it_does_not_matter_when_it_is_asked():
    often, once = Home(token=10_000), Home(token=10_000)
    for quarter in range(200):
        often.live(quarter)
    once.live(199)
    assert often.token.amount == once.token.amount == 10_000 - 199 * 30


def test_a_payment_brings_supply_back():
    home = Home(token=30)
    home.live(1)
    assert home.relay.state is READY
    home.account.top_up(500, NOW + TICK)
    assert (home.token.amount, home.token.status, home.relay.state) == (500, CreditStatus.IN_USE, ON)


def test_in_a_mode_without_local_reconnection_the_customer_must_switch():
    home = Home(token=30, mode=3)
    home.live(1)
    home.account.top_up(500, NOW + TICK)
    assert home.relay.state is READY


def test_a_payment_below_the_debt_does_not_bring_supply_back():
    home = Home(token=10)
    home.live(1)
    home.account.top_up(15, NOW + TICK)
    assert (home.token.amount, home.relay.state) == (-5, READY)


def test_in_credit_mode_nothing_is_cut():
    home = Home(token=0, mode=6)
    assert home.relay.state is READY
    free = Account([Credit(CreditType.TOKEN, 1, 0)], [], lambda _: 0, NOW, Relay(6), PaymentMode.CREDIT)
    free.advance(NOW + TICK)
    assert free.relay is not None
    assert free.relay.state is ON


# ------------------------------------------------------------------ emergency credit
def test_emergency_credit_waits_to_be_confirmed_and_is_used_last():
    home = Home(token=100, emergency=60)
    assert home.emergency.status is CreditStatus.ENABLED
    assert not home.account.select(home.emergency, NOW)
    home.live(2)
    assert (home.account.available, home.emergency.status) == (40, CreditStatus.SELECTABLE)
    assert home.account.select(home.emergency, NOW + 2 * TICK)
    assert (home.account.available, home.emergency.status) == (100, CreditStatus.SELECTED)
    home.live(4)
    assert (home.token.amount, home.emergency.amount) == (0, 40)
    assert (home.emergency.status, home.relay.state) == (CreditStatus.IN_USE, ON)
    home.live(6)
    assert home.relay.state is READY


def test_a_payment_pays_emergency_credit_back_first():
    home = Home(token=30, emergency=60)
    home.account.select(home.emergency, NOW)
    home.live(2)
    assert (home.token.amount, home.emergency.amount) == (0, 30)
    home.account.top_up(100, NOW + 2 * TICK)
    assert (home.token.amount, home.emergency.amount, home.emergency.selected) == (70, 0, False)
    assert home.emergency.status is CreditStatus.ENABLED


# ------------------------------------------------------------------ charges
def test_parts_of_a_unit_are_paid_when_they_make_one():
    slow = Charge(ChargeType.CONSUMPTION, 1, UnitCharge(1, commodity_scale=3))
    paid = [slow.due(NOW, NOW, lambda _, counted=counted: counted) for counted in (900, 1000, 1999, 2000, 4500, 5000)]
    assert paid == [0, 1, 0, 1, 2, 1]


@pytest.mark.parametrize("price", [7, 33, 999])
def test_no_fraction_is_lost_or_charged_twice(price: int):
    charge = Charge(ChargeType.CONSUMPTION, 1, UnitCharge(price, commodity_scale=3))
    total = sum(charge.due(NOW, NOW, lambda _, counted=counted: counted) for counted in range(0, 100_001, 37))
    assert total == 99_974 * price // 1000


def test_a_standing_charge_falls_due_each_period():
    home = Home(Charge(ChargeType.TIME, 1, UnitCharge(12), period_s=DAY_S), token=100)
    home.live(96 * 3)
    assert home.token.amount == 64
    assert home.account.charges[0].paid == 36


def test_a_debt_is_collected_until_it_is_paid():
    debt = Charge(ChargeType.TIME, 1, UnitCharge(25), period_s=3600, continuous=False, remaining=60)
    home = Home(debt, token=100)
    assert home.account.debt == 60
    home.live(4 * 5)
    assert (home.token.amount, debt.remaining, debt.paid, debt.last_amount) == (40, 0, 60, 10)


def test_a_part_of_each_payment_goes_to_a_debt():
    debt = Charge(ChargeType.PAYMENT_EVENT, 1, UnitCharge(0), proportion=2500, continuous=False, remaining=60)
    home = Home(debt, token=0)
    home.account.top_up(200, NOW)
    assert (home.token.amount, debt.remaining) == (150, 10)
    home.account.top_up(200, NOW)
    assert (home.token.amount, debt.remaining) == (340, 0)


def test_a_new_price_holds_from_its_time():
    home = Home(token=1000)
    charge = home.account.charges[0]
    charge.passive, charge.activates_at = UnitCharge(50, commodity_scale=3), NOW + 2 * TICK
    home.live(3)
    assert home.token.amount == 1000 - 30 - 50 - 50
    assert charge.activates_at is None


def test_a_closed_account_collects_nothing():
    home = Home()
    home.account.close(NOW)
    home.live(10)
    assert home.token.amount == 100


@pytest.mark.parametrize("status", [AccountStatus.NEW, AccountStatus.CLOSED])
def test_only_an_open_account_collects_when_it_is_told_to(status: AccountStatus):
    token, charge = Credit(CreditType.TOKEN, 1, 100), Home.energy()
    account = Account([token], [charge], lambda _at: 16_000_000, NOW, status=status)
    (cosem,) = (cosem for cosem in payment_objects(account, "EUR") if cosem.interface is CHARGE)
    assert cosem.act(CHARGE.method_index("collect"), integer(0), NOW).result is ActionResult.OTHER_REASON
    assert (token.amount, charge.paid) == (100, 0)
    account.activate(NOW)
    assert cosem.act(CHARGE.method_index("collect"), integer(0), NOW).result is ActionResult.SUCCESS
    assert token.amount == 100


def test_years_unasked_end_in_time():
    home = Home(token=1 << 30)
    home.live(96 * 365 * 3)
    assert home.token.amount == (1 << 30) - 96 * 365 * 3 * 30 + (96 * 365 * 3 % 26) * 30  # the last stride is not over


# ------------------------------------------------------------------ the objects
def shown(home: Home) -> dict[int, list[object]]:
    found: dict[int, list[object]] = {}
    for cosem in payment_objects(home.account, "EUR"):
        found.setdefault(cosem.interface.class_id, []).append(cosem)
    return found


def test_the_account_shows_how_it_stands():
    home = Home(token=100, emergency=60)
    (account,) = shown(home)[ACCOUNT.class_id]
    values = {
        spec.name: natural(account.attribute(number, None, NOW))
        for number, spec in enumerate(ACCOUNT.attributes[1:], 2)
    }  # fmt: skip
    assert account.obis == ACCOUNT_OBIS
    assert values["account_mode_and_status"] == [2, 2]
    assert values["available_credit"] == 100
    assert values["current_credit_in_use"] == 1
    assert values["currency"] == ["EUR", -2, 10]
    assert len(values["credit_reference_list"]) == 2
    assert len(values) == 18


@pytest.mark.parametrize(
    ("token", "emergency", "selected", "bits"),
    [
        (100, 0, False, "10000000"),
        (0, 0, False, "01000010"),
        (100, 60, False, "10100000"),
        (20, 60, False, "10010000"),
        (20, 60, True, "10001000"),
        (0, 60, True, "10000100"),
    ],
)
def test_the_status_of_the_credit_in_bits(token: int, emergency: int, selected: bool, bits: str):
    home = Home(token=token, emergency=emergency)
    if selected:
        home.account.select(home.emergency, NOW)
    assert credit_status_bits(home.account) == bits


def test_a_credit_is_changed_by_its_methods():
    home = Home(token=0, emergency=60)
    token, emergency = shown(home)[CREDIT.class_id]
    assert emergency.act(3, integer(0), NOW).result is ActionResult.SUCCESS
    assert emergency.act(3, integer(0), NOW).result is ActionResult.OTHER_REASON
    assert token.act(1, double_long(70), NOW).result is ActionResult.SUCCESS
    assert token.act(1, double_long(-20), NOW).result is ActionResult.SUCCESS
    assert home.token.amount == 50
    assert token.act(2, double_long(5), NOW).result is ActionResult.SUCCESS
    assert token.attribute(CREDIT.index_of("current_credit_amount"), None, NOW) == double_long(5)
    assert token.attribute(CREDIT.index_of("credit_status"), None, NOW) == enum(3)


@pytest.mark.parametrize(
    ("name", "value", "field", "taken"),
    [
        ("priority", unsigned(9), "priority", 9),
        ("warning_threshold", double_long(5), "warning_threshold", 5),
        ("limit", double_long(-50), "limit", -50),
        ("preset_credit_amount", double_long(500), "preset", 500),
        ("credit_available_threshold", double_long(7), "available_threshold", 7),
        ("credit_configuration", bit_string("01100"), "configuration", EMERGENCY),
    ],
)
def test_a_credit_is_configured(name: str, value: Data, field: str, taken: object):
    home = Home()
    (credit,) = shown(home)[CREDIT.class_id]
    assert credit.set_attribute(CREDIT.index_of(name), None, value, NOW) is DataAccessResult.SUCCESS
    assert getattr(home.token, field) == taken


def test_amounts_that_travel_stay_within_their_type():
    home = Home(token=(1 << 31) - 1)
    (credit,) = shown(home)[CREDIT.class_id]
    assert credit.act(1, double_long((1 << 31) - 1), NOW).result is ActionResult.SUCCESS
    assert home.token.amount == (1 << 31) - 1


def test_a_price_is_left_with_the_charge_and_takes_effect():
    home = Home(token=1000)
    (charge,) = shown(home)[CHARGE.class_id]
    dearer = UnitCharge(50, commodity_scale=3)
    assert charge.set_attribute(CHARGE.index_of("unit_charge_passive"), None, dearer.to_data(), NOW) == 0
    when = octet_string(stamp(NOW + TICK))
    assert charge.set_attribute(CHARGE.index_of("unit_charge_activation_time"), None, when, NOW) == 0
    home.live(2)
    assert UnitCharge.from_data(charge.attribute(CHARGE.index_of("unit_charge_active"), None, NOW)) == dearer
    assert home.token.amount == 900


def test_charges_are_updated_collected_and_owed():
    home = Home(token=1000)
    (charge,) = shown(home)[CHARGE.class_id]
    table = array((structure(octet_string(b""), Data(16, 70)),))
    calls = (1, table, NOW), (2, integer(0), NOW), (3, integer(0), NOW + TICK), (5, double_long(9), NOW)
    results = [charge.act(*call).result for call in (*calls, (4, double_long(4), NOW))]
    assert results == [ActionResult.SUCCESS] * 5
    assert home.token.amount == 930
    assert home.account.charges[0].remaining == 13


@pytest.mark.parametrize("value", [structure(), octet_string(b""), structure(integer(0), integer(0), array(()))])
def test_a_price_that_is_none_is_refused(value: Data):
    home = Home()
    (charge,) = shown(home)[CHARGE.class_id]
    index = CHARGE.index_of("unit_charge_passive")
    assert charge.set_attribute(index, None, value, NOW) in {
        DataAccessResult.OTHER_REASON, DataAccessResult.TYPE_UNMATCHED,
    }  # fmt: skip
    assert home.account.charges[0].passive is None


def test_an_account_is_closed_reset_and_opened():
    home = Home()
    (account,) = shown(home)[ACCOUNT.class_id]
    assert account.act(2, integer(0), NOW).result is ActionResult.SUCCESS
    assert home.account.status is AccountStatus.CLOSED
    assert account.act(1, integer(0), NOW).result is ActionResult.SUCCESS
    assert account.act(3, integer(0), NOW).result is ActionResult.SUCCESS
    assert (home.account.status, home.token.amount) == (AccountStatus.ACTIVE, 0)
    mode = structure(enum(1), enum(2))
    assert account.set_attribute(2, None, mode, NOW) is DataAccessResult.SUCCESS
    assert home.account.mode is PaymentMode.CREDIT
    assert account.set_attribute(2, None, structure(enum(1), enum(3)), NOW + TICK) is DataAccessResult.SUCCESS
    assert (home.account.status, home.account.closed_at) == (AccountStatus.CLOSED, NOW + TICK)
    assert account.set_attribute(2, None, mode, NOW + TICK) is DataAccessResult.SUCCESS
    assert account.set_attribute(2, None, structure(enum(9), enum(2)), NOW) is DataAccessResult.OTHER_REASON


@pytest.mark.parametrize("configuration", list(CreditConfiguration))
def test_a_configuration_survives_its_bits(configuration: CreditConfiguration):
    assert configuration_of(str(configuration_bits(configuration).value)) == configuration


# ------------------------------------------------------------------ tokens
def read_token(token: bytes) -> TokenVerdict:
    verdicts = {
        b"good": TokenVerdict(TokenStatus.VALIDATION_OK, 500, "500 cents"),
        b"used": TokenVerdict(TokenStatus.VALIDATION_FAILURE),
    }
    return verdicts.get(token, TokenVerdict(TokenStatus.FORMAT_FAILURE))


@pytest.mark.parametrize(
    ("token", "status", "amount"),
    [
        (b"good", TokenStatus.EXECUTION_OK, 600),
        (b"used", TokenStatus.VALIDATION_FAILURE, 100),
        (b"what", TokenStatus.FORMAT_FAILURE, 100),
    ],
)
def test_a_token_is_judged_and_executed(token: bytes, status: TokenStatus, amount: int):
    home = Home()
    gateway = TokenGateway(home.account, read_token)
    cosem = token_gateway(gateway)
    assert cosem.act(1, octet_string(token), NOW).result is ActionResult.SUCCESS
    assert home.token.amount == amount
    assert cosem.attribute(6, None, NOW) == structure(enum(status), bit_string(""))
    assert [cosem.attribute(index, None, NOW) for index in (2, 3, 5)] == [
        octet_string(token), octet_string(stamp(NOW)), enum(0),
    ]  # fmt: skip


def test_a_closed_account_takes_no_token():
    home = Home()
    home.account.close(NOW)
    assert TokenGateway(home.account, read_token).enter(b"good", NOW) is TokenStatus.EXECUTION_FAILURE
    assert home.token.amount == 100


def test_before_the_first_token_there_is_none():
    cosem = token_gateway(TokenGateway(Home().account, read_token))
    assert natural(cosem.attribute(2, None, NOW)) == b""
    assert cosem.act(1, long_unsigned(5), NOW).result is ActionResult.TYPE_UNMATCHED
    assert timedelta(0) < TICK
