"""Datagrams: bounded in all and of each sender, the small ones first, only from where it is allowed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from amity.protocols.wrapper.frame import Frame, encode
from amity.transports.udp_push_listener import DatagramRules, UdpPushListener

SMALL, LARGE = encode(1, 16, b"\x0fgasp"), encode(1, 16, b"\x0f" + bytes(200))


class Taker:
    def __init__(self) -> None:
        self.taken: list[int] = []
        self.garbled = 0
        self.open = asyncio.Event()

    async def take(self, frame: Frame, peer: str) -> bytes | None:
        del peer
        await self.open.wait()
        self.taken.append(len(frame.payload))
        return None

    def note(self, *_: Any) -> None:
        self.garbled += 1


@pytest.fixture
async def taker() -> Taker:
    return Taker()


@pytest.fixture
async def listener(taker: Taker) -> AsyncIterator[UdpPushListener]:
    rules = DatagramRules(waiting_max=10, waiting_per_peer_max=4, at_once=1)
    made = UdpPushListener(taker.take, taker.note, lambda peer: peer != "10.6.6.6", rules)
    await made.start("127.0.0.1", 0)
    yield made
    await made.close()


async def test_one_sender_leaves_room_for_the_others_and_all_have_an_end(
    listener: UdpPushListener, taker: Taker
) -> None:
    for _ in range(50):
        listener.datagram_received(LARGE, ("10.0.0.1", 4059))
    assert listener.dropped == 46
    listener.datagram_received(LARGE, ("10.0.0.2", 4059))
    assert listener.dropped == 46
    for host in range(3, 60):
        listener.datagram_received(LARGE, (f"10.0.0.{host}", 4059))
    taker.open.set()
    await asyncio.sleep(0.05)
    assert len(taker.taken) == 10


async def test_a_last_gasp_overtakes_readings(listener: UdpPushListener, taker: Taker) -> None:
    for host in range(1, 6):
        listener.datagram_received(LARGE, (f"10.0.0.{host}", 4059))
    listener.datagram_received(SMALL, ("10.0.0.9", 4059))
    taker.open.set()
    await asyncio.sleep(0.05)
    assert taker.taken[0] == 5
    assert len(taker.taken) == 6


async def test_what_is_no_frame_is_told_and_who_may_not_is_turned_away(listener: UdpPushListener, taker: Taker) -> None:
    taker.open.set()
    for octets in (b"", b"\x00", SMALL + b"x", SMALL[:-1], b"\x00\x01\x00\x01\x00\x01\xff\xff", b"\x16\x03\x01"):
        listener.datagram_received(octets, ("10.0.0.1", 4059))
        await asyncio.sleep(0)
    listener.datagram_received(SMALL, ("10.6.6.6", 4059))
    await asyncio.sleep(0.05)
    assert (taker.garbled, taker.taken, listener.turned_away) == (6, [], 1)
