"""Waiting for something to become true in another process, and giving up with a reason."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from amity.kernel.errors import TransportError

_LOOK_EVERY_S = 0.2


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, logs: Path, limit_s: float) -> None:
    """Return when the condition holds; raise TransportError that points to the logs when it does not in time."""
    try:
        async with asyncio.timeout(limit_s):
            while not await condition():  # noqa: ASYNC110 - what is waited for lives in another process
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError as error:
        raise TransportError(
            f"waited {limit_s:g} s for {what}", answer="nothing", next_step=f"look into the newest file in {logs}"
        ) from error


async def listens(port: int, host: str = "127.0.0.1") -> bool:
    """True when something takes connections on the port."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
