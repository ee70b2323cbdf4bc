"""A payment account as its COSEM objects: account (111), credits (112), charges (113)."""

from collections.abc import Callable
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.cosem.payment import (
    ACCOUNT_OBIS,
    AccountStatus,
    ChargeType,
    CreditStatus,
    CreditType,
    PaymentMode,
    UnitCharge,
    charge_obis,
    charge_table,
    configuration_bits,
    configuration_of,
    credit_obis,
)
from amity.devices.equipment.prepayment import AMOUNT_MAX, Account, Charge, Credit
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import ACCOUNT, CHARGE, CREDIT
from amity.devices.objects import NOT_SPECIFIED_TIME
from amity.kernel.units import Unit
from amity.protocols.dlms.data import (
    Data,
    Tag,
    array,
    bit_string,
    double_long,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
    utf8_string,
)
from amity.protocols.dlms.results import ActionResult

_AMOUNT = Tag.DOUBLE_LONG
_WHOLE_PERCENT = 100
_MINOR_UNIT_SCALE = -2  # amounts are in hundredths of the currency


def payment_objects(account: Account, currency: str) -> list[StoredObject]:
    """The account, its credits and its charges, numbered in the order of their lists."""
    return [
        account_object(account, currency),
        *(credit_object(account, number) for number in range(len(account.credits))),
        *(charge_object(account, number) for number in range(len(account.charges))),
    ]


def account_object(account: Account, currency: str) -> StoredObject:
    """Class 111. `current_credit_in_use` counts the list of credits from 1; 0 is none."""

    def set_mode(value: Data, now: datetime) -> None:
        mode, status = fields.parts(value, 2, "account mode and status")
        wanted = fields.member(AccountStatus, status, "account status")
        account.mode = fields.member(PaymentMode, mode, "account mode")
        if wanted is AccountStatus.ACTIVE and account.status is not AccountStatus.ACTIVE:
            account.activate(now)
        elif wanted is AccountStatus.CLOSED and account.status is not AccountStatus.CLOSED:
            account.close(now)
        account.status = wanted
        account.settle(now)

    def set_clearance(value: Data, _now: datetime) -> None:
        account.clearance_threshold = fields.number(value, "amount", _AMOUNT)

    def set_low(value: Data, _now: datetime) -> None:
        account.low_credit_threshold = fields.number(value, "amount", _AMOUNT)

    return StoredObject(
        ACCOUNT,
        ACCOUNT_OBIS,
        _account_values(account, currency),
        accept={
            "account_mode_and_status": set_mode,
            "clearance_threshold": set_clearance,
            "low_credit_threshold": set_low,
        },
        methods={
            "activate_account": lambda _, now: account.activate(now),
            "close_account": lambda _, now: account.close(now),
            "reset_account": lambda _, now: account.reset(now),
        },
    )


def _account_values(account: Account, currency: str) -> dict[str, Data | Callable[[datetime], Data]]:
    token_credits = [number for number, credit in enumerate(account.credits) if credit.kind is CreditType.TOKEN]
    return {
        "account_mode_and_status": lambda _now: structure(enum(account.mode), enum(account.status)),
        "current_credit_in_use": lambda _now: unsigned(_number_in_use(account)),
        "current_credit_status": lambda _now: bit_string(credit_status_bits(account)),
        "available_credit": lambda _now: _money(account.available),
        "amount_to_clear": lambda _now: _money(account.amount_to_clear),
        "clearance_threshold": lambda _now: _money(account.clearance_threshold),
        "aggregated_debt": lambda _now: _money(account.debt),
        "credit_reference_list": array(octet_string(credit_obis(number)) for number in range(len(account.credits))),
        "charge_reference_list": array(octet_string(charge_obis(number)) for number in range(len(account.charges))),
        "credit_charge_configuration": array(()),
        "token_gateway_configuration": array(
            structure(octet_string(credit_obis(number)), unsigned(_WHOLE_PERCENT)) for number in token_credits
        ),
        "account_activation_time": lambda _now: _moment(account.activated_at),
        "account_closure_time": lambda _now: _moment(account.closed_at),
        "currency": structure(utf8_string(currency), integer(_MINOR_UNIT_SCALE), enum(Unit.CURRENCY)),
        "low_credit_threshold": lambda _now: _money(account.low_credit_threshold),
        "next_credit_available_threshold": double_long(0),
        "max_provision": long_unsigned(0),
        "max_provision_period": double_long(0),
    }


def credit_status_bits(account: Account) -> str:
    """current_credit_status: in credit, low; the next enabled, selectable, selected; a selected one used; none left."""
    used = account.in_use
    waiting = [credit.status for credit in account.credits if credit is not used]
    facts = (
        used is not None,
        account.available <= account.low_credit_threshold,
        CreditStatus.ENABLED in waiting,
        CreditStatus.SELECTABLE in waiting,
        CreditStatus.SELECTED in waiting,
        used is not None and used.selected,
        used is None,
        False,  # reserved
    )
    return "".join("1" if fact else "0" for fact in facts)


def credit_object(account: Account, number: int) -> StoredObject:
    """Class 112."""
    credit = account.credits[number]

    def update(value: Data, now: datetime) -> None:
        credit.add(fields.number(value, "amount", _AMOUNT))
        account.settle(now)

    def set_amount(value: Data, now: datetime) -> None:
        credit.amount = 0
        update(value, now)

    def invoke(_: Data, now: datetime) -> ActionResult:
        return ActionResult.SUCCESS if account.select(credit, now) else ActionResult.OTHER_REASON

    def take(name: str, form: Tag = _AMOUNT) -> Callable[[Data, datetime], None]:
        def accept(value: Data, now: datetime) -> None:
            setattr(credit, name, fields.number(value, name, form))
            account.settle(now)

        return accept

    def configure(value: Data, now: datetime) -> None:
        credit.configuration = configuration_of(fields.bits(value, "credit configuration"))
        account.settle(now)

    return StoredObject(
        CREDIT,
        credit_obis(number),
        _credit_values(credit),
        accept={
            "priority": take("priority", Tag.UNSIGNED),
            "warning_threshold": take("warning_threshold"),
            "limit": take("limit"),
            "credit_configuration": configure,
            "preset_credit_amount": take("preset"),
            "credit_available_threshold": take("available_threshold"),
        },
        methods={"update_amount": update, "set_amount_to_value": set_amount, "invoke_credit": invoke},
    )


def _credit_values(credit: Credit) -> dict[str, Data | Callable[[datetime], Data]]:
    return {
        "current_credit_amount": lambda _now: _money(credit.amount),
        "credit_type": enum(credit.kind),
        "priority": lambda _now: unsigned(credit.priority),
        "warning_threshold": lambda _now: _money(credit.warning_threshold),
        "limit": lambda _now: _money(credit.limit),
        "credit_configuration": lambda _now: configuration_bits(credit.configuration),
        "credit_status": lambda _now: enum(credit.status),
        "preset_credit_amount": lambda _now: _money(credit.preset),
        "credit_available_threshold": lambda _now: _money(credit.available_threshold),
        "period": octet_string(NOT_SPECIFIED_TIME),
    }


def charge_object(account: Account, number: int) -> StoredObject:
    """Class 113."""
    charge = account.charges[number]

    def take(name: str, form: Tag) -> Callable[[Data, datetime], None]:
        return lambda value, _now: setattr(charge, name, fields.number(value, name, form))

    def set_passive(value: Data, _now: datetime) -> None:
        charge.passive = UnitCharge.from_data(value)

    def set_activation(value: Data, _now: datetime) -> None:
        moment = fields.date_time(value, "activation time")
        charge.activates_at = None if moment.year is None else moment.to_utc(0)

    def update_price(value: Data, _now: datetime) -> None:
        charge.passive = (charge.passive or charge.unit)._replace(price=charge_table(value))

    def set_remaining(value: Data, _now: datetime) -> None:
        charge.owe(fields.number(value, "amount", _AMOUNT))

    def collect(_: Data, now: datetime) -> ActionResult:
        return ActionResult.SUCCESS if account.collect(charge, now) else ActionResult.OTHER_REASON

    def add_remaining(value: Data, _now: datetime) -> None:
        charge.owe(charge.remaining + fields.number(value, "amount", _AMOUNT))

    return StoredObject(
        CHARGE,
        charge_obis(number),
        _charge_values(charge),
        accept={
            "unit_charge_passive": set_passive,
            "unit_charge_activation_time": set_activation,
            "priority": take("priority", Tag.UNSIGNED),
            "period": take("period_s", Tag.DOUBLE_LONG_UNSIGNED),
            "proportion": take("proportion", Tag.LONG_UNSIGNED),
        },
        methods={
            "update_unit_charge": update_price,
            "activate_passive_unit_charge": lambda _, now: charge.activate_passive(account.count(now)),
            "collect": collect,
            "update_total_amount_remaining": add_remaining,
            "set_total_amount_remaining": set_remaining,
        },
    )


def _charge_values(charge: Charge) -> dict[str, Data | Callable[[datetime], Data]]:
    return {
        "total_amount_paid": lambda _now: _money(charge.paid),
        "charge_type": enum(charge.kind),
        "priority": lambda _now: unsigned(charge.priority),
        "unit_charge_active": lambda _now: charge.unit.to_data(),
        "unit_charge_passive": lambda _now: (charge.passive or charge.unit).to_data(),
        "unit_charge_activation_time": lambda _now: _moment(charge.activates_at),
        "period": lambda _now: double_long_unsigned(charge.period_s),
        "charge_configuration": bit_string(f"{charge.kind is ChargeType.PAYMENT_EVENT:d}{charge.continuous:d}"),
        "last_collection_time": lambda _now: Data(Tag.DATE_TIME, _moment(charge.last_at).value),
        "last_collection_amount": lambda _now: _money(charge.last_amount),
        "total_amount_remaining": lambda _now: _money(charge.remaining),
        "proportion": lambda _now: long_unsigned(charge.proportion),
    }


def _number_in_use(account: Account) -> int:
    used = account.in_use
    return 0 if used is None else account.credits.index(used) + 1


def _moment(at: datetime | None) -> Data:
    return octet_string(NOT_SPECIFIED_TIME) if at is None else fields.instant(at)


def _money(amount: int) -> Data:
    """An amount as it travels; one beyond its type is shown as the largest there is."""
    return double_long(max(min(amount, AMOUNT_MAX), -AMOUNT_MAX))
