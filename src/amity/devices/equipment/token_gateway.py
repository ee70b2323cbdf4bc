"""Where tokens come in (class 115): each is read, judged, executed, and its result kept for whoever asks."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from amity.devices.cosem import fields
from amity.devices.cosem.payment import (
    TOKEN_GATEWAY_OBIS,
    AccountStatus,
    DeliveryMethod,
    TokenStatus,
    token_status_data,
)
from amity.devices.equipment.prepayment import Account
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import TOKEN_GATEWAY
from amity.devices.objects import NOT_SPECIFIED_TIME
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, enum, octet_string
from amity.protocols.dlms.results import ActionResult


class TokenVerdict(NamedTuple):
    """What a token says: how far it was found good, and what it is worth in the smallest unit of the currency."""

    status: TokenStatus
    amount: int = 0
    description: str = ""


ReadToken = Callable[[bytes], TokenVerdict]
"""Judges a token; VALIDATION_OK is one to execute. A token that was executed before must fail its validation."""


class TokenGateway:
    """Takes tokens for one account."""

    def __init__(self, account: Account, read: ReadToken) -> None:
        self._account = account
        self._read = read
        self.token = b""
        self.entered_at: datetime | None = None
        self.verdict = TokenVerdict(TokenStatus.FORMAT_OK)
        self.delivery = DeliveryMethod.REMOTE

    def enter(self, token: bytes, now: datetime, delivery: DeliveryMethod = DeliveryMethod.REMOTE) -> TokenStatus:
        """Take a token; say what became of it."""
        self.token, self.entered_at, self.delivery = token, now, delivery
        self.verdict = self._executed(self._read(token), now)
        return self.verdict.status

    def _executed(self, verdict: TokenVerdict, now: datetime) -> TokenVerdict:
        if verdict.status is not TokenStatus.VALIDATION_OK:
            return verdict
        if self._account.status is not AccountStatus.ACTIVE:
            return verdict._replace(status=TokenStatus.EXECUTION_FAILURE)
        self._account.top_up(verdict.amount, now)
        return verdict._replace(status=TokenStatus.EXECUTION_OK)


def token_gateway(gateway: TokenGateway, obis: Obis = TOKEN_GATEWAY_OBIS) -> StoredObject:
    """Class 115: the gateway as the head-end sees it; the result of `enter` stands in token_status."""

    def enter(value: Data, now: datetime) -> ActionResult:
        gateway.enter(fields.octets(value, "token"), now)
        return ActionResult.SUCCESS

    def entered_at(_now: datetime) -> Data:
        return octet_string(NOT_SPECIFIED_TIME) if gateway.entered_at is None else fields.instant(gateway.entered_at)

    return StoredObject(
        TOKEN_GATEWAY,
        obis,
        {
            "token": lambda _now: octet_string(gateway.token),
            "token_time": entered_at,
            "token_description": lambda _now: array((octet_string(gateway.verdict.description.encode()),)),
            "token_delivery_method": lambda _now: enum(gateway.delivery),
            "token_status": lambda _now: token_status_data(gateway.verdict.status),
        },
        methods={"enter": enter},
    )
