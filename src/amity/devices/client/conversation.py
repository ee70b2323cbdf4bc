"""Conversations: generators that yield the octets of a request and are sent the octets of its answer; no I/O."""

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from amity.devices.client.journal import Trace

Result = TypeVar("Result")

Conversation = Generator[bytes, bytes, Result]
"""`answer = yield request`, as often as the exchange needs; what it returns is what was wanted."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a conversation needs from outside.

    `random_octets(n)` gives n octets from a cryptographic source. `next_invocation_counter()` gives a number that was
    never given before for this key, also not before a crash. `trace` is told every APDU as it passes.
    """

    random_octets: Callable[[int], bytes]
    next_invocation_counter: Callable[[], int]
    trace: Trace | None = None


async def converse(conversation: Conversation[Result], exchange: Callable[[bytes], Awaitable[bytes]]) -> Result:
    """Lead a conversation over any transport: `exchange` sends a request and brings its answer."""
    try:
        request = next(conversation)
        while True:
            request = conversation.send(await exchange(request))
    except StopIteration as finished:
        result: Result = finished.value
        return result
    finally:
        conversation.close()
