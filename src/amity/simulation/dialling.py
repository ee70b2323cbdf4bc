"""Meters that open the connection to the head-end and are read on it, and call again when it ends."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from amity.devices.profiles import Framing
from amity.devices.server import MeterServer
from amity.kernel.errors import TransportError
from amity.kernel.time import Clock, epoch_s
from amity.simulation.carriers import PHYSICAL_DEVICE
from amity.simulation.household import INTERVAL_S
from amity.simulation.meter import SimulatedMeter
from amity.simulation.pushes import Pusher
from amity.transports.hdlc_listener import HdlcPlace
from amity.transports.meter_dialer import dial_in

_HEARTBEAT_S: Final = 60.0
_AGAIN_AFTER_S: Final = 2.0


class Greeting(StrEnum):
    """What a meter says first: its name as a line of text, a push, or nothing until it is asked."""

    NAME = "name"
    PUSH = "push"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class DialIn:
    """Where the meters of a fleet call, and how they begin."""

    host: str
    port: int
    greeting: Greeting = Greeting.NAME
    framing: Framing = Framing.WRAPPER
    heartbeat_s: float = _HEARTBEAT_S
    again_after_s: float = _AGAIN_AFTER_S

    @property
    def place(self) -> HdlcPlace | None:
        """Where the meter stands on its line, None with the wrapper."""
        return HdlcPlace(PHYSICAL_DEVICE) if self.framing is Framing.HDLC else None


Caller = tuple[SimulatedMeter, Pusher, MeterServer]


@asynccontextmanager
async def dialling(dial: DialIn, callers: Sequence[Caller], clock: Clock) -> AsyncIterator[None]:
    """Let them call while the context is open."""
    tasks = [asyncio.create_task(_call_for_ever(dial, caller, clock)) for caller in callers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _call_for_ever(dial: DialIn, caller: Caller, clock: Clock) -> None:
    while True:
        with suppress(TransportError):
            await _call(dial, caller, clock)
        await asyncio.sleep(dial.again_after_s)


async def _call(dial: DialIn, caller: Caller, clock: Clock) -> None:
    """One connection, until it ends."""
    meter, pusher, server = caller
    dialled = await dial_in(server, dial.host, dial.port, clock=clock, place=dial.place)
    try:
        if dial.greeting is Greeting.PUSH:
            start_s = epoch_s(clock.now()) // INTERVAL_S * INTERVAL_S - INTERVAL_S
            dialled.say(pusher.interval(start_s, clock.now()) or b"")
        while not dialled.ended.done():
            if dial.greeting is Greeting.NAME:
                dialled.say(f"{meter.meter_id}\r\n".encode("ascii"))
            await asyncio.wait([dialled.ended], timeout=dial.heartbeat_s)
    finally:
        dialled.close()
