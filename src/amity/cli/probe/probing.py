"""Carrying out an examination of the connection doctor: its attempts over real sockets and lines, its pauses."""

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable
from typing import Any

from amity.devices.doctor import Attempt, Examination, Finding, Link, Pause, Reached
from amity.kernel.errors import AmityError
from amity.transports.channel import MeterChannel
from amity.transports.failures import ConnectionFailedError, ConnectionRefusedByPeerError, SerialPortError

Open = Callable[[Link], Awaitable[MeterChannel]]

_FAREWELL_TIMEOUT_S = 2.0


async def carry_out(examination: Examination[Finding], open_channel: Open, *, timeout_s: float) -> Finding:
    """Lead an examination to its end; raise what ends it, and TransportError at once when there is no way to the meter.

    `timeout_s` is for each answer.
    """
    try:
        step = next(examination)
        while True:
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                step = examination.send(None)
                continue
            try:
                reached = await _attempt(step, open_channel, timeout_s)
            except AmityError as error:
                if _is_no_way(error):
                    raise
                step = examination.throw(error)
            else:
                step = examination.send(reached)
    except StopIteration as finished:
        finding: Finding = finished.value
        return finding
    finally:
        examination.close()


def _is_no_way(error: AmityError) -> bool:
    """True when nobody is there to be asked in another way; a port may still take another speed than this one."""
    if isinstance(error, SerialPortError):
        return getattr(error.__cause__, "errno", None) not in {None, errno.EINVAL}
    return isinstance(error, ConnectionRefusedByPeerError | ConnectionFailedError)


async def _attempt(attempt: Attempt[Any], open_channel: Open, timeout_s: float) -> Reached:
    channel = await open_channel(attempt.link)
    try:
        value = await channel.run(attempt.conversation, timeout_s)
        return Reached(value, await _farewell(attempt, channel, value, timeout_s))
    finally:
        await channel.close()


async def _farewell(attempt: Attempt[Any], channel: MeterChannel, value: Any, timeout_s: float) -> bool | None:
    """Many meters just close, or stay silent, when released."""
    if attempt.farewell is None:
        return None
    with contextlib.suppress(AmityError):
        return await channel.run(attempt.farewell(value), min(timeout_s, _FAREWELL_TIMEOUT_S))
    return False
