"""An examination carried out in one process: meters that answer attempts without a socket."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from amity.devices.doctor import Attempt, Doctor, Examination, Finding, Known, Link, Manners, Pause, Reached, Secrets
from amity.devices.profiles import Catalogue, Framing
from amity.devices.server import MeterServer
from amity.kernel.errors import AmityError, TransportError
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.protector import Protector
from tests.unit.devices.conversing import KEYS, NOW, PASSWORD, chance, lead

Answer = Callable[[bytes], bytes | None]


class SilenceError(TransportError):
    """No answer in time."""

    def __init__(self) -> None:
        super().__init__("silence", answer="nothing")


@dataclass
class Street:
    """Meters by (framing, server); everything sent to them is kept, and every pause."""

    meters: Mapping[tuple[Framing, int], MeterServer] = field(default_factory=dict)
    sent: list[tuple[Link, bytes]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def examine(self, known: Known | None = None, secrets: Secrets | None = None, **limits: int) -> Finding:
        doctor = Doctor(
            known or Known(),
            secrets or Secrets(),
            Catalogue(),
            chance(),
            first_counter=1000,
            tell=lambda what, answer: self.told.append((what, answer)),
            manners=Manners(pause_s=1.0, busy_pause_s=10.0, **limits),
        )
        return self.carry_out(doctor.examine())

    def carry_out(self, examination: Examination[Finding]) -> Finding:
        try:
            step = next(examination)
            while True:
                if isinstance(step, Pause):
                    self.pauses.append(step.seconds)
                    step = examination.send(None)
                    continue
                try:
                    reached = self._reach(step)
                except AmityError as error:
                    step = examination.throw(error)
                else:
                    step = examination.send(reached)
        except StopIteration as finished:
            return finished.value

    def _reach(self, attempt: Attempt) -> Reached:
        meter = self.meters.get((attempt.link.framing, attempt.link.server))
        association = None if meter is None else meter.open_association(attempt.link.client)

        def answer(request: bytes) -> bytes:
            self.sent.append((attempt.link, request))
            said = None if association is None else association.receive(request, NOW)
            if said is None:
                raise SilenceError
            return said

        try:
            value = lead(attempt.conversation, answer)
            return Reached(value, None if attempt.farewell is None else self._farewell(attempt, value, answer))
        finally:
            if association is not None:
                association.close()

    def _farewell(self, attempt: Attempt, value: object, answer: Answer) -> bool:
        try:
            return lead(attempt.farewell(value), answer)
        except SilenceError:
            return False


def given(*, password: bytes = b"", keys: Protector | None = None, clear_password: bool | None = None) -> Secrets:
    held = keys or KeyRing(0, Keys(secret=password))
    return Secrets(
        password=password, protector=lambda _suite: held, keyed=keys is not None, clear_password=clear_password
    )


RIGHT = given(password=PASSWORD, keys=KEYS, clear_password=True)
