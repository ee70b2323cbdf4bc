"""Callers from elsewhere are cut off before an octet of theirs is read."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from amity.headend.push_listener import PushListener


@pytest.mark.parametrize("allowed", [True, False])
async def test_only_callers_that_are_allowed_are_listened_to(make_bench: Callable[..., object], allowed: bool):
    bench = make_bench(1)
    listener = PushListener(
        bench.surroundings, bench.database.push_counters, allows=lambda peer: allowed and bool(peer)
    )
    port = await listener.start("127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x00\x01\x00\x01\x00\x01\x00\x01\x00")
        await writer.drain()
        writer.write_eof()
        with suppress(ConnectionResetError):
            await reader.read()
        writer.close()
    finally:
        await listener.close()
    assert listener.turned_away == (0 if allowed else 1)
    assert bool(listener.parking.counts) is allowed
