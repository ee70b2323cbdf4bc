"""Tells the story of one seed and gives the verdict."""

import asyncio

from amity.simulation.campaign.disk import Workshop
from amity.simulation.campaign.invariants import judge, judge_memory
from amity.simulation.campaign.loop import CampaignLoop
from amity.simulation.campaign.nodes import Parts
from amity.simulation.campaign.settings import WorldSettings
from amity.simulation.campaign.world import Verdict, World

_LINES = 40


def tell(
    settings: WorldSettings, workshop: Workshop, parts: Parts | None = None, *, keep_trace: bool = False
) -> Verdict:
    """Run a world to its end and look whether everything holds that must."""
    loop = CampaignLoop()
    world = World(settings, workshop, parts or Parts(), loop, keep_trace=keep_trace)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(_told(world))
        intervals = judge(world)
    return _verdict(world, intervals)


async def _told(world: World) -> None:
    await world.run()
    judge_memory(world)
    for machine in tuple(world.network.machines.values()):
        machine.kill(told=False)


def _verdict(world: World, intervals: int) -> Verdict:
    witness = world.witness
    return Verdict(
        seed=world.settings.seed,
        digest=witness.digest,
        violations=tuple(witness.violations),
        trace=tuple(witness.newest)[-_LINES:] if witness.newest.maxlen else tuple(witness.newest),
        virtual_s=world.loop.time(),
        associations=world.wire.associations,
        intervals=intervals,
        counters=world.wire.counters,
        events=sum(len(one.meter.happenings.until(2**40)) for one in world.field.meters),
        jobs=sum(world.ot.job_book.counts(world.clock.now()).by_state.values()),
    )
