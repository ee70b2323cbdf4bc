"""The outbox is drained when the broker takes it, kept when it does not, and one bad message holds up no other."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventKind, MeterEvent, Severity
from amity.headend.delivery import BATCH, TOGETHER_MAX, Courier
from amity.headend.ports import Progress
from amity.kernel.errors import LocalProtocolError, TransportError
from amity.simulation.virtual_time import VirtualClock, run_virtually
from amity.storage.ot.database import OtDatabase

NOW = datetime(2026, 11, 20, tzinfo=UTC)


async def at_once(work):  # noqa: ANN001 - any work
    return work()


class Broker:
    """Takes what it is given, except while it is down and except what it refuses."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.down = False
        self.refused: set[str] = set()

    async def publish(self, subject: str, message_id: str, body: bytes) -> None:
        await asyncio.sleep(0)
        assert subject == "amity.ot.deliveries"
        assert body == message_id.encode()
        if self.down or message_id in self.refused:
            raise TransportError(f"no acknowledgement of {message_id}")
        self.taken.append(message_id)


def queue(database: OtDatabase, *names: str) -> None:
    for name in names:
        one = Delivery(name, "M1", name, NOW, Outcome.COMPLETE)
        database.collection.save(one, "amity.ot.deliveries", name.encode(), progress=Progress())


class OfSeveral(Broker):
    """Takes deliveries together, as `joined` writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.parcels: list[list[str]] = []
        self.ids: list[str] = []

    async def publish(self, subject: str, message_id: str, body: bytes) -> None:
        await asyncio.sleep(0)
        assert subject.startswith("amity.ot.deliveries")
        names = body.decode().split("+")
        if self.down:
            raise TransportError("nobody there")
        if self.refused & set(names):
            raise LocalProtocolError(f"never {names}")
        self.parcels.append(names)
        self.ids.append(message_id)


def joined(bodies: Sequence[bytes]) -> bytes:
    return b"+".join(bodies)


def courier(database: OtDatabase, broker: Broker) -> Courier:
    return Courier(database.collection, broker, at_once, lambda: 0.5)


async def test_everything_is_carried_in_order(database: OtDatabase) -> None:
    broker, names = Broker(), [f"{number:03}" for number in range(BATCH + 9)]
    queue(database, *names)
    carrier = courier(database, broker)
    await carrier.drain()
    assert broker.taken == names
    assert database.collection.queued(10) == []
    assert carrier.delivered == len(names)


async def test_what_the_broker_does_not_take_stays(database: OtDatabase) -> None:
    broker = Broker()
    broker.down = True
    queue(database, "a", "b")
    with pytest.raises(TransportError):
        await courier(database, broker).drain()
    assert [one.message_id for one in database.collection.queued(10)] == ["a", "b"]


async def test_one_refused_message_holds_up_no_other(database: OtDatabase) -> None:
    broker = Broker()
    broker.refused = {"b"}
    queue(database, "a", "b", "c")
    with pytest.raises(TransportError, match="of b"):
        await courier(database, broker).carry_batch()
    assert broker.taken == ["a", "c"]
    assert [one.message_id for one in database.collection.queued(10)] == ["b"]


def test_it_goes_on_by_itself_when_the_broker_is_back(database: OtDatabase) -> None:
    broker = Broker()
    broker.down = True
    carrier = courier(database, broker)

    async def story(clock: VirtualClock) -> None:
        del clock
        task = asyncio.create_task(carrier.run())
        queue(database, "a")
        await asyncio.sleep(60)
        assert carrier.last_error is not None
        broker.down = False
        await asyncio.sleep(60)
        assert (broker.taken, carrier.last_error) == (["a"], None)
        queue(database, "b")
        await asyncio.sleep(5)
        assert broker.taken == ["a", "b"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(story, NOW)


async def test_those_that_wait_travel_together(database: OtDatabase) -> None:
    broker, names = OfSeveral(), [f"{number:03}" for number in range(TOGETHER_MAX + 9)]
    queue(database, *names)
    carrier = Courier(database.collection, broker, at_once, lambda: 0.5, join=joined)
    await carrier.drain()
    assert broker.parcels == [names[:TOGETHER_MAX], names[TOGETHER_MAX:]]
    assert len(set(broker.ids)) == 2
    queue(database, "alone")
    await carrier.drain()
    assert (broker.ids[-1], broker.parcels[-1]) == ("alone", ["alone"])


async def test_alarms_do_not_travel_with_readings(database: OtDatabase) -> None:
    broker = OfSeveral()
    queue(database, "a", "b")
    alarm = MeterEvent(EventKind.COVER_OPENED, 44, NOW, pushed=True, severity=Severity.ALARM)
    told = Delivery("c", "M1", "c", NOW, Outcome.PUSHED, events=(alarm,))
    database.collection.save(told, "amity.ot.deliveries", b"c", progress=Progress())
    await Courier(database.collection, broker, at_once, lambda: 0.5, join=joined).drain()
    assert sorted(broker.parcels) == [["a", "b"], ["c"]]


async def test_what_the_broker_can_never_take_keeps_no_other_of_its_parcel(database: OtDatabase) -> None:
    broker = OfSeveral()
    broker.refused = {"b"}
    queue(database, "a", "b", "c")
    with pytest.raises(LocalProtocolError, match="never"):
        await Courier(database.collection, broker, at_once, lambda: 0.5, join=joined).carry_batch()
    assert broker.parcels == [["a"], ["c"]]
    assert [one.message_id for one in database.collection.queued(10)] == ["b"]


async def test_a_parcel_that_was_not_acknowledged_waits_as_a_whole(database: OtDatabase) -> None:
    broker = OfSeveral()
    broker.down = True
    queue(database, "a", "b")
    with pytest.raises(TransportError):
        await Courier(database.collection, broker, at_once, lambda: 0.5, join=joined).drain()
    assert [one.message_id for one in database.collection.queued(10)] == ["a", "b"]
