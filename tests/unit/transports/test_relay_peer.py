"""One end of a relay link: however much comes at once, the event loop is ours again soon; told by a list of calls."""

import asyncio

from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.compression import Packer
from amity.protocols.relay.fragments import Fragment
from amity.protocols.relay.link import Link
from amity.protocols.relay.messages import CalledIn, Message, Pong
from amity.protocols.relay.pace import Pace
from amity.protocols.relay.scheduler import CONTROL
from amity.transports.relay_peer import PORTION_FRAGMENTS, PeerRules, RelayPeer


class ListedTransport(asyncio.Transport):
    """Takes everything, notes whether it is to read."""

    def __init__(self) -> None:
        super().__init__()
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.aborted = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    @property
    def reads(self) -> bool:
        return self.may_read.is_set()

    def pause_reading(self) -> None:
        self.may_read.clear()

    def resume_reading(self) -> None:
        self.may_read.set()

    def close(self) -> None:
        pass

    def abort(self) -> None:
        self.aborted.set()


class Heard:
    def __init__(self, peer: RelayPeer) -> None:
        self.peer = peer
        self.messages: list[Message] = []
        self.closes_after = 1 << 30

    def received(self, _arrived: Arrived, message: Message) -> None:
        self.messages.append(message)
        if len(self.messages) == self.closes_after:
            self.peer.close()

    def lost(self) -> None:
        pass


def met(rules: PeerRules | None = None) -> tuple[RelayPeer, ListedTransport, Heard]:
    peer, transport = RelayPeer(Link(opens=True), rules or PeerRules()), ListedTransport()
    heard = Heard(peer)
    peer.begin(transport, heard)
    return peer, transport, heard


def burst(message: Message, count: int) -> bytes:
    return Packer().pack(Fragment(CONTROL, last=True, octets=message.encode()).encode() * count)


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        await event.wait()


async def test_a_burst_is_taken_in_portions_and_nothing_is_read_meanwhile() -> None:
    peer, transport, heard = met()
    peer.data_received(burst(CalledIn("x"), 1000))
    assert (len(heard.messages), transport.reads) == (PORTION_FRAGMENTS, False)
    await asyncio.sleep(0)
    assert len(heard.messages) <= 2 * PORTION_FRAGMENTS
    await soon(transport.may_read)
    assert len(heard.messages) == 1000
    peer.close()


async def test_what_is_answered_by_the_link_itself_counts_too() -> None:
    """A Pong of three octets is packed to next to nothing: 600,000 in one arrival, of anybody with a certificate."""
    peer, transport, heard = met()
    wire = burst(Pong(1), 400_000)
    assert len(wire) < 1000
    peer.data_received(wire)
    assert not transport.reads
    peer.data_received(b"")
    assert (heard.messages, transport.reads) == ([], False)
    peer.close()


async def test_beyond_its_pace_it_waits_and_what_comes_keeps_its_order() -> None:
    peer, transport, heard = met(PeerRules(fragments_per_s=500))
    said = [CalledIn(str(number)) for number in range(600)]
    peer.data_received(Packer().pack(b"".join(Fragment(CONTROL, True, one.encode()).encode() for one in said)))
    await soon(transport.may_read)
    assert heard.messages == said
    peer.close()


async def test_a_flood_that_lasts_longer_than_a_silence_may_is_cut_off_and_named() -> None:
    peer, transport, _ = met(PeerRules(ping_every_s=0.01, fragments_per_s=1))
    peer.data_received(burst(Pong(1), 1000))
    await soon(transport.aborted)
    assert peer.failure is not None
    assert "more than" in peer.failure.what


async def test_whoever_was_sent_away_is_not_listened_to() -> None:
    peer, _, heard = met()
    heard.closes_after = 3
    wire = burst(CalledIn("x"), 100)
    peer.data_received(wire)
    peer.data_received(wire)
    assert len(heard.messages) == 3


def test_a_pace_gives_so_many_each_second_and_saves_up_those_of_one() -> None:
    pace = Pace(100, 0.0)
    assert pace.left(0.0) == 100
    pace.spend(100)
    assert (pace.left(0.0), pace.left(0.5)) == (0, 50)
    pace.spend(20)
    assert (pace.left(0.5), pace.left(60.0)) == (30, 100)
