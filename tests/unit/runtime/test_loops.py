"""The loop of a role: uvloop where it is installed; a meter is read on either."""

import asyncio
from datetime import UTC, datetime

import pytest

from amity.devices.client import associate
from amity.runtime.roles import loops
from amity.transports.meter_listener import serve_meter
from amity.transports.wrapper_channel import WrapperChannel
from tests.unit.devices.conversing import PUBLIC, access, meter, ports, settings_for


class StandingClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 20, 6, tzinfo=UTC)


async def associated() -> str:
    listener = await serve_meter(meter(), "127.0.0.1", 0, clock=StandingClock())
    channel = await WrapperChannel.open("127.0.0.1", listener.port, PUBLIC, 1, 1.0)
    await channel.run(associate(settings_for(access()), ports()), 1.0)
    await channel.close()
    await listener.close()
    return type(asyncio.get_running_loop()).__module__


def test_a_meter_is_read_on_uvloop() -> None:
    pytest.importorskip("uvloop")
    assert loops.run(associated()).startswith("uvloop")


def test_without_uvloop_asyncio_makes_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "_FASTER", "no_such_module:new_event_loop")
    assert loops.loop_factory() is None
    assert loops.run(associated()).startswith("asyncio")
