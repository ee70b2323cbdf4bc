"""A meter with everything that can be set and told to act, and clients of each role: what the helper tests share."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from amity.devices.client import Conversation, Session
from amity.devices.cosem.disconnect import DISCONNECT_CONTROL_OBIS
from amity.devices.equipment.living import LivingObjects, Part
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import DISCONNECT_CONTROL, Role
from amity.devices.objects import CosemObject
from amity.devices.server import ClientAccess, MeterServer, MeterSettings
from amity.protocols.dlms.data import Data, boolean, enum
from tests.unit.devices.conversing import METER_TITLE, NOW, Line, access, chance, counter, lead, settings_for

Result = TypeVar("Result")
MANAGEMENT, CONTROL, READING = 1, 3, 2
_ROLES = {MANAGEMENT: Role.MANAGEMENT, CONTROL: Role.CONTROL, READING: Role.READING}


def slow_relay(seconds: int) -> StoredObject:
    """A relay that takes its time: the state of its control changes at once, its output later."""
    told: list[datetime] = []

    def output(now: datetime) -> Data:
        return boolean(not told or now < told[0] + timedelta(seconds=seconds))

    return StoredObject(
        DISCONNECT_CONTROL,
        DISCONNECT_CONTROL_OBIS,
        {"output_state": output, "control_state": lambda _now: enum(not told), "control_mode": enum(4)},
        methods={"remote_disconnect": lambda _, now: told.append(now)},
    )


class EquippedMeter:
    """A meter of these objects; `now` moves only when a test moves it, and by `silence_s` while it is listened to."""

    def __init__(
        self, objects: Iterable[CosemObject], parts: Iterable[Part] = (), *, silence_s: int = 0, **limits: object
    ) -> None:
        self.now: datetime = NOW
        self.silence_s = silence_s
        clients = tuple(ClientAccess(client, role=role) for client, role in _ROLES.items())
        settings = MeterSettings("AMY0000000000007", METER_TITLE, clients, **limits)  # type: ignore[arg-type]
        model = LivingObjects(objects, tuple(parts))
        self.server = MeterServer(settings, model, random_octets=chance(99), next_invocation_counter=counter())
        self.requests = 0

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)

    def visit(self, client: int = MANAGEMENT) -> "Visit":
        return Visit(self, client)


class Visit:
    """One association; it ends when another begins."""

    def __init__(self, meter: EquippedMeter, client: int) -> None:
        self._meter = meter
        self._line = Line(meter.server, client)
        self.session: Session = self._line.associate(settings_for(access(client=client)))

    def lead(self, conversation: Conversation[Result]) -> Result:
        return lead(conversation, self._answer)

    def leave(self) -> None:
        self._line.association.close()

    def _answer(self, request: bytes) -> bytes | None:
        association = self._line.association
        if not request:
            self._meter.wait(seconds=self._meter.silence_s)
            return association.following()
        self._meter.requests += 1
        return association.receive(request, self._meter.now)
