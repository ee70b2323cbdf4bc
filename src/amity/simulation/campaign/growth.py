"""Whether every session leaves something behind, when nothing goes wrong any more."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise, takewhile
from typing import Final, NamedTuple

from amity.simulation.campaign.machine import Machine
from amity.simulation.campaign.memory import sizes
from amity.simulation.campaign.nodes import schedule_of
from amity.simulation.campaign.witness import Invariant
from amity.simulation.campaign.world import World

_BEFORE_A_FIRE: Final = timedelta(seconds=1)
_GROWN_PER_SESSION: Final = 0.4
"""A session may be of two associations, where the clock is moved: so much is less than one element for each."""
_PER_METER: Final = 4
"""What is held once for each meter is no larger than that, and may fill from one reading to the next.

The most there is of it: what the columns of its profiles are.
"""
_SESSIONS_MIN: Final = 3
_STEPS_MIN: Final = 3


class Look(NamedTuple):
    """How many associations there were until a quiet moment, and how large the containers of the processes were."""

    associations: int
    sizes: dict[Machine, Counter[str]]


def look(world: World) -> Look:
    """At what has to do with sessions, now."""
    nodes = [node for node in world.nodes.values() if node.machine.alive]
    parts = {one.machine: (one.worker, one.sessions, one.scheduler, one.courier) for one in nodes}
    return Look(world.wire.associations, {machine: sizes(roots) for machine, roots in parts.items()})


async def looks_before_fires(world: World) -> Sequence[Look]:
    """Of a world that is mended: before each time that its meters are read, which is when least goes on."""
    settings, looks = world.settings, []
    await asyncio.sleep(settings.span.total_seconds())
    ends = settings.end + settings.settle
    for fire in takewhile(lambda one: one < ends, schedule_of(settings).fires(settings.end + _BEFORE_A_FIRE)):
        await asyncio.sleep((fire - _BEFORE_A_FIRE - world.clock.now()).total_seconds())
        looks.append(look(world))
    return looks


def judge_growth(world: World, looks: Sequence[Look]) -> None:
    """No container that is larger than the fleet grows with the sessions from each look to the next."""
    steps = [(earlier, later) for earlier, later in pairwise(looks) if _associations(earlier, later) >= _SESSIONS_MIN]
    if len(steps) < _STEPS_MIN:
        return
    world.witness.checked(Invariant.MEMORY)
    for path in _large(looks[-1], _PER_METER * len(world.field.meters)):
        grown = [(_associations(*step), _grown(path, *step)) for step in steps]
        if all(more > _GROWN_PER_SESSION * associations for associations, more in grown):
            world.witness.violated(Invariant.MEMORY, f"every session leaves something in {path}: {grown}")


def _associations(earlier: Look, later: Look) -> int:
    return later.associations - earlier.associations


def _large(last: Look, most: int) -> Iterator[str]:
    paths = sorted({path for counts in last.sizes.values() for path in counts})
    return (path for path in paths if sum(counts[path] for counts in last.sizes.values()) > most * len(last.sizes))


def _grown(path: str, earlier: Look, later: Look) -> int:
    """In the processes that lived through it."""
    return sum(counts[path] - earlier.sizes[one][path] for one, counts in later.sizes.items() if one in earlier.sizes)
