"""The IEC 62056-21 sign-on over an open line."""

import asyncio
from dataclasses import replace

from amity.kernel.errors import TransportError
from amity.protocols.iec62056_21.events import Event, Failed, Send, SetLine, SignedOn, WakeAt
from amity.protocols.iec62056_21.sign_on import SignOn, SignOnSettings
from amity.transports.alarm import Alarm
from amity.transports.failures import ConnectionClosedError, SerialPortError, SignOnFailedError
from amity.transports.line import Line


async def sign_on(line: Line, settings: SignOnSettings) -> SignedOn:
    """Sign on and leave the line as the mode needs it; a line without seven bits has the parity bit made by hand.

    Raise SignOnFailedError, ConnectionClosedError, or SerialPortError for a line that takes no setting at all.
    """
    try:
        return await _called(line, settings)
    except SerialPortError:
        if settings.parity_by_hand:
            raise
        return await _called(line, replace(settings, parity_by_hand=True))


async def _called(line: Line, settings: SignOnSettings) -> SignedOn:
    calling = _Calling(line, SignOn(settings))
    try:
        return await calling.result
    finally:
        calling.stop()


class _Calling:
    """Carries the events of one sign-on to its line and the clock."""

    def __init__(self, line: Line, machine: SignOn) -> None:
        self._line = line
        self._machine = machine
        self._alarm = Alarm(lambda: self._act(machine.wake(self._alarm.now_s)))
        self.result: asyncio.Future[SignedOn] = asyncio.get_running_loop().create_future()
        line.listener = self._heard
        self._act(machine.start(self._alarm.now_s))

    def stop(self) -> None:
        """Leave line and clock alone."""
        self._alarm.set(None)
        self._line.listener = None

    def _heard(self, octets: bytes) -> None:
        if not self._line.ended:
            self._act(self._machine.receive(octets, self._alarm.now_s))
        else:
            self._finish(ConnectionClosedError(self._line.address))

    def _act(self, events: list[Event]) -> None:
        try:
            for event in events:
                self._do(event)
        except SerialPortError as error:
            self._finish(error)

    def _do(self, event: Event) -> None:
        match event:
            case Send(octets):
                self._line.write(octets)
            case SetLine(baud, seven_bits_even):
                self._line.set_serial(baud, seven_bits_even=seven_bits_even)
            case WakeAt(at_s):
                self._alarm.set(at_s)
            case SignedOn():
                self._finish(event)
            case Failed(detail, answer):
                self._finish(SignOnFailedError(self._line.address, detail, answer))

    def _finish(self, outcome: SignedOn | TransportError) -> None:
        if self.result.done():
            return
        if isinstance(outcome, SignedOn):
            self.result.set_result(outcome)
        else:
            self.result.set_exception(outcome)
