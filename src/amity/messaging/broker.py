"""Publisher and consumer of deliveries over NATS JetStream: acknowledged on disk, redelivered until committed."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from amity.kernel.backoff import Backoff, Chance
from amity.kernel.errors import AmityError, LocalProtocolError, RemoteProtocolError, StorageError, TransportError
from amity.messaging.access import CONSUMERS, STREAM, Access

CONNECT_TIMEOUT_S: Final = 3
PUBLISH_TIMEOUT_S: Final = 10.0
ACK_WAIT_S: Final = 10.0
"""What was handed over and not acknowledged comes again after this: the pause after a broker was killed."""
FETCH_WAIT_S: Final = 5.0
BATCH: Final = 8
DEDUPLICATE_WINDOW_S: Final = 2 * 3600
REDELIVER_AFTER_S: Final = 5.0
DELIVERIES_BEFORE_SET_ASIDE: Final = 5
_BACKOFF: Final = Backoff(base_s=0.1, limit_s=5.0)
_NATS_FAILURES: Final = (nats.errors.Error, OSError, TimeoutError)
_CHANCE: Final[Chance] = random.SystemRandom().random

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Received:
    """One message as the broker hands it over: `times` counts from 1 and grows with each redelivery."""

    message_id: str
    body: bytes
    times: int


Handler = Callable[[Received], Awaitable[None]]
DeadLetter = Callable[[Received, str], Awaitable[None]]


async def prepare_stream(access: Access, replicas: int = 1) -> None:
    """Make or update the stream and its consumers (`setup` may do this, the zones' users may not).

    A work queue: a message stays until the MDM side committed it, and when the disk share is used up the publisher is
    refused instead of the oldest message being dropped. Raise TransportError when the broker does not answer.
    """
    link = Link(access)
    try:
        context = (await link.connection()).jetstream
        await _create_stream(context, replicas)
        for consumer, subject in CONSUMERS.items():
            await context.add_consumer(STREAM, _consumer_config(consumer, subject))
    except _NATS_FAILURES as error:
        raise _no_answer(access, f"cannot set up the stream {STREAM}", error) from error
    finally:
        await link.close()


async def _create_stream(context: JetStreamContext, replicas: int) -> None:
    config = StreamConfig(
        name=STREAM,
        subjects=list(CONSUMERS.values()),
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        duplicate_window=DEDUPLICATE_WINDOW_S,
        num_replicas=replicas,
    )
    try:
        await context.add_stream(config)
    except nats.js.errors.BadRequestError:
        await context.update_stream(config)


def _consumer_config(consumer: str, subject: str) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=consumer,
        filter_subject=subject,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_deliver=-1,
        max_ack_pending=256,
    )


def _no_answer(access: Access, what: str, error: BaseException) -> TransportError:
    return TransportError(
        what,
        tried=access.url,
        answer=str(error) or type(error).__name__,
        next_step="see nats-server.log in the broker's folder; what waits in the outbox is kept and sent later",
    )


@dataclass(frozen=True, slots=True)
class Connection:
    """A live connection; `lost` is done as soon as it is one no more."""

    client: Client
    lost: asyncio.Future[None]

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream over this connection."""
        return self.client.jetstream(timeout=PUBLISH_TIMEOUT_S)

    async def unless_lost(self, call: Coroutine[Any, Any, T]) -> T:
        """The call's result; raise ConnectionClosedError at once when the connection ends before it.

        The library itself would wait for the answer until its timeout.
        """
        task = asyncio.ensure_future(call)
        either: tuple[asyncio.Future[Any], ...] = (task, self.lost)
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise nats.errors.ConnectionClosedError
            return task.result()
        finally:
            task.add_done_callback(_look_at_its_end)
            task.cancel()


def _look_at_its_end(task: asyncio.Future[Any]) -> None:
    """A cancelled call of the library may end with an error of its own; whoever waited has moved on."""
    if not task.cancelled():
        task.exception()


class Link:
    """The way to the broker: a connection opened when needed and whenever it was lost, with the server that answers.

    The library's own reconnection is off: while it reconnects it buffers silently, and we want to know.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._first = 0

    async def connection(self) -> Connection:
        """A live connection; raise one of the library's errors when there is none to be had."""
        async with self._opening:
            if self._connection is None or self._connection.lost.done():
                self._connection = await self._open()
            return self._connection

    async def close(self) -> None:
        """Leave the broker."""
        async with self._opening:
            connection, self._connection = self._connection, None
            if connection is not None:
                with suppress(*_NATS_FAILURES):
                    await connection.client.close()

    async def try_another(self) -> None:
        """Leave a server that answers nothing: it may have lost its cluster. Does nothing where there is only one."""
        if len(self._access.servers) > 1:
            self._first += 1
            await self.close()

    async def _open(self) -> Connection:
        """From the server that took us last; raise what the last of them says when none does."""
        servers = self._access.servers
        for turn in range(len(servers) - 1):
            with suppress(*_NATS_FAILURES):
                return await self._open_at(servers[(self._first + turn) % len(servers)])
        self._first += len(servers) - 1
        return await self._open_at(servers[self._first % len(servers)])

    async def _open_at(self, server: str) -> Connection:
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def on_closed() -> None:
            if not lost.done():
                lost.set_result(None)

        client, tls = Client(), self._access.tls
        try:
            await client.connect(
                server,
                user=self._access.role.name,
                password=self._access.password,
                name=f"amity-{self._access.role.name}",
                inbox_prefix=self._access.role.inbox_prefix,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_TIMEOUT_S,
                closed_cb=on_closed,
                error_cb=_say_nothing,
                tls=None if tls is None else tls.context(),
                tls_handshake_first=tls is not None,
            )
        except BaseException:
            await client.close()  # a connection that fails half-way keeps its socket open
            raise
        return Connection(client, lost)


async def _say_nothing(_error: Exception) -> None:
    """The library's default logs; every failure reaches us as an exception of the call that it breaks."""


class JetStreamPublisher:
    """Implements `headend.ports.Publisher`; `disk_words` tells how the broker's disk is, for whoever can look at it."""

    def __init__(
        self,
        access: Access,
        *,
        give_up_s: float = 30.0,
        chance: Chance = _CHANCE,
        disk_words: Callable[[], str] | None = None,
        link: Link | None = None,
    ) -> None:
        self._access = access
        self._disk_words = disk_words
        self._link = link or Link(access)
        self._give_up_s = give_up_s
        self._chance = chance

    async def publish(self, subject: str, message_id: str, body: bytes) -> None:
        """Return when the broker has the message on disk.

        A lost connection is opened again and the message sent again under the same id, so the broker keeps it once.
        Raise TransportError when that did not succeed within `give_up_s`, StorageError when the broker has no room,
        LocalProtocolError when it can never take this message.
        """
        failures = 0
        try:
            async with asyncio.timeout(self._give_up_s):
                while True:
                    try:
                        return await self._publish_once(subject, message_id, body)
                    except _NATS_FAILURES as error:
                        failure = _refusal(self._access, error)
                        if isinstance(error, TimeoutError):
                            await self._link.try_another()
                    if not isinstance(failure, TransportError):
                        raise self._with_disk_words(failure)
                    failures += 1
                    await asyncio.sleep(_BACKOFF.wait_s(failures, self._chance))
        except TimeoutError as error:
            failure = _no_answer(self._access, "the broker did not acknowledge a delivery in time", error)
            raise self._with_disk_words(failure) from error

    def _with_disk_words(self, failure: AmityError) -> AmityError:
        """A broker that is silent for want of room cannot say so itself; its folder does."""
        if self._disk_words is not None and not isinstance(failure, LocalProtocolError):
            failure.answer = "; ".join(filter(None, (failure.answer, self._disk_words())))
        return failure

    async def close(self) -> None:
        """Leave the broker."""
        await self._link.close()

    async def _publish_once(self, subject: str, message_id: str, body: bytes) -> None:
        connection = await self._link.connection()
        headers = {"Nats-Msg-Id": message_id}
        await connection.unless_lost(connection.jetstream.publish(subject, body, stream=STREAM, headers=headers))


_STORE_FULL_CODES: Final = frozenset({10023, 10047, 10077})
"""JetStream error codes: insufficient resources, storage exceeded, stream store failed (nats-server `errors.json`)."""


def _refusal(access: Access, error: BaseException) -> AmityError:
    """A library failure as one of our errors; only TransportError is worth trying again at once.

    A nats-server that cannot write a message answers nothing at all, on a connection that stays up.
    """
    if isinstance(error, nats.errors.TimeoutError):
        return StorageError(
            "the broker does not acknowledge deliveries: its disk is full, was full, or is far too slow",
            tried=access.url,
            answer=f"none within {PUBLISH_TIMEOUT_S:g} s, though the connection stands",
            next_step="free space on its disk; it starts again by itself then, and the outbox keeps what waits",
        )
    if isinstance(error, nats.errors.MaxPayloadError):
        return LocalProtocolError("the broker takes no message of this size", next_step="read fewer days at once")
    if isinstance(error, nats.js.errors.APIError) and error.err_code in _STORE_FULL_CODES:
        return StorageError(
            "the broker has no room for another delivery",
            tried=access.url,
            answer=error.description,
            next_step="free space on its disk or start the MDM side; the outbox keeps what waits",
        )
    return _no_answer(access, "the broker did not take a delivery", error)


class JetStreamConsumer:
    """The MDM side's end of the stream: each lane in order, each message acknowledged after its handler returned.

    The handler is called for one message of each lane at a time.
    """

    def __init__(
        self,
        access: Access,
        *,
        redeliver_after_s: float = REDELIVER_AFTER_S,
        chance: Chance = _CHANCE,
        link: Link | None = None,
    ) -> None:
        self._link = link or Link(access)
        self._redeliver_after_s = redeliver_after_s
        self._chance = chance

    async def run(self, handle: Handler, dead_letter: DeadLetter) -> None:
        """Hand every message to `handle` until cancelled; reconnect for ever.

        `handle` returns after its commit: the message is acknowledged. It raises RemoteProtocolError: the message
        goes to `dead_letter` with the reason and never comes again. Anything else it raises (StorageError: a full
        disk) puts the message back for a while; what is not an AmityError is a defect of ours, and after
        DELIVERIES_BEFORE_SET_ASIDE attempts such a message goes to `dead_letter` too, so that it never blocks the rest.
        """
        async with asyncio.TaskGroup() as lanes:
            for consumer in CONSUMERS:
                lanes.create_task(self._run_lane(consumer, handle, dead_letter))

    async def _run_lane(self, consumer: str, handle: Handler, dead_letter: DeadLetter) -> None:
        failures = 0
        while True:
            try:
                connection = await self._link.connection()
                failures = 0
                await self._pump(connection, consumer, handle, dead_letter)
            except _NATS_FAILURES:
                failures += 1
                await asyncio.sleep(_BACKOFF.wait_s(failures, self._chance))

    async def close(self) -> None:
        """Leave the broker."""
        await self._link.close()

    async def _pump(self, connection: Connection, consumer: str, handle: Handler, dead_letter: DeadLetter) -> None:
        inbox = await connection.jetstream.pull_subscribe_bind(consumer=consumer, stream=STREAM)
        while True:
            try:
                messages = await connection.unless_lost(inbox.fetch(BATCH, timeout=FETCH_WAIT_S))
            except TimeoutError:
                continue  # nothing waits
            for message in messages:
                await self._settle(message, handle, dead_letter)

    async def _settle(self, message: Msg, handle: Handler, dead_letter: DeadLetter) -> None:
        received = _received(message)
        await message.in_progress()  # it waited for the others of its batch; its own time begins now
        try:
            reason = await _handled(received, handle)
            if reason is not None:
                await dead_letter(received, reason)
                await message.term()
                return
        except AmityError:
            await message.nak(delay=self._redeliver_after_s)
            return
        await message.ack()


async def _handled(received: Received, handle: Handler) -> str | None:
    """None when the handler committed, else why the message can never be; raise AmityError when later may be better."""
    try:
        await handle(received)
    except RemoteProtocolError as error:
        return "\n".join(error.lines())
    except AmityError:
        raise
    except Exception as error:
        if received.times >= DELIVERIES_BEFORE_SET_ASIDE:
            return f"a defect in Amity: {type(error).__name__}: {error}"
        raise StorageError(f"a delivery could not be stored: {type(error).__name__}: {error}") from error
    return None


def _received(message: Msg) -> Received:
    headers = message.headers or {}
    return Received(headers.get("Nats-Msg-Id", ""), message.data, message.metadata.num_delivered or 1)
