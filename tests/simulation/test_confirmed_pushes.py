"""A simulated meter sends a confirmed push again until somebody confirms it, or gives up."""

import asyncio
from datetime import UTC, datetime

import pytest

from amity.devices.notification_intake import confirmation
from amity.devices.settings import Authentication
from amity.protocols.dlms.apdu import DataNotification, decode
from amity.protocols.wrapper.frame import Frame, Reader, encode
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.push_schedule import Destination
from amity.simulation.serving import serve_fleet
from amity.simulation.virtual_time import VirtualClock, run_virtually

START = datetime(2026, 11, 20, 6, 7, 30, tzinfo=UTC)


def heard_from_one_meter(deaf_calls: int, *, confirmed: bool = True) -> list[Frame]:
    """The pushes of a plain meter in a quarter of an hour; the first `deaf_calls` are not confirmed."""

    async def main(clock: VirtualClock) -> list[Frame]:
        frames: list[Frame] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            (frame,) = Reader().feed(await reader.read(4096))
            frames.append(frame)
            notification = decode(frame.payload)
            assert isinstance(notification, DataNotification)
            confirming = confirmation(notification)
            if confirming is not None and len(frames) > deaf_calls:
                writer.write(encode(frame.destination, frame.source, confirming))
            writer.close()

        listening = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        fleet = build_fleet(FleetSettings(meters=1, seed=5, anchor=START, auth=Authentication.NONE))
        async with serve_fleet(fleet, clock=clock, push_to=Destination("127.0.0.1", port, confirmed)):
            await asyncio.sleep(900)
        listening.close()
        await listening.wait_closed()
        return frames

    return run_virtually(main, START)


@pytest.mark.parametrize(("deaf_calls", "calls"), [(0, 1), (1, 2), (2, 3), (9, 4)])
def test_an_unconfirmed_push_is_sent_again_with_its_number(deaf_calls: int, calls: int):
    frames = heard_from_one_meter(deaf_calls)
    assert len(frames) == calls
    assert len({frame.payload for frame in frames}) == 1


def test_a_push_that_asks_for_nothing_is_sent_once():
    frames = heard_from_one_meter(9, confirmed=False)
    assert len(frames) == 1
    notification = decode(frames[0].payload)
    assert isinstance(notification, DataNotification)
    assert confirmation(notification) is None
