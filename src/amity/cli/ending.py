"""Work that ends in good order when it is told to, by whichever signal."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import typer

T = TypeVar("T")
_TOLD_BY: Final = (signal.SIGTERM, signal.SIGHUP)
_STATUS_OF_SIGNALS: Final = 128


def run_until_told(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns; a SIGTERM or SIGHUP cancels it as Ctrl-C does, so that it gives back what it holds."""
    told: list[int] = []

    async def main() -> T:
        working = asyncio.ensure_future(work)

        def end(number: int) -> None:
            told.append(number)
            working.cancel()

        for number in _TOLD_BY:
            asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await working

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if not told:
            raise
        raise typer.Exit(_STATUS_OF_SIGNALS + told[0]) from None
