"""Deliveries through the real broker: kept on disk, handed over in order, never lost, never stored twice."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence

import nats
import nats.errors
import nats.js.errors
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

from amity.kernel.errors import RemoteProtocolError, StorageError, TransportError
from amity.messaging.access import ALARM_SUBJECT, CONSUMER, IT, OT, STREAM, SUBJECT, Access, load_access
from amity.messaging.broker import JetStreamConsumer, JetStreamPublisher, Link, Received, prepare_stream
from amity.messaging.nats_server import NatsServer


class Mdm:
    """What the MDM side committed and what it set aside."""

    def __init__(self) -> None:
        self.committed: list[str] = []
        self.dead: list[tuple[str, str]] = []

    async def handle(self, received: Received) -> None:
        if received.message_id not in self.committed:
            self.committed.append(received.message_id)

    async def dead_letter(self, received: Received, reason: str) -> None:
        self.dead.append((received.message_id, reason))


async def until(condition: Callable[[], bool], timeout_s: float = 45.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the consumer has no event for it
            await asyncio.sleep(0.01)


async def consuming(
    access: Access, mdm: Mdm, work: Callable[[], Awaitable[None]], handle: Callable[[Received], Awaitable[None]]
) -> None:
    consumer = JetStreamConsumer(access, redeliver_after_s=0.05)
    task = asyncio.create_task(consumer.run(handle, mdm.dead_letter))
    try:
        await work()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await consumer.close()


async def publish(access: Access, *names: str) -> None:
    publisher = JetStreamPublisher(access)
    for name in names:
        await publisher.publish(SUBJECT, name, name.encode())
    await publisher.close()


async def test_messages_arrive_in_order_with_their_bodies(ot: Access, it: Access) -> None:
    mdm, bodies = Mdm(), []

    async def handle(received: Received) -> None:
        bodies.append(received.body)

    async def work() -> None:
        await publish(ot, "a", "b", "c")
        await until(lambda: len(bodies) == 3)

    await consuming(it, mdm, work, handle)
    assert bodies == [b"a", b"b", b"c"]


async def test_an_alarm_does_not_stand_behind_the_readings_that_wait(ot: Access, it: Access) -> None:
    mdm, blocked, heard = Mdm(), asyncio.Event(), []

    async def handle(received: Received) -> None:
        heard.append(received.message_id)
        if received.message_id.startswith("reading"):
            await blocked.wait()

    async def work() -> None:
        await publish(ot, *(f"reading {number}" for number in range(9)))
        await until(lambda: heard == ["reading 0"])
        publisher = JetStreamPublisher(ot)
        await publisher.publish(ALARM_SUBJECT, "alarm", b"alarm")
        await publisher.close()
        await until(lambda: heard == ["reading 0", "alarm"])
        blocked.set()
        await until(lambda: len(heard) == 10)

    await consuming(it, mdm, work, handle)
    assert heard[2:] == [f"reading {number}" for number in range(1, 9)]


async def test_a_stream_of_the_first_release_gets_its_second_lane(ot: Access, it: Access, setup: Access) -> None:
    link = Link(setup)
    context = (await link.connection()).jetstream
    await context.delete_stream(STREAM)
    config = StreamConfig(name=STREAM, subjects=[SUBJECT], retention=RetentionPolicy.WORK_QUEUE)
    await context.add_stream(config)
    await context.add_consumer(STREAM, ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT))
    await publish(ot, "before")
    await link.close()
    await prepare_stream(setup)
    mdm = Mdm()

    async def work() -> None:
        publisher = JetStreamPublisher(ot)
        await publisher.publish(ALARM_SUBJECT, "alarm", b"alarm")
        await publisher.close()
        await until(lambda: sorted(mdm.committed) == ["alarm", "before"])

    await consuming(it, mdm, work, mdm.handle)


async def test_the_same_message_published_twice_is_one(ot: Access, it: Access) -> None:
    mdm, times = Mdm(), []

    async def handle(received: Received) -> None:
        times.append(received.message_id)

    async def work() -> None:
        await publish(ot, "a", "a", "b", "a")
        await until(lambda: "b" in times)

    await consuming(it, mdm, work, handle)
    assert times == ["a", "b"]


async def test_what_the_disk_refused_comes_again(ot: Access, it: Access) -> None:
    mdm, attempts = Mdm(), []

    async def handle(received: Received) -> None:
        attempts.append(received.times)
        if received.times < 3:
            raise StorageError("the disk is full")
        await mdm.handle(received)

    async def work() -> None:
        await publish(ot, "a")
        await until(lambda: mdm.committed == ["a"])

    await consuming(it, mdm, work, handle)
    assert attempts == [1, 2, 3]
    assert mdm.dead == []


async def test_what_cannot_be_decoded_is_set_aside_and_the_rest_goes_on(ot: Access, it: Access) -> None:
    mdm = Mdm()

    async def handle(received: Received) -> None:
        if received.message_id == "bad":
            raise RemoteProtocolError("not a delivery", next_step="look at it")
        await mdm.handle(received)

    async def work() -> None:
        await publish(ot, "a", "bad", "b")
        await until(lambda: mdm.committed == ["a", "b"])

    await consuming(it, mdm, work, handle)
    assert mdm.dead == [("bad", "not a delivery\nnext: look at it")]
    assert await waiting(it) == 0


async def test_a_defect_in_the_handler_is_tried_again_and_then_set_aside(ot: Access, it: Access) -> None:
    mdm, times = Mdm(), []

    async def handle(received: Received) -> None:
        if received.message_id == "poison":
            times.append(received.times)
            raise KeyError("slot")
        await mdm.handle(received)

    async def work() -> None:
        await publish(ot, "poison", "a")
        await until(lambda: bool(mdm.dead))

    await consuming(it, mdm, work, handle)
    assert times == [1, 2, 3, 4, 5]
    assert mdm.committed == ["a"]
    assert "KeyError" in mdm.dead[0][1]


async def waiting(it: Access) -> int:
    """How many messages the consumer did not settle: a fetch by the consumer's own user."""
    link = Link(it)
    try:
        inbox = await (await link.connection()).jetstream.pull_subscribe_bind(consumer=CONSUMER, stream=STREAM)
        return len(await inbox.fetch(10, timeout=0.3))
    except TimeoutError:
        return 0
    finally:
        await link.close()


async def test_a_killed_consumer_gets_its_unacknowledged_message_again(ot: Access, it: Access) -> None:
    mdm, started = Mdm(), asyncio.Event()

    async def never_commits(_received: Received) -> None:
        started.set()
        raise StorageError("killed before the commit")

    async def first() -> None:
        await publish(ot, "a")
        await started.wait()

    async def second() -> None:
        await until(lambda: mdm.committed == ["a"])

    await consuming(it, mdm, first, never_commits)
    await consuming(it, mdm, second, mdm.handle)


@pytest.mark.slow
async def test_a_broker_killed_in_mid_stream_loses_nothing_and_doubles_nothing(server: NatsServer) -> None:
    folder, mdm, sent = server.folder, Mdm(), [f"m{number:03}" for number in range(150)]
    publisher = JetStreamPublisher(load_access(folder.path, OT, folder.url))
    servers = [server]

    async def publish_all() -> None:
        for name in sent:
            await publisher.publish(SUBJECT, name, name.encode() * 50)

    async def kill_and_start_again(progress: int) -> None:
        await until(lambda: len(mdm.committed) >= progress)
        os.kill(servers[-1].pid, signal.SIGKILL)
        await servers[-1].wait()
        servers.append(await NatsServer.start(folder))

    async def work() -> None:
        publishing = asyncio.create_task(publish_all())
        for progress in (20, 60, 100):
            await kill_and_start_again(progress)
        await publishing
        await until(lambda: len(mdm.committed) >= len(sent))

    try:
        await consuming(load_access(folder.path, IT, folder.url), mdm, work, mdm.handle)
    finally:
        await publisher.close()
        await servers[-1].stop()
    assert sorted(mdm.committed) == sent
    assert mdm.dead == []


@pytest.mark.slow
async def test_what_was_acknowledged_before_the_kill_is_there_after_it(server: NatsServer) -> None:
    folder, mdm, sent = server.folder, Mdm(), [f"m{number:02}" for number in range(30)]
    await publish(load_access(folder.path, OT, folder.url), *sent)
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    successor = await NatsServer.start(folder)

    async def work() -> None:
        await until(lambda: len(mdm.committed) == len(sent))

    try:
        await consuming(load_access(folder.path, IT, folder.url), mdm, work, mdm.handle)
    finally:
        await successor.stop()
    assert mdm.committed == sent


async def test_a_dead_broker_is_a_transport_error_that_says_nothing_is_lost(server: NatsServer, ot: Access) -> None:
    await server.stop()
    publisher = JetStreamPublisher(ot, give_up_s=0.5)
    with pytest.raises(TransportError) as caught:
        await publisher.publish(SUBJECT, "a", b"a")
    assert "outbox" in str(caught.value.next_step)


async def test_a_broker_that_stands_and_stores_nothing_is_a_matter_of_its_disk(
    server: NatsServer, ot: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amity.messaging.broker.PUBLISH_TIMEOUT_S", 0.3)
    publisher = JetStreamPublisher(ot)
    await publisher.publish(SUBJECT, "a", b"a")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StorageError, match="its disk is full, was full") as caught:
            await publisher.publish(SUBJECT, "b", b"b")
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert "free space" in str(caught.value.next_step)
    await publisher.publish(SUBJECT, "b", b"b")
    await publisher.close()


async def denied(access: Access, subjects: Sequence[str]) -> list[str]:
    """Publish to each subject as this user; the subjects of the server's own permission errors."""
    said: list[str] = []

    async def on_error(error: Exception) -> None:
        said.append(str(error))

    client = await nats.connect(
        access.url, user=access.role.name, password=access.password, inbox_prefix=access.role.inbox_prefix,
        allow_reconnect=False, error_cb=on_error,
    )  # fmt: skip
    for subject in subjects:
        await client.publish(subject, b"{}")
    await client.flush()
    await until(lambda: len(said) >= len(subjects), 5)
    await client.close()
    return [subject for subject in subjects if any(_denies(line, subject) for line in said)]


def _denies(line: str, subject: str) -> bool:
    return "permissions violation" in line.lower() and subject.lower() in line.lower()


async def test_the_ot_user_may_neither_read_the_stream_nor_change_it(ot: Access) -> None:
    forbidden = [f"$JS.API.STREAM.{verb}.{STREAM}" for verb in ("INFO", "DELETE", "PURGE", "UPDATE")]
    forbidden += [f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}", f"$JS.ACK.{STREAM}.{CONSUMER}.1.1.1.1.1"]
    assert await denied(ot, forbidden) == forbidden


async def test_the_it_user_may_not_publish_deliveries(it: Access) -> None:
    forbidden = [SUBJECT, f"$JS.API.STREAM.PURGE.{STREAM}"]
    assert await denied(it, forbidden) == forbidden
    assert await waiting(it) == 0
