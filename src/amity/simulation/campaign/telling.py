"""Tells the story of one seed and gives the verdict."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from amity.simulation.campaign.disk import Workshop
from amity.simulation.campaign.growth import judge_growth, look, looks_before_fires
from amity.simulation.campaign.invariants import judge, judge_memory
from amity.simulation.campaign.loop import CampaignLoop
from amity.simulation.campaign.parts import Parts
from amity.simulation.campaign.plan import plan_of
from amity.simulation.campaign.settings import WorldSettings
from amity.simulation.campaign.witness import Violation
from amity.simulation.campaign.world import World

_LINES = 40
_LOOKS_AT_MEMORY = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a world ended: `faults` by kind, `checks` by invariant, `held_most` elements in one process at most."""

    seed: int
    digest: str
    violations: tuple[Violation, ...]
    trace: tuple[str, ...]
    virtual_s: float
    meters: int
    associations: int
    intervals: int
    jobs: int
    held_most: int
    faults: Mapping[str, int]
    checks: Mapping[str, int]


def tell(
    settings: WorldSettings, workshop: Workshop, parts: Parts | None = None, *, keep_trace: bool = False
) -> Verdict:
    """Run a world to its end and look whether everything holds that must."""
    loop = CampaignLoop()
    world = World(settings, workshop, parts or Parts(), loop, keep_trace=keep_trace)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        held_most = runner.run(_told(world))
        intervals = judge(world)
    return _verdict(world, intervals, held_most)


async def _told(world: World) -> int:
    """The most that a process held."""
    looks, before_fires = asyncio.create_task(_look_at_memory(world)), asyncio.create_task(looks_before_fires(world))
    await world.run()
    held_most = max(await looks, judge_memory(world))
    judge_growth(world, [*await before_fires, look(world)])
    for machine in tuple(world.network.machines.values()):
        machine.kill(told=False)
    return held_most


async def _look_at_memory(world: World) -> int:
    """Now and then while things go wrong."""
    held_most = 0
    for _ in range(_LOOKS_AT_MEMORY):
        await asyncio.sleep(world.settings.span.total_seconds() / _LOOKS_AT_MEMORY)
        held_most = max(held_most, judge_memory(world))
    return held_most


def _verdict(world: World, intervals: int, held_most: int) -> Verdict:
    witness = world.witness
    return Verdict(
        seed=world.settings.seed,
        digest=witness.digest,
        violations=tuple(witness.violations),
        trace=tuple(witness.newest)[-_LINES:] if witness.newest.maxlen else tuple(witness.newest),
        virtual_s=world.loop.time(),
        meters=len(world.field.meters),
        associations=world.wire.associations,
        intervals=intervals,
        jobs=sum(world.ot.job_book.counts(world.clock.now()).by_state.values()),
        held_most=held_most,
        faults=Counter(str(event.trouble) for event in plan_of(world.settings)),
        checks=Counter({str(invariant): times for invariant, times in witness.checks.items()}),
    )
