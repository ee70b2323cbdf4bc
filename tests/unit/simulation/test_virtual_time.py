import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from amity.simulation.virtual_time import VirtualClock, run_virtually

START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def test_a_day_passes_at_once():
    async def main(clock: VirtualClock) -> datetime:
        await asyncio.sleep(86_400)
        return clock.now()

    assert run_virtually(main, START) == START + timedelta(days=1)


def test_timers_keep_their_order():
    async def main(clock: VirtualClock) -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []

        async def wake(name: str, after_s: float) -> None:
            await asyncio.sleep(after_s)
            seen.append((name, (clock.now() - START).total_seconds()))

        await asyncio.gather(wake("c", 300), wake("a", 0.5), wake("b", 7))
        return seen

    assert run_virtually(main, START) == [("a", 0.5), ("b", 7.0), ("c", 300.0)]


def test_real_sockets_work_on_virtual_time():
    async def main(clock: VirtualClock) -> tuple[bytes, datetime]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readexactly(4)
            await asyncio.sleep(30)
            writer.write(request[::-1])
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"ping")
        received = await reader.read()
        writer.close()
        server.close()
        await server.wait_closed()
        return received, clock.now()

    received, ended = run_virtually(main, START)
    assert received == b"gnip"
    assert timedelta(seconds=30) <= ended - START < timedelta(seconds=31)


def test_waiting_for_nothing_is_an_error_not_a_hang():
    async def main(_: VirtualClock) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="no timer and no socket"):
        run_virtually(main, START)
