"""One collector at the head-end: when it serves, and what it may say; told by a link that is only a list."""

import asyncio
import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from amity.headend.collectors.connected import CollectorRules, ConnectedCollector, Office
from amity.headend.collectors.failures import CollectorNotConnectedError
from amity.headend.collectors.ports import Admission, Presented
from amity.headend.collectors.registry import Collectors
from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.link import Traffic
from amity.protocols.relay.messages import (
    VERSION,
    CalledIn,
    Hello,
    Kept,
    Message,
    Push,
    Quality,
    Refused,
    Welcome,
)
from amity.protocols.relay.scheduler import BULK, CONTROL
from amity.protocols.wrapper.frame import Frame, encode

T = TypeVar("T")
NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
DC7 = Presented("DC7", "ab" * 32, "192.0.2.7:40000")
FRAME = encode(*Frame(1, 16, b"\x0f"))
HELLO = Hello(VERSION, "test", 0)


class StandingClock:
    def now(self) -> datetime:
        return NOW


class Book:
    def __init__(self) -> None:
        self.qualities: list[dict[str, Any]] = []

    def seen(self, _presented: Presented, _at: datetime) -> Admission:
        return Admission.ACCEPTED

    def report(self, _presented: Presented, _node: str, quality: str, _at: datetime) -> None:
        self.qualities.append(json.loads(quality))


class Ids:
    def known(self, _push_id: str) -> bool:
        return False

    def first(self, _push_id: str, _at: datetime) -> nullcontext[None]:
        return nullcontext()


class ListPeer:
    """Keeps what is sent."""

    address, rtt_s = "192.0.2.7:40000", None

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.sent: list[Message] = []
        self.closed = False
        self.listener: ConnectedCollector | None = None

    def send(self, _stream: int, message: Message) -> None:
        self.sent.append(message)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            assert self.listener is not None
            self.listener.lost()

    def consumed(self, _arrived: Arrived) -> None:
        pass

    def says(self, message: Message, stream: int = CONTROL) -> None:
        assert self.listener is not None
        self.listener.received(Arrived(stream, b""), message)


async def at_once(work: Callable[[], T], /) -> T:
    return work()


async def takes(*_: object) -> None:
    pass


def called(rules: CollectorRules | None = None, take: Callable[..., Any] = takes) -> tuple[ListPeer, Collectors, Book]:
    peer, book = ListPeer(), Book()
    office = Office("node", book, Ids(), take, StandingClock(), at_once, rules or CollectorRules())  # type: ignore[arg-type]
    collectors = Collectors(office)
    peer.listener = collectors.greet(peer, DC7)  # type: ignore[arg-type]
    return peer, collectors, book


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nothing_is_asked_of_it_before_it_said_hello() -> None:
    """What comes before its welcome a collector does not take: it hangs up on an opening that overtakes it."""
    peer, collectors, _ = called()
    await settled()
    with pytest.raises(CollectorNotConnectedError):
        collectors.serving("DC7")
    peer.says(HELLO)
    await settled()
    assert collectors.serving("DC7") is peer.listener
    assert peer.sent == [Welcome()]
    await collectors.close()


async def test_one_of_another_version_never_serves() -> None:
    peer, collectors, _ = called()
    peer.says(Hello(VERSION + 1, "test", 0))
    await settled()
    assert collectors.all == ()
    assert [type(one) for one in peer.sent] == [Refused]
    assert peer.closed


async def test_one_that_never_says_hello_is_cut_off() -> None:
    peer, collectors, _ = called(CollectorRules(hello_within_s=0.0))
    async with asyncio.timeout(10):
        await collectors.close()
    assert peer.closed
    assert peer.sent == []


async def test_a_push_of_a_time_that_is_none_is_taken_for_one_of_now_and_those_behind_it_too() -> None:
    """An honest collector whose clock is broken would send it first on each link, and never get past it."""
    heard_at: list[datetime] = []

    async def takes_at(_frame: object, _caller: object, at: datetime, *_: object, **_named: object) -> None:
        heard_at.append(at)

    peer, collectors, _ = called(take=takes_at)
    peer.says(HELLO)
    await settled()
    for number, at_ms in enumerate(((1 << 64) - 1, 1 << 63, 7_000)):
        peer.says(Push(number, at_ms, "10.0.0.7", False, FRAME), BULK)
    await settled()
    kept = [push_id for one in peer.sent if isinstance(one, Kept) for push_id in one.ids]
    assert sorted(int.from_bytes(one, "big") for one in kept) == [0, 1, 2]
    assert heard_at == [NOW, NOW, datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)]
    await collectors.close()


EARLY = [Quality("{}"), CalledIn("M1"), Push(1, 0, "10.0.0.7", False, b""), Welcome()]


@pytest.mark.parametrize("message", EARLY)
async def test_before_it_is_admitted_it_may_say_hello_and_nothing_else(message: Message) -> None:
    peer, collectors, _ = called()
    with pytest.raises(RelayError):
        peer.says(message, BULK if isinstance(message, Push) else CONTROL)
    await collectors.close()


NO_REPORTS = ["", "[]", "7", "[" * 60_000, '{"held":' * 3_000, json.dumps({"held": "x" * 65_536}), "nan"]


@pytest.mark.parametrize("text", NO_REPORTS)
async def test_what_is_no_report_is_counted_and_the_last_one_stands(text: str) -> None:
    """Its pushes are worth more than a report: the link stays."""
    peer, collectors, book = called()
    peer.says(HELLO)
    await settled()
    peer.says(Quality('{"connects": 3}'))
    peer.says(Quality(text))
    await collectors.close()
    assert (book.qualities[-1]["connects"], book.qualities[-1]["unreadable"]) == (3, 1)


HOSTILE = [
    {"held": 5, "meters": [], "rssi_dbm": "loud", "connects": 1e300, "refused": -1},
    {"held": {"alarms": True, "octets": 1 << 80}, "rssi_dbm": 10**400, "connects": None},
    {"meters": {"\x1b[2J": {"exchanges": 1}, "a" * 5000: {}, "10.0.0.7:4059": 7}, "node": "mine", "ratio": "x"},
    {"meters": {f"10.0.0.7:{port}": {} for port in range(3000)}},
]


@pytest.mark.parametrize("document", HOSTILE)
async def test_a_report_is_only_what_has_a_place_in_it(document: dict[str, Any]) -> None:
    """Whoever stole a collector writes what he likes; lists, metrics and the database get numbers all the same."""
    peer, collectors, book = called()
    peer.says(HELLO)
    await settled()
    peer.says(Quality(json.dumps(document)))
    await settled()
    noted = book.qualities[-1]
    assert all(type(count) is int for count in noted["held"].values())
    assert noted["rssi_dbm"] is None
    assert noted["connects"] == noted["refused"] == 0
    assert noted["ratio"] is None
    assert "node" not in noted
    assert len(noted["meters"]) <= 200
    assert all(address.startswith("10.0.0.7") for address in noted["meters"])
    await collectors.close()
