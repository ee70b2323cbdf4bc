"""Work that is told to end by a signal gives back what it holds."""

import asyncio
import os
import signal

import pytest
import typer

from amity.cli.ending import run_until_told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_work_in_good_order(number: signal.Signals) -> None:
    given_back = []

    async def holding() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(60)
        finally:
            given_back.append("the meter")

    with pytest.raises(typer.Exit) as ended:
        run_until_told(holding())
    assert given_back == ["the meter"]
    assert ended.value.exit_code == 128 + number


def test_work_that_nobody_ends_returns_or_raises_what_it_will() -> None:
    async def done(value: int) -> int:
        return 7 // value

    assert run_until_told(done(1)) == 7
    with pytest.raises(ZeroDivisionError):
        run_until_told(done(0))
