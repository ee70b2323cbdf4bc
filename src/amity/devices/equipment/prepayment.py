"""A payment account: credits that are used up in their order, charges that fall due, a relay that cuts at zero.

All amounts are in the smallest unit of the currency. What is due is collected every quarter of an hour, from the
consumption that the meter has counted until then; `advance(now)` goes through every quarter that has passed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from amity.devices.cosem.disconnect import SwitchEvent
from amity.devices.cosem.payment import (
    NOTHING_SPECIAL,
    PROPORTION_WHOLE,
    AccountStatus,
    ChargeType,
    CreditConfiguration,
    CreditStatus,
    CreditType,
    PaymentMode,
    UnitCharge,
)
from amity.devices.equipment.relay import Relay

TICK = timedelta(minutes=15)
AMOUNT_MAX = (1 << 31) - 1
"""Amounts travel as double-long."""

_TICKS_AT_ONCE_MAX = 4096  # after six weeks unasked, ticks get longer

Count = Callable[[datetime], int]
"""What the meter has counted until an instant, in the commodity's own unit (Wh)."""


@dataclass(slots=True)
class Credit:
    """One source of money. It can be used down to `limit`; `selected` once its use has been confirmed."""

    kind: CreditType
    priority: int
    amount: int = 0
    limit: int = 0
    warning_threshold: int = 0
    preset: int = 0
    available_threshold: int = 0
    configuration: CreditConfiguration = NOTHING_SPECIAL
    status: CreditStatus = CreditStatus.ENABLED
    selected: bool = False

    @property
    def usable(self) -> int:
        """What can still be taken."""
        return max(self.amount - self.limit, 0)

    @property
    def waits(self) -> bool:
        """True while somebody must confirm before it is used."""
        return bool(self.configuration & CreditConfiguration.CONFIRMATION_NEEDED) and not self.selected

    def add(self, amount: int) -> None:
        """Change the amount, which stays within what can travel."""
        self.amount = max(min(self.amount + amount, AMOUNT_MAX), -AMOUNT_MAX)


@dataclass(slots=True)
class Charge:
    """One reason to pay. A debt is collected until nothing is `remaining`, a `continuous` charge for ever."""

    kind: ChargeType
    priority: int
    unit: UnitCharge
    period_s: int = 0
    proportion: int = 0
    continuous: bool = True
    remaining: int = 0
    passive: UnitCharge | None = None
    activates_at: datetime | None = None
    paid: int = 0
    last_amount: int = 0
    last_at: datetime | None = None
    counted_from: int = 0
    """What the meter had counted when this price began, in the commodity's own unit."""
    charged: int = 0
    """What was charged under this price."""

    @property
    def per_units(self) -> int:
        """How many units of the commodity one price is for."""
        return int(10 ** max(self.unit.commodity_scale, 0))

    def due(self, start: datetime, end: datetime, count: Count) -> int:
        """What falls due between two ticks."""
        if self.kind is ChargeType.CONSUMPTION:
            return self._for_consumption(count(end))
        if self.kind is ChargeType.TIME and self.period_s:
            periods = int(end.timestamp()) // self.period_s - int(start.timestamp()) // self.period_s
            return self._bounded(periods * self.unit.price)
        return 0

    def share_of(self, payment: int) -> int:
        """What a payment event costs."""
        if self.kind is not ChargeType.PAYMENT_EVENT:
            return 0
        return self._bounded(payment * self.proportion // PROPORTION_WHOLE)

    def collected(self, amount: int, at: datetime) -> None:
        """Note that it was paid."""
        if not amount:
            return
        self.paid = min(self.paid + amount, AMOUNT_MAX)
        self.remaining = max(self.remaining - amount, 0)
        self.last_amount, self.last_at = amount, at

    def owe(self, amount: int) -> None:
        """Set what is still to be collected."""
        self.remaining = max(min(amount, AMOUNT_MAX), 0)

    def activate_passive(self, counted: int) -> None:
        """Let the next price hold for everything above `counted`."""
        if self.passive is not None:
            self.unit, self.passive = self.passive, None
            self.begin(counted)
        self.activates_at = None

    def begin(self, counted: int) -> None:
        """Charge what is counted from here on."""
        self.counted_from, self.charged = counted, 0

    def _bounded(self, amount: int) -> int:
        return amount if self.continuous else min(amount, self.remaining)

    def _for_consumption(self, counted: int) -> int:
        """What this price makes of all that was counted under it, less what was charged before: no fraction is lost."""
        whole = max(self.unit.price * (counted - self.counted_from), 0) // self.per_units
        amount, self.charged = whole - self.charged, whole
        return amount


@dataclass(slots=True)
class Account:
    """Credits in the order of their priority, and charges; in prepayment mode `relay` is cut when all is used up."""

    credits: list[Credit]
    charges: list[Charge]
    count: Count
    advanced_to: datetime
    relay: Relay | None = None
    mode: PaymentMode = PaymentMode.PREPAYMENT
    status: AccountStatus = AccountStatus.ACTIVE
    clearance_threshold: int = 0
    low_credit_threshold: int = 0
    activated_at: datetime | None = None
    closed_at: datetime | None = None
    _cut: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        """Consumption before the account began is not charged."""
        if self.status is AccountStatus.ACTIVE:
            self.activate(self.advanced_to)

    @property
    def by_priority(self) -> list[Credit]:
        """The credits in the order in which they are used."""
        return sorted(self.credits, key=lambda credit: credit.priority)

    @property
    def in_use(self) -> Credit | None:
        """The credit that is being used, None when all are used up."""
        return next((credit for credit in self.credits if credit.status is CreditStatus.IN_USE), None)

    @property
    def available(self) -> int:
        """What can be used without anybody confirming anything."""
        return sum(credit.usable for credit in self.credits if not credit.waits)

    @property
    def amount_to_clear(self) -> int:
        """What must be paid before supply comes back."""
        if self.in_use is not None:
            return 0
        return sum(max(credit.limit - credit.amount, 0) for credit in self.credits) + self.clearance_threshold

    @property
    def debt(self) -> int:
        """What all charges still want."""
        return sum(charge.remaining for charge in self.charges)

    def advance(self, now: datetime) -> None:
        """Collect everything that fell due until the last quarter of an hour before `now`."""
        if self.status is not AccountStatus.ACTIVE:
            self.advanced_to = now
            return
        ticks = (now - self.advanced_to) // TICK
        stride = TICK * max(-(-ticks // _TICKS_AT_ONCE_MAX), 1)
        while self.advanced_to + stride <= now:
            self._tick(self.advanced_to, self.advanced_to + stride)

    def collect(self, charge: Charge, now: datetime) -> bool:
        """Collect one charge at once; False for an account that is not open: nothing falls due in it."""
        if self.status is not AccountStatus.ACTIVE:
            return False
        self._pay(charge, charge.due(self.advanced_to, now, self.count), now)
        self.settle(now)
        return True

    def top_up(self, amount: int, now: datetime) -> None:
        """Take a payment: its share goes to charges on payments, then emergency credit is paid back, then the rest."""
        left = amount
        for charge in self.charges:
            share = min(charge.share_of(amount), left)
            charge.collected(share, now)
            left -= share
        left -= sum(self._pay_back(credit, left) for credit in self.credits)
        token = next((credit for credit in self.credits if credit.kind is CreditType.TOKEN), None)
        if token is not None:
            token.add(left)
        self.settle(now)

    def select(self, credit: Credit, now: datetime) -> bool:
        """Confirm the use of a credit; False when it cannot be selected now."""
        if credit.status is not CreditStatus.SELECTABLE:
            return False
        credit.selected = True
        credit.add(credit.preset)
        self.settle(now)
        return True

    def activate(self, now: datetime) -> None:
        """Open the account; what is counted from now on is charged."""
        self.status, self.activated_at, self.advanced_to = AccountStatus.ACTIVE, now, now
        for charge in self.charges:
            charge.begin(self.count(now))
        self.settle(now)

    def close(self, now: datetime) -> None:
        """Close the account: nothing is collected any more."""
        self.status, self.closed_at = AccountStatus.CLOSED, now

    def reset(self, now: datetime) -> None:
        """Set all credits to zero."""
        for credit in self.credits:
            credit.amount, credit.selected = 0, False
        self.settle(now)

    def settle(self, now: datetime) -> None:
        """Say of each credit where it stands, and switch the relay when that changes whether there is any."""
        used = False
        for credit in self.by_priority:
            credit.status = self._status(credit, first=not used)
            used = used or credit.status is CreditStatus.IN_USE
        self._switch(now)

    # -------------------------------------------------------------- inside a tick
    def _tick(self, start: datetime, end: datetime) -> None:
        self.advanced_to = end
        for charge in self.charges:
            if charge.activates_at is not None and charge.activates_at <= end:
                charge.activate_passive(self.count(start))
            self._pay(charge, charge.due(start, end, self.count), end)
        self.settle(end)

    def _pay(self, charge: Charge, amount: int, at: datetime) -> None:
        charge.collected(amount, at)
        usable = [credit for credit in self.by_priority if not credit.waits]
        for credit in usable:
            taken = min(amount, credit.usable)
            credit.add(-taken)
            amount -= taken
        if usable:  # consumption until the relay opened: the first one goes below its limit
            usable[0].add(-amount)

    def _pay_back(self, credit: Credit, left: int) -> int:
        if not credit.selected or not credit.configuration & CreditConfiguration.PAID_BACK:
            return 0
        paid = min(left, max(credit.preset - credit.amount, 0))
        credit.add(paid)
        if credit.amount >= credit.preset:  # whole again: it can be selected another time
            credit.amount, credit.selected = credit.amount - credit.preset, False
        return paid

    def _status(self, credit: Credit, *, first: bool) -> CreditStatus:
        if credit.waits:
            near = self.available <= credit.available_threshold
            return CreditStatus.SELECTABLE if near and credit.preset else CreditStatus.ENABLED
        if not credit.usable:
            return CreditStatus.EXHAUSTED
        if first:
            return CreditStatus.IN_USE
        return CreditStatus.SELECTED if credit.selected else CreditStatus.ENABLED

    def _switch(self, now: datetime) -> None:
        if self.relay is None or self.mode is not PaymentMode.PREPAYMENT or self.status is not AccountStatus.ACTIVE:
            return
        if self.in_use is None and not self._cut:
            self._cut = self.relay.apply(SwitchEvent.LOCAL_DISCONNECT, now)
        elif self.in_use is not None and self._cut:
            self.relay.apply(SwitchEvent.LOCAL_RECONNECT, now)
            self._cut = False
