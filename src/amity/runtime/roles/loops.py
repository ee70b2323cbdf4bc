"""Which event loop a role runs on: uvloop where it is installed, asyncio's own where not."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from pkgutil import resolve_name
from typing import Any, Final, TypeVar

Result = TypeVar("Result")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_FASTER: Final = "uvloop:new_event_loop"
_COLLECTED_AFTER: Final = 20_000
"""New objects before the garbage collector looks for cycles. Python's 700 come together within a few sessions that are
open at once, of which hardly anything is a cycle: its looks took a fifth of the time of a push."""


def loop_factory() -> LoopFactory | None:
    """What makes the loop; None leaves it to asyncio. uvloop is not made for all systems: it is named, not imported."""
    try:
        faster: LoopFactory = resolve_name(_FASTER)
    except ImportError:
        return None
    return faster


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` on that loop, with the garbage collector looking seldom."""
    gc.set_threshold(_COLLECTED_AFTER, *gc.get_threshold()[1:])
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
