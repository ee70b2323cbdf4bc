"""Prepayment from the head-end's side: tokens, balances, credits and prices (classes 111, 112, 113, 115)."""

import contextlib
from datetime import datetime
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.refusals import MethodRefusedError
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.payment import (
    ACCOUNT_OBIS,
    TOKEN_GATEWAY_OBIS,
    AccountStatus,
    ChargeType,
    CreditStatus,
    CreditType,
    PaymentMode,
    TokenStatus,
    UnitCharge,
)
from amity.devices.interface_classes import ACCOUNT, CHARGE, CREDIT, TOKEN_GATEWAY
from amity.kernel.errors import RemoteRefusalError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, double_long, octet_string


class TokenResult(NamedTuple):
    """What became of a token. NOT_YET_PROCESSED: ask again later with `read_token_result`."""

    status: TokenStatus
    data: str
    description: str

    @property
    def executed(self) -> bool:
        """True when the token did what it is for."""
        return self.status is TokenStatus.EXECUTION_OK


class AccountReadout(NamedTuple):
    """How an account stands, amounts in units of 10**currency_scale of the currency."""

    mode: PaymentMode
    status: AccountStatus
    available: int
    amount_to_clear: int
    debt: int
    credits: tuple[Obis, ...]
    charges: tuple[Obis, ...]
    currency: str
    currency_scale: int


class CreditReadout(NamedTuple):
    """How one credit stands."""

    obis: Obis
    kind: CreditType
    priority: int
    amount: int
    status: CreditStatus


class ChargeReadout(NamedTuple):
    """What one charge costs, has collected and still wants."""

    obis: Obis
    kind: ChargeType
    priority: int
    unit: UnitCharge
    paid: int
    last_amount: int
    remaining: int


# ------------------------------------------------------------------ tokens
def enter_token(session: Session, token: bytes, obis: Obis = TOKEN_GATEWAY_OBIS) -> Conversation[TokenResult]:
    """Give the meter a token; return what it made of it. Raises MethodRefusedError when it takes none at all."""
    yield from named.call(session, TOKEN_GATEWAY, obis, "enter", octet_string(token))
    return (yield from read_token_result(session, obis))


def read_token_result(session: Session, obis: Obis = TOKEN_GATEWAY_OBIS) -> Conversation[TokenResult]:
    """What became of the token that came last, whoever entered it."""
    status, description = yield from named.read(session, TOKEN_GATEWAY, obis, "token_status", "token_description")
    code, bits = fields.parts(status, 2, "token status")
    lines = fields.elements(description, lambda line: fields.octets(line, "token description"), "token description")
    return TokenResult(
        fields.member(TokenStatus, code, "token status"),
        fields.bits(bits, "token status data"),
        b"\n".join(lines).decode("utf-8", "backslashreplace"),
    )


# ------------------------------------------------------------------ balances
def read_account(session: Session, obis: Obis = ACCOUNT_OBIS) -> Conversation[AccountReadout]:
    """How an account stands, and which credits and charges belong to it."""
    both, available, to_clear, debt, credits_listed, charges_listed, currency = yield from named.read(
        session, ACCOUNT, obis,
        "account_mode_and_status", "available_credit", "amount_to_clear", "aggregated_debt",
        "credit_reference_list", "charge_reference_list", "currency",
    )  # fmt: skip
    mode, status = fields.parts(both, 2, "account mode and status")
    name, scale, _ = fields.parts(currency, 3, "currency")
    return AccountReadout(
        fields.member(PaymentMode, mode, "account mode"),
        fields.member(AccountStatus, status, "account status"),
        fields.number(available, "amount"),
        fields.number(to_clear, "amount"),
        fields.number(debt, "amount"),
        fields.elements(credits_listed, lambda item: fields.obis(item, "credit reference"), "credit reference list"),
        fields.elements(charges_listed, lambda item: fields.obis(item, "charge reference"), "charge reference list"),
        str(name.value),
        fields.number(scale, "currency scale"),
    )


def open_account(session: Session, obis: Obis = ACCOUNT_OBIS) -> Conversation[Data | None]:
    """Open an account: what is used from now on is charged."""
    return named.call(session, ACCOUNT, obis, "activate_account")


def close_account(session: Session, obis: Obis = ACCOUNT_OBIS) -> Conversation[Data | None]:
    """Close an account: nothing falls due any more."""
    return named.call(session, ACCOUNT, obis, "close_account")


def read_credit(session: Session, obis: Obis) -> Conversation[CreditReadout]:
    """How one credit stands."""
    kind, priority, amount, status = yield from named.read(
        session, CREDIT, obis, "credit_type", "priority", "current_credit_amount", "credit_status"
    )
    return CreditReadout(
        obis,
        fields.member(CreditType, kind, "credit type"),
        fields.number(priority, "priority"),
        fields.number(amount, "amount"),
        fields.member(CreditStatus, status, "credit status"),
    )


def read_charge(session: Session, obis: Obis) -> Conversation[ChargeReadout]:
    """What one charge costs and has collected."""
    kind, priority, unit, paid, last, remaining = yield from named.read(
        session, CHARGE, obis,
        "charge_type", "priority", "unit_charge_active", "total_amount_paid", "last_collection_amount",
        "total_amount_remaining",
    )  # fmt: skip
    return ChargeReadout(
        obis,
        fields.member(ChargeType, kind, "charge type"),
        fields.number(priority, "priority"),
        UnitCharge.from_data(unit),
        fields.number(paid, "amount"),
        fields.number(last, "amount"),
        fields.number(remaining, "amount"),
    )


# ------------------------------------------------------------------ changes
def add_credit(session: Session, obis: Obis, amount: int) -> Conversation[Data | None]:
    """Add to a credit (or take from it)."""
    return named.call(session, CREDIT, obis, "update_amount", double_long(amount))


def set_credit(session: Session, obis: Obis, amount: int) -> Conversation[Data | None]:
    """Set a credit to an amount."""
    return named.call(session, CREDIT, obis, "set_amount_to_value", double_long(amount))


def invoke_credit(session: Session, obis: Obis) -> Conversation[Data | None]:
    """Confirm that a selectable credit is used; raise MethodRefusedError when it is not selectable now."""
    return named.call(session, CREDIT, obis, "invoke_credit")


def set_price(session: Session, obis: Obis, unit: UnitCharge, activate_at: datetime) -> Conversation[None]:
    """Leave a new price with a charge, which takes it at an instant."""
    yield from named.write(session, CHARGE, obis, "unit_charge_passive", unit.to_data())
    yield from named.write(session, CHARGE, obis, "unit_charge_activation_time", fields.instant(activate_at))


def collect_charge(session: Session, obis: Obis, account: Obis = ACCOUNT_OBIS) -> Conversation[Data | None]:
    """Collect what is due now; raise MethodRefusedError, which says so where the charge's `account` is not open."""
    try:
        return (yield from named.call(session, CHARGE, obis, "collect"))
    except MethodRefusedError as refusal:
        with contextlib.suppress(RemoteRefusalError):
            status = (yield from read_account(session, account)).status
            if status is not AccountStatus.ACTIVE:
                refusal.next_step = f"its account is {status.name.lower()}: open it first (`open_account`)"
        raise
