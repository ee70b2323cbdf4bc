"""Which event loop a role runs on: uvloop where it is installed, asyncio's own where not."""

import asyncio
from collections.abc import Callable, Coroutine
from pkgutil import resolve_name
from typing import Any, Final, TypeVar

Result = TypeVar("Result")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_FASTER: Final = "uvloop:new_event_loop"


def loop_factory() -> LoopFactory | None:
    """What makes the loop; None leaves it to asyncio. uvloop is not made for all systems: it is named, not imported."""
    try:
        faster: LoopFactory = resolve_name(_FASTER)
    except ImportError:
        return None
    return faster


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` on that loop."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
