"""What a simulated meter has besides measuring: relay, limiter, prepayment, image store, tariffs, sub-meters.

As it leaves the factory nothing of it changes anything: the relay is closed, the limiter has no script to run, the
account is not opened, the calendar switches tariffs when the registers do it anyway. It begins to act when a client
with the right to do so says so.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from amity.devices.cosem.calendar import TARIFF_SCRIPTS
from amity.devices.cosem.disconnect import DISCONNECT_CONTROL_OBIS, ControlState, SwitchEvent
from amity.devices.cosem.image import Image
from amity.devices.cosem.limits import MonitoredValue, ScriptCall
from amity.devices.cosem.monitoring import DISCONNECT_SCHEDULE_OBIS
from amity.devices.cosem.payment import (
    AccountStatus,
    ChargeType,
    CreditConfiguration,
    CreditType,
    PaymentMode,
    TokenStatus,
    UnitCharge,
)
from amity.devices.equipment.action_schedule import ActionSchedule, single_action_schedule
from amity.devices.equipment.image_store import ImageStore, image_transfer
from amity.devices.equipment.limiter import Limiter, Limits, limiter_object
from amity.devices.equipment.living import LivingObjects, Part
from amity.devices.equipment.mbus_client import mbus_client, mbus_value
from amity.devices.equipment.payment_objects import payment_objects
from amity.devices.equipment.prepayment import Account, Charge, Credit
from amity.devices.equipment.relay import Relay, disconnect_control
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS, Action, Scripts, Service
from amity.devices.equipment.token_gateway import TokenGateway, TokenVerdict, token_gateway
from amity.devices.interface_classes import DISCONNECT_CONTROL, Role
from amity.devices.objects import CosemObject, ObjectModel, data_object
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.protocols.dlms.data import integer, octet_string
from amity.simulation.keys import derive
from amity.simulation.meter import SimulatedMeter
from amity.simulation.sub_meters import wired_sub_meters
from amity.simulation.tariffs import Tariffs

ACTIVE_FIRMWARE = Obis.parse("1.0.0.2.0.255")
IMPORT_POWER = MonitoredValue(3, Obis.parse("1.0.1.7.0.255"), 2)
TOTAL_IMPORT = Obis.parse("1.0.1.8.0.255")
TOKEN_OCTETS = 20
"""A token: number (4), amount (4), and the first twelve octets of an HMAC-SHA-256 over both."""

_FACTORY_FIRMWARE = b"1.0.0"
_MODE_WITH_LOCAL_RECONNECTION = 6
_LIMIT_W = 17_250  # three phases of 25 A
_EMERGENCY_W = 2_300
_PRICE = UnitCharge(31, commodity_scale=3, commodity=(3, TOTAL_IMPORT, 2))  # cents for a kWh
_STANDING_CHARGE_PER_DAY = UnitCharge(25)
_DAY_S = 86_400
_EMERGENCY_CREDIT = 500
_IMPORT_CHANNEL = 0
_DIGEST_OCTETS = 32
_MAC_OCTETS = 12


def firmware(version: bytes, content: bytes) -> Image:
    """An image that a simulated meter takes: the content, and its SHA-256 behind it."""
    return Image(version, content + hashlib.sha256(content).digest())


def make_token(key: bytes, number: int, amount: int) -> bytes:
    """A token worth `amount` cents for the meter of this key; each number counts once."""
    body = number.to_bytes(4, "big") + amount.to_bytes(4, "big")
    return body + hmac.digest(key, body, "sha256")[:_MAC_OCTETS]


def token_key(meter: SimulatedMeter) -> bytes:
    """The secret between whoever sells tokens and this meter."""
    return derive(meter.element.faults.seed, meter.serial, "token", _DIGEST_OCTETS)


def equipped(meter: SimulatedMeter, started: datetime, daily: ObjectModel) -> LivingObjects:
    """Everything that the meter has besides measuring; it has been there since `started`. `daily` is what it shows."""
    equipment = Equipment(meter, started, daily)
    return LivingObjects(equipment.objects(), equipment.parts)


@dataclass
class Equipment:
    """The parts of one meter, wired to each other."""

    meter: SimulatedMeter
    started: datetime
    daily: ObjectModel
    relay: Relay = field(init=False)
    firmware: bytes = _FACTORY_FIRMWARE
    _tokens_used: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Wire them."""
        self.relay = Relay(_MODE_WITH_LOCAL_RECONNECTION, switched=self._switched)
        self._tariffs = Tariffs(self.meter, self.started, self.daily, self._run_for_management)
        self._scripts = Scripts(
            {
                DISCONNECT_SCRIPTS: {1: self._script(1), 2: self._script(2)},
                TARIFF_SCRIPTS: self._tariffs.scripts(),
            }
        )
        self._limiter = self._limits()
        ahead = timedelta(minutes=self.meter.profile.clock.standard_offset_min)
        self._schedule = ActionSchedule(self._run, self.started, ahead=ahead)
        self._account = self._prepayment()
        self._images = ImageStore(self._verify, self._activate, verification_s=2, activation_s=5)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What goes on while nobody looks."""
        return *self._tariffs.parts, self._schedule, self._limiter, self._account, self._images

    def objects(self) -> Iterator[CosemObject]:
        """All of it as COSEM objects."""
        yield disconnect_control(self.relay)
        yield limiter_object(self._limiter)
        yield from self._scripts.objects()
        yield single_action_schedule(self._schedule, DISCONNECT_SCHEDULE_OBIS, changed_by=Role.CONTROL)
        yield image_transfer(self._images)
        yield data_object(ACTIVE_FIRMWARE, lambda _now: octet_string(self.firmware))
        yield from payment_objects(self._account, "EUR")
        yield token_gateway(TokenGateway(self._account, self._read_token))
        yield from self._tariffs.objects()
        for channel in wired_sub_meters(self.meter):
            yield mbus_client(channel)
            yield mbus_value(channel)

    # -------------------------------------------------------------- supply
    def power_w(self, at: datetime) -> int:
        """Import now; nothing while the relay is open."""
        return self.meter.element.power_w(_IMPORT_CHANNEL, epoch_s(at))

    def supplied_wh(self, at: datetime) -> int:
        """Import since ever."""
        return self.meter.element.total(_IMPORT_CHANNEL, 0, epoch_s(at))

    def _switched(self, state: ControlState, at: datetime) -> None:
        self.meter.switch_supply(at, on=state is ControlState.CONNECTED)

    def _script(self, method: int) -> Action:
        event = SwitchEvent.LOCAL_DISCONNECT if method == 1 else SwitchEvent.LOCAL_RECONNECT
        return Action(
            Service.EXECUTE, DISCONNECT_CONTROL.class_id, DISCONNECT_CONTROL_OBIS, method, integer(0),
            lambda now: self.relay.apply(event, now),
        )  # fmt: skip

    def _limits(self) -> Limiter:
        limits = Limits(IMPORT_POWER, _LIMIT_W, _EMERGENCY_W, over_s=120, under_s=600)
        return Limiter(limits, self.power_w, self._run, self.started)

    def _run(self, script: ScriptCall, at: datetime) -> None:
        self._scripts.run(script, at)

    def _run_for_management(self, script: ScriptCall, at: datetime) -> None:
        self._scripts.run_for_management(script, at)

    # -------------------------------------------------------------- payment
    def _prepayment(self) -> Account:
        waits = CreditConfiguration.CONFIRMATION_NEEDED | CreditConfiguration.PAID_BACK
        emergency = Credit(
            CreditType.EMERGENCY, 2, preset=_EMERGENCY_CREDIT, available_threshold=100, configuration=waits
        )
        return Account(
            [Credit(CreditType.TOKEN, 1, configuration=CreditConfiguration.TAKES_TOKENS), emergency],
            [
                Charge(ChargeType.CONSUMPTION, 1, _PRICE),
                Charge(ChargeType.TIME, 2, _STANDING_CHARGE_PER_DAY, period_s=_DAY_S),
            ],
            self.supplied_wh,
            self.started,
            self.relay,
            PaymentMode.CREDIT,
            AccountStatus.NEW,
        )

    def _read_token(self, token: bytes) -> TokenVerdict:
        if len(token) != TOKEN_OCTETS:
            return TokenVerdict(TokenStatus.FORMAT_FAILURE)
        number, amount = int.from_bytes(token[:4], "big"), int.from_bytes(token[4:8], "big")
        if not hmac.compare_digest(token, make_token(token_key(self.meter), number, amount)):
            return TokenVerdict(TokenStatus.AUTHENTICATION_FAILURE)
        if number in self._tokens_used:
            return TokenVerdict(TokenStatus.VALIDATION_FAILURE, description="used before")
        self._tokens_used.add(number)
        return TokenVerdict(TokenStatus.VALIDATION_OK, amount, f"token {number}")

    # -------------------------------------------------------------- images
    def _verify(self, image: Image) -> bytes | None:
        content, digest = image.octets[:-_DIGEST_OCTETS], image.octets[-_DIGEST_OCTETS:]
        return digest if hmac.compare_digest(hashlib.sha256(content).digest(), digest) else None

    def _activate(self, image: Image, _now: datetime) -> bool:
        self.firmware = image.identifier
        return True
