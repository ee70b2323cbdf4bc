"""A connection to one meter that carries APDUs in HDLC (IEC 62056-46): over TCP, or a serial line after its sign-on."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Self

from amity.devices.client.conversation import Unanswered
from amity.kernel.errors import AmityError, LocalProtocolError
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.events import Connected, Deliver, Disconnected, Ending, Event, Notice, Send, WakeAt
from amity.protocols.hdlc.frame import HdlcError
from amity.protocols.hdlc.primary import Primary, State
from amity.protocols.hdlc.station import LinkSettings
from amity.protocols.iec62056_21.sign_on import SignOnSettings
from amity.transports.alarm import Alarm
from amity.transports.channel import UNSOLICITED_WAITING_MAX, MeterChannel
from amity.transports.failures import (
    ConnectionClosedError,
    LinkRefusedError,
    PartialFrameError,
    TimerT1Error,
)
from amity.transports.line import Line, SerialSettings, open_serial_line, open_tcp_line
from amity.transports.sign_on import sign_on

_LEAVE_TIMEOUT_S = 0.5
_NOT_CONNECTED = "the HDLC link is not connected"


@dataclass(frozen=True, slots=True)
class HdlcRoute:
    """Between whom an HDLC link goes, and how it behaves."""

    client: Address
    server: Address
    settings: LinkSettings = LinkSettings()  # noqa: RUF009 - frozen, so one default serves all


class HdlcChannel(MeterChannel):
    """A channel over one HDLC link, which is set up when the channel is opened and taken down when it is closed."""

    __slots__ = ("_driver", "_line")

    def __init__(self, line: Line, route: HdlcRoute) -> None:
        super().__init__()
        self._line = line
        self._driver = _Driver(line, Primary(route.client, route.server, route.settings), self.unsolicited)

    @classmethod
    async def open_tcp(cls, host: str, port: int, route: HdlcRoute, connect_timeout_s: float) -> Self:
        """Connect and set the link up; raise TransportError, or HdlcError for a meter that breaks the standard."""
        return await cls.set_up(await open_tcp_line(host, port, connect_timeout_s), route, connect_timeout_s)

    @classmethod
    async def open_serial(
        cls,
        device: str,
        serial: SerialSettings,
        route: HdlcRoute,
        connect_timeout_s: float,
        signing_on: SignOnSettings | None = None,
    ) -> Self:
        """Open the port, sign on where the meter wants it, and set the link up; raises as `open_tcp` does."""
        line = await open_serial_line(device, serial)
        if signing_on is not None:
            try:
                await sign_on(line, signing_on)
            except BaseException:
                await line.close()
                raise
        return await cls.set_up(line, route, connect_timeout_s)

    @classmethod
    async def set_up(cls, line: Line, route: HdlcRoute, timeout_s: float) -> Self:
        """Set the link up on a line that is open; the line ends with the channel; raises as `open_tcp` does."""
        channel = cls(line, route)
        try:
            await channel._driver.connect(timeout_s)
        except BaseException:
            await channel.close()
            raise
        return channel

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send one APDU and return the answer's.

        An `Unanswered` one goes out with the next; without any, the meter is asked for its next APDU, and silence
        brings no octets.

        Raises:
            PartialFrameError: a frame began and never became whole.
            TimerT1Error: nothing came within `timeout_s`, or to any of the link's own questions.
            LinkRefusedError: the meter has left the link.
            ConnectionClosedError: the line has ended.
            HdlcError: the meter broke the standard, or cannot go on after what we sent.
        """
        self._driver.request(apdu, more=isinstance(apdu, Unanswered))
        if isinstance(apdu, Unanswered):
            return b""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    answer = await self._driver.next_apdu()
                    if self._is_answer(answer):
                        return answer
        except TimeoutError as error:
            if not apdu and not self._driver.unfinished_octets:
                return b""
            raise self._driver.late(timeout_s) from error

    async def close(self) -> None:
        """Take the link down, if the meter answers soon, and close the line; does nothing when it is closed already."""
        await self._driver.leave(_LEAVE_TIMEOUT_S)
        await self._line.close()


class _Driver:
    """Carries the events of one link to its line and the clock, and wakes the one who waits."""

    def __init__(self, line: Line, link: Primary, unsolicited: deque[bytes]) -> None:
        self._line = line
        self._link = link
        self._unsolicited = unsolicited
        self._alarm = Alarm(lambda: self._act(link.wake(self._alarm.now_s)))
        self._apdus: deque[bytes] = deque(maxlen=UNSOLICITED_WAITING_MAX)
        self._failure: AmityError | None = None
        self._noise_before = 0
        self._waiter: asyncio.Future[None] | None = None
        line.listener = self._heard

    @property
    def unfinished_octets(self) -> int:
        """How many octets have come since the last request that belong to no whole frame; a flag alone is nothing."""
        octets = self._link.pending_octets + self._link.noise_octets - self._noise_before
        return octets if octets > 1 else 0

    def late(self, timeout_s: float) -> PartialFrameError | TimerT1Error:
        """What silence means now."""
        if self.unfinished_octets:
            ending = f"silence until {timeout_s:g} s were over"
            return PartialFrameError(self._line.address, self.unfinished_octets, ending)
        return TimerT1Error(self._line.address, timeout_s)

    async def connect(self, timeout_s: float) -> None:
        """Set the link up within `timeout_s`."""
        self._act(self._link.connect(self._alarm.now_s))
        try:
            async with asyncio.timeout(timeout_s):
                while self._link.state is State.CONNECTING and self._failure is None:
                    await self._something()
        except TimeoutError as error:
            raise self.late(timeout_s) from error
        if self._failure is not None:
            raise self._failure

    def request(self, apdu: bytes, *, more: bool) -> None:
        """Send an APDU, or ask for the next one; answers that came before it answer nothing and are dropped."""
        if self._waiter is not None:
            raise LocalProtocolError("a request is sent while another one waits for its answer")
        if self._failure is not None:
            raise self._failure
        self._noise_before = self._link.noise_octets
        if apdu:
            self._apdus.clear()
            self._act(self._link.send(apdu, self._alarm.now_s, more=more))
        elif not self._apdus:
            self._act(self._link.poll(self._alarm.now_s))

    async def next_apdu(self) -> bytes:
        """Wait for the next APDU; raise what ended the link."""
        while not self._apdus:
            if self._failure is not None:
                raise self._failure
            await self._something()
        return self._apdus.popleft()

    async def leave(self, timeout_s: float) -> None:
        """Take the link down; a meter that does not answer in time is left all the same."""
        if not self._line.ended:
            self._act(self._link.disconnect(self._alarm.now_s))
        try:
            async with asyncio.timeout(timeout_s):
                while self._link.state is not State.DISCONNECTED and not self._line.ended:
                    await self._something()
        except TimeoutError:
            pass  # the line is closed next
        finally:
            self._alarm.set(None)

    async def _something(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # -------------------------------------------------------------- called by line and clock
    def _heard(self, octets: bytes) -> None:
        if self._line.ended:
            self._alarm.set(None)
            self._fail(self._ended())
        else:
            self._act(self._link.receive(octets, self._alarm.now_s))

    def _act(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Send(octets):
                    self._line.write(octets)
                case WakeAt(at_s):
                    self._alarm.set(at_s)
                case Deliver(_, apdu):
                    self._apdus.append(apdu)
                    self._wake()
                case Notice(_, apdu):
                    self._unsolicited.append(apdu)
                case Connected():
                    self._wake()
                case Disconnected(_, ending, detail):
                    self._fail(self._meaning(ending, detail))

    def _fail(self, error: AmityError) -> None:
        self._failure = self._failure or error
        self._wake()

    def _ended(self) -> AmityError:
        if self.unfinished_octets:
            return PartialFrameError(self._line.address, self.unfinished_octets, "the end of the connection")
        return ConnectionClosedError(self._line.address)

    def _meaning(self, ending: Ending, detail: str) -> AmityError:
        if ending is Ending.SILENT:
            settings = self._link.settings
            return self.late(settings.response_timeout_s * (settings.retries + 1))
        if ending is Ending.REFUSED:
            return LinkRefusedError(self._line.address, detail)
        if ending is Ending.RELEASED:
            return LocalProtocolError(_NOT_CONNECTED, next_step="open the channel anew")
        return HdlcError(
            f"the HDLC link broke: {detail}",
            tried=f"an HDLC link to {self._line.address}",
            next_step="try again with the standard's own link parameters (128 octets, window 1)",
        )

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
