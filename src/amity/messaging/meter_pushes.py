"""What meters publish by MQTT, as the head-end takes it: from a stream of the broker, acknowledged once it is kept."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from amity.kernel.backoff import Backoff, Chance
from amity.kernel.errors import StorageError, TransportError
from amity.messaging.access import Access
from amity.messaging.broker import Connection, Link
from amity.messaging.meter_access import CONSUMER, PUSH_SUBJECTS, STREAM, confirm_subject, meter_of

FETCHED_AT_ONCE: Final = 256
WAITING_PER_METER_MAX: Final = 256
OCTETS_MAX: Final = 16 * 1024
_WAITING_OCTETS_MAX: Final = 512 << 20
_FETCH_WAIT_S: Final = 5.0
_ACK_WAIT_S: Final = 30.0
_AGAIN_AFTER_S: Final = 5.0
_BACKOFF: Final = Backoff(base_s=0.2, limit_s=10.0)
_CHANCE: Final[Chance] = random.SystemRandom().random
_NATS_FAILURES: Final = (nats.errors.Error, OSError, TimeoutError)

TakePush = Callable[[str, bytes], Awaitable[bytes | None]]
"""Takes what a meter published; gives the confirmation it waits for, if any; raises StorageError: it comes again."""


class MeterPushes:
    """Takes pushes until cancelled."""

    def __init__(self, access: Access, take: TakePush, chance: Chance = _CHANCE) -> None:
        self._link = Link(access)
        self._take = take
        self._chance = chance

    async def run(self) -> None:
        """Take what is published, again after the broker was gone."""
        failures = 0
        try:
            while True:
                try:
                    connection = await self._link.connection()
                    failures = 0
                    await self._pump(connection)
                except _NATS_FAILURES:
                    failures += 1
                    await asyncio.sleep(_BACKOFF.wait_s(failures, self._chance))
        finally:
            await self._link.close()

    async def _pump(self, connection: Connection) -> None:
        inbox = await connection.jetstream.pull_subscribe_bind(consumer=CONSUMER, stream=STREAM)
        while True:
            try:
                messages = await connection.unless_lost(inbox.fetch(FETCHED_AT_ONCE, timeout=_FETCH_WAIT_S))
            except nats.errors.TimeoutError:
                continue
            await asyncio.gather(*(self._one(connection, message) for message in messages))

    async def _one(self, connection: Connection, message: Msg) -> None:
        meter = meter_of(message.subject)
        try:
            answer = await self._take(meter, message.data)
        except StorageError:
            await message.nak(_AGAIN_AFTER_S)
            return
        if answer is not None:
            await connection.client.publish(confirm_subject(meter), answer)
        await message.ack()


async def prepare_pushes(access: Access, replicas: int = 1) -> None:
    """Make or update stream and consumer, before any meter may publish: what nobody keeps is lost.

    Raise TransportError when the broker does not answer.
    """
    link = Link(access)
    try:
        await _prepare(await link.connection(), replicas)
    except _NATS_FAILURES as error:
        raise TransportError(f"cannot set up the stream {STREAM}", tried=access.url, answer=str(error)) from error
    finally:
        await link.close()


async def _prepare(connection: Connection, replicas: int) -> None:
    """Each meter may have so much waiting and no more, and is told so (the broker refuses), the others not."""
    stream = StreamConfig(
        name=STREAM,
        subjects=[PUSH_SUBJECTS],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        discard_new_per_subject=True,
        max_msgs_per_subject=WAITING_PER_METER_MAX,
        max_bytes=_WAITING_OCTETS_MAX,
        max_msg_size=OCTETS_MAX,
        num_replicas=replicas,
    )
    consumer = ConsumerConfig(
        durable_name=CONSUMER,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=_ACK_WAIT_S,
        max_ack_pending=4 * FETCHED_AT_ONCE,
    )
    try:
        await connection.jetstream.add_stream(stream)
    except nats.js.errors.BadRequestError:
        await connection.jetstream.update_stream(stream)
    await connection.jetstream.add_consumer(STREAM, consumer)
