"""Conversations: generators that yield the octets of a request and are sent the octets of its answer; no I/O."""

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Final, TypeVar

from amity.devices.client.journal import Journal, Trace
from amity.devices.freshness import Received

Result = TypeVar("Result")

Conversation = Generator[bytes, bytes, Result]
"""`answer = yield request`, as often as the exchange needs; what it returns is what was wanted.

Two kinds of request are not answered one by one: an `Unanswered` one (general block transfer has them) is sent and the
conversation goes on at once (it is sent no octets), and at `LISTEN` nothing is sent and the next APDU awaited: the next
block, the answer behind a push, or only that time passes.
"""

LISTEN: Final = b""


class Unanswered(bytes):
    """An APDU that the other side takes in silence: a block within a stream."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Ports:
    """What a conversation needs from outside.

    `random_octets(n)` gives n octets from a cryptographic source. `next_invocation_counter()` gives a number that was
    never given before for this key, also not before a crash. `trace` is told every APDU as it passes. `received`, where
    it is kept from one association to the next, refuses whatever this meter has sent before; it is written on.
    `journal` is given by whoever wants to see what passed also where no session comes of it.
    """

    random_octets: Callable[[int], bytes]
    next_invocation_counter: Callable[[], int]
    trace: Trace | None = None
    received: Received | None = None
    journal: Journal | None = None


async def converse(conversation: Conversation[Result], exchange: Callable[[bytes], Awaitable[bytes]]) -> Result:
    """Lead a conversation over any transport: `exchange` sends a request and brings its answer.

    It brings no octets for an `Unanswered` request at once, and at `LISTEN` when silence lasts too long.
    """
    try:
        request = next(conversation)
        while True:
            request = conversation.send(await exchange(request))
    except StopIteration as finished:
        result: Result = finished.value
        return result
    finally:
        conversation.close()
