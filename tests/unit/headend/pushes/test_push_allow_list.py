"""Callers from elsewhere are cut off before an octet of theirs is read."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from amity.headend.calls.desk import CallDesk
from amity.headend.calls.lines import CalledLines
from amity.headend.pushes.desk import PushDesk
from amity.transports.caller_listener import CallerListener


@pytest.mark.parametrize("allowed", [True, False])
async def test_only_callers_that_are_allowed_are_listened_to(make_bench: Callable[..., object], allowed: bool):
    bench = make_bench(1)
    listener = PushDesk(bench.surroundings, bench.database.push_counters)
    desk = CallDesk(listener, CalledLines(), bench.surroundings)
    door = CallerListener(desk, allows=lambda peer: allowed and bool(peer))
    port = await door.start("127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(OSError):
            writer.write(b"\x00\x01\x00\x01\x00\x01\x00\x01\x00")
            await writer.drain()
            writer.write_eof()
            await reader.read()
        writer.close()
    finally:
        await door.close()
    assert door.turned_away == (0 if allowed else 1)
    assert bool(listener.parking.counts) is allowed
