"""A stand-in for nats-server on virtual time. It is not NATS: it keeps JetStream's promises, and no more than these.

* A publish is acknowledged after the message is on disk; what was not, is lost when the server dies.
* The same Nats-Msg-Id within the window is one message; after a restart only ids of messages that are still stored
  are known, as a work queue forgets what was acknowledged.
* A stream that is full refuses the new message (`discard new`).
* A consumer's message is handed out again when it is not acknowledged in time, or when it was put back; the order of
  such messages is anybody's. Acknowledgements may be lost on the way like everything else.

The publisher and the consumer that talk to it are the real ones of `amity.messaging`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar, cast

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from amity.messaging.access import CONSUMERS, IT, OT, Access, Role
from amity.messaging.broker import ACK_WAIT_S, DEDUPLICATE_WINDOW_S, Connection, Link
from amity.simulation.campaign.machine import MACHINE, Machine
from amity.simulation.campaign.network import Network

T = TypeVar("T")

HOST: Final = "10.0.0.9"
ROOM: Final = 20_000
_STORE_FULL: Final = 10077
_LONG_POLLS: Final = 24  # a wait of the consumer stands for so many: idle nights cost nothing


@dataclass(slots=True)
class _Stored:
    subject: str
    message_id: str
    body: bytes
    on_disk: bool = False
    times: int = 0


@dataclass(slots=True)
class Stream:
    """What the server keeps: messages by sequence, ids it knows with their time, what is handed out until when."""

    messages: dict[int, _Stored] = field(default_factory=dict)
    ids: dict[str, tuple[int, float]] = field(default_factory=dict)
    out_until: dict[int, float] = field(default_factory=dict)
    sequence: int = 0
    room: int = ROOM

    def forget_unwritten(self) -> None:
        """The server died: what was not on disk never was."""
        self.messages = {number: one for number, one in self.messages.items() if one.on_disk}
        self.ids = {one.message_id: (number, 0.0) for number, one in self.messages.items()}


class StandInBroker:
    """The server: one stream and its consumers; `machine` is its life at this moment."""

    def __init__(self, network: Network, chance: Random) -> None:
        self.network = network
        self.stream = Stream()
        self.machine: Machine | None = None
        self.connections: dict[asyncio.Future[None], Machine] = {}
        self._chance = chance
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def begin(self, machine: Machine) -> None:
        """Serve from now on on this machine."""
        self.machine = machine
        machine.on_kill = self._died

    def _died(self) -> None:
        self.stream.forget_unwritten()
        connections, self.connections = self.connections, {}
        for lost in connections:
            if not lost.done():
                lost.set_result(None)

    # ------------------------------------------------------------------ publishing
    async def publish(self, subject: str, message_id: str, body: bytes) -> None:
        """Store a message; return once it is on disk."""
        stream, now_s = self.stream, self.network.loop.time()
        number, since_s = stream.ids.get(message_id, (0, -DEDUPLICATE_WINDOW_S - 1.0))
        if now_s - since_s > DEDUPLICATE_WINDOW_S or number == 0:
            if len(stream.messages) >= stream.room:
                raise nats.js.errors.APIError(code=503, err_code=_STORE_FULL, description="maximum messages exceeded")
            stream.sequence += 1
            number = stream.sequence
            stream.messages[number] = _Stored(subject, message_id, body)
            stream.ids[message_id] = (number, now_s)
        await asyncio.sleep(0.002 + 0.02 * self._chance.random())
        stored = stream.messages.get(number)
        if stored is not None and not stored.on_disk:
            stored.on_disk = True
            self.wake()

    # ------------------------------------------------------------------ consuming
    def take(self, consumer: str, batch: int) -> list[tuple[int, _Stored, int]]:
        """Hand out what waits in a lane: numbers, messages, and how often each was handed out."""
        stream, now_s, subject = self.stream, self.network.loop.time(), CONSUMERS[consumer]
        taken: list[tuple[int, _Stored, int]] = []
        for number, stored in stream.messages.items():
            if stored.subject == subject and stored.on_disk and stream.out_until.get(number, 0.0) <= now_s:
                stored.times += 1
                self.put_back(number, ACK_WAIT_S)
                taken.append((number, stored, stored.times))
                if len(taken) == batch:
                    break
        return taken

    def put_back(self, number: int, after_s: float) -> None:
        """Hand it out again then, if it is still there."""
        if number in self.stream.messages:
            until_s = self.network.loop.time() + after_s
            self.stream.out_until[number] = until_s
            self.network.loop.call_at(until_s + 0.001, self.wake)

    def settle(self, number: int) -> None:
        """It was acknowledged: a work queue keeps it no longer."""
        self.stream.messages.pop(number, None)
        self.stream.out_until.pop(number, None)

    def wake(self) -> None:
        """Something may wait now."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_result(None)

    async def something(self, consumer: str) -> None:
        """Wait until there may be something for a lane."""
        future = self._waiting.setdefault(consumer, self.network.loop.create_future())
        await asyncio.shield(future)


class StandInLink(Link):
    """The way of one process to the stand-in, in place of a connection of the NATS library."""

    def __init__(self, broker: StandInBroker, role: Role) -> None:
        self.access = Access("nats://stand-in", role, "")
        super().__init__(self.access)
        self._broker = broker

    async def _open(self) -> Connection:
        broker, machine = self._broker, MACHINE.get()
        try:
            async with asyncio.timeout(3.0):
                await broker.network.travel(machine.host, HOST)
                await broker.network.travel(HOST, machine.host)
        except TimeoutError as error:
            raise nats.errors.TimeoutError from error
        if broker.machine is None or not broker.machine.alive:
            raise nats.errors.NoServersError
        lost: asyncio.Future[None] = broker.network.loop.create_future()
        broker.connections[lost] = machine
        return Connection(cast("Client", _Client(broker, machine, lost)), lost)


def link_of_head_end(broker: StandInBroker) -> StandInLink:
    """How the courier reaches it."""
    return StandInLink(broker, OT)


def link_of_mdm(broker: StandInBroker) -> StandInLink:
    """How the MDM side reaches it."""
    return StandInLink(broker, IT)


class _Client:
    """As much of the library's client as Amity uses."""

    def __init__(self, broker: StandInBroker, machine: Machine, lost: asyncio.Future[None]) -> None:
        self.broker = broker
        self.machine = machine
        self._lost = lost

    def jetstream(self, *, timeout: float) -> "_JetStream":
        """JetStream over this connection."""
        return _JetStream(self, timeout)

    async def close(self) -> None:
        """Leave."""
        self.broker.connections.pop(self._lost, None)
        if not self._lost.done():
            self._lost.set_result(None)

    async def asked(self, work: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        """There and back; raise the library's TimeoutError when no answer comes."""
        network, host = self.broker.network, self.machine.host
        try:
            async with asyncio.timeout(timeout_s):
                await network.travel(host, HOST)
                server = self.broker.machine
                if server is None or not server.alive:
                    await network.loop.create_future()
                result = await work()
                if self.broker.machine is not server or server is None or not server.alive:
                    await network.loop.create_future()
                await network.travel(HOST, host)
                return result
        except TimeoutError as error:
            raise nats.errors.TimeoutError from error

    def told(self, work: Callable[[], None]) -> None:
        """One way, without an answer."""
        network, host, server = self.broker.network, self.machine.host, self.broker.machine
        if self._lost.done() or server is None:
            raise nats.errors.ConnectionClosedError
        if not network.is_cut(host, HOST) and network.chance(host, HOST).random() >= network.conditions.stalls:
            network.call(server, network.loop.time() + network.delay_s(host, HOST), work)


class _JetStream:
    def __init__(self, client: _Client, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def publish(self, subject: str, body: bytes, *, stream: str, headers: dict[str, str]) -> None:
        """Return when the message is acknowledged."""
        del stream
        broker, message_id = self._client.broker, headers["Nats-Msg-Id"]
        await self._client.asked(lambda: broker.publish(subject, message_id, body), self._timeout_s)

    async def pull_subscribe_bind(self, *, consumer: str, stream: str) -> "_Inbox":
        """A consumer's inbox."""
        del stream
        return _Inbox(self._client, consumer)


class _Inbox:
    def __init__(self, client: _Client, consumer: str) -> None:
        self._client = client
        self._consumer = consumer

    async def fetch(self, batch: int, timeout: float) -> list["_Message"]:  # noqa: ASYNC109 - the library's name
        """Wait for messages; raise the library's TimeoutError when none came."""
        client, consumer = self._client, self._consumer

        async def take() -> list[_Message]:
            while True:
                taken = client.broker.take(consumer, batch)
                if taken:
                    return [_Message(client, *one) for one in taken]
                await client.broker.something(consumer)

        return await client.asked(take, timeout * _LONG_POLLS)


@dataclass(frozen=True, slots=True)
class _Metadata:
    num_delivered: int


class _Message:
    def __init__(self, client: _Client, number: int, stored: _Stored, times: int) -> None:
        self._client = client
        self._number = number
        self.headers = {"Nats-Msg-Id": stored.message_id}
        self.data = stored.body
        self.metadata = _Metadata(times)

    async def in_progress(self) -> None:
        """More time, please."""
        self._told(lambda: self._client.broker.put_back(self._number, ACK_WAIT_S))

    async def ack(self) -> None:
        """Done."""
        self._told(lambda: self._client.broker.settle(self._number))

    async def term(self) -> None:
        """Never again."""
        await self.ack()

    async def nak(self, delay: float) -> None:
        """Again, later."""
        self._told(lambda: self._client.broker.put_back(self._number, delay))

    def _told(self, work: Callable[[], None]) -> None:
        self._client.told(cast("Any", work))
