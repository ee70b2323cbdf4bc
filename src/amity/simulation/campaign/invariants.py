"""What must hold at the end of every world, whatever happened in it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from amity.devices.profiles import Form, Quantity
from amity.domain.blocks import Block, Channel, Stage
from amity.domain.jobs import JobKind
from amity.domain.readings import Quality
from amity.headend.jobs.ports import JobQuery
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, utc_day
from amity.protocols.dlms.apdu import DataAccessResult
from amity.simulation.campaign.collector import CollectorNode
from amity.simulation.campaign.field import FieldMeter, marks_its_record, tells_wrong_times
from amity.simulation.campaign.memory import held
from amity.simulation.campaign.nodes import LOOK_EVERY_S, HeadEndNode, schedule_of
from amity.simulation.campaign.push_invariants import judge_pushes
from amity.simulation.campaign.witness import Invariant
from amity.simulation.campaign.world import World
from amity.simulation.chance import Ints
from amity.simulation.faults import FaultKind
from amity.simulation.household import INTERVAL_S, SLOTS
from amity.simulation.measuring import CHANNEL_OF
from amity.usecases.ports import EventQuery

_TRUE_OF: Final = {Obis.parse(f"1.0.{channel + 1}.29.0.255"): channel for channel in range(4)}
_MARKED: Final = Quality.CLOCK_SUSPECT | Quality.POWER_OUTAGE
_NOT_READABLE: Final = frozenset((FaultKind.SILENT, FaultKind.REFUSED, FaultKind.WRONG_KEY))
_NOBODY_THERE: Final = frozenset((FaultKind.SILENT, FaultKind.REFUSED))
"""With these the meters behind a gateway cannot be reached either."""
_OF_THE_CLOCK: Final = frozenset((JobKind.CLOCK_CHECK, JobKind.CLOCK_SET))
_MOVED: Final = "the clock was "
_DENIED: Final = DataAccessResult.READ_WRITE_DENIED.label
_ALL: Final = 1_000_000
HELD_MAX: Final = 6_000
"""Elements in all containers of one head-end process, besides …"""
HELD_PER_METER_MAX: Final = 200
"""… so many for each meter that it knows."""
_LATE_AT_MOST: Final = timedelta(seconds=2 * LOOK_EVERY_S)
"""A scheduler looks rarely here, and may have to look twice."""
TASKS_MAX: Final = 96
TASKS_PER_SESSION_MAX: Final = 4
"""Tasks, and connections, of one process, besides two for each meter, which may be on the line."""


def judge_memory(world: World) -> int:
    """The living processes hold no more than is stated; the most that one of them holds."""
    most = HELD_MAX + HELD_PER_METER_MAX * len(world.field.meters)
    holds_most = 0
    processes: tuple[HeadEndNode | CollectorNode, ...] = (*world.nodes.values(), *world.collectors.values())
    for process in processes:
        machine = process.machine
        if not machine.alive:
            continue
        elements, where = held(process.parts)
        holds_most = max(holds_most, elements)
        tasks_max = TASKS_MAX + TASKS_PER_SESSION_MAX * world.settings.concurrency + 2 * len(world.field.meters)
        world.witness.checked(Invariant.MEMORY)
        if elements > most or len(machine.tasks) > tasks_max or len(machine.lines) > tasks_max:
            world.witness.violated(
                Invariant.MEMORY,
                f"{machine.name} holds {elements} elements, {len(machine.tasks)} tasks, {len(machine.lines)} lines;"
                f" most: {where}",
            )
    return holds_most


def judge(world: World) -> int:
    """Look at everything once all is quiet; how many intervals were compared with the truth."""
    _judge_jobs(world)
    _judge_clocks(world)
    _judge_fires(world)
    _judge_ways(world)
    compared = 0
    for one in world.field.meters:
        compared += _judge_intervals(world, one)
        _judge_events(world, one)
        judge_pushes(world, one)
    world.witness.checked(Invariant.NOTHING_UNHEARD)
    for defect in world.loop.defects:
        world.witness.violated(Invariant.NOTHING_UNHEARD, defect)
    return compared


def _judge_jobs(world: World) -> None:
    world.witness.checked(Invariant.JOBS_END, sum(world.ot.job_book.counts(world.clock.now()).by_state.values()))
    for job in world.jobs_alive()[:3]:
        world.witness.violated(
            Invariant.JOBS_END,
            f"{job.kind} of {job.meter_id} is {job.state} since {job.created_at}, {job.attempts} attempts: {job.told}",
        )


def _judge_clocks(world: World) -> None:
    """Clocks are moved by jobs whose words tell so; no meter denies it to the client with which that is tried."""
    jobs = [job for job in world.ot.job_book.find(JobQuery(limit=None)) if job.kind in _OF_THE_CLOCK]
    world.witness.checked(Invariant.CLOCKS, sum(job.told.startswith(_MOVED) for job in jobs))
    for job in jobs:
        if _DENIED in job.told:
            world.witness.violated(Invariant.CLOCKS, f"{job.kind} of {job.meter_id}: {job.told}")


def _judge_fires(world: World) -> None:
    """What was due when the schedules ended has been handed out, to everybody, once."""
    calendar = schedule_of(world.settings)
    ended = world.settings.end + world.settings.settle
    due = list(calendar.due_fires(world.settings.end, ended - _LATE_AT_MOST))
    jobs = frozenset(job.job_id for job in world.ot.job_book.find(JobQuery(limit=None)))
    meters = [one.meter_id for one in world.field.meters]
    world.utility.fires.judge(calendar, meters, jobs, due[-1] if due else None)


def _judge_ways(world: World) -> None:
    """What was collected has arrived, and nothing that nobody understands."""
    waiting, stored = len(world.ot.collection.queued(_ALL)), len(world.broker.stream.messages)
    held = world.held_by_collectors()
    world.witness.checked(Invariant.ARRIVES)
    if waiting or stored or held:
        world.witness.violated(
            Invariant.ARRIVES, f"{waiting} wait in the outbox, {stored} at the broker, {held} at collectors"
        )
    world.witness.checked(Invariant.NO_DEAD_LETTER)
    for letter in world.it.dead_letters.all():
        world.witness.violated(Invariant.NO_DEAD_LETTER, letter.reason)


# ------------------------------------------------------------------ intervals
def _judge_intervals(world: World, one: FieldMeter) -> int:
    """Every value that is held is true, and none is missing that the meter had; how many were compared."""
    expected, compared = _expected(world, one), 0
    if tells_wrong_times(one.meter) and not marks_its_record(one.meter):
        return 0
    wanted = {CHANNEL_OF[quantity] for quantity in _captured(one)} if expected else set()
    differenced = {CHANNEL_OF[quantity] for quantity in _captured(one, Form.TOTAL)}
    first_day, last_day = utc_day(epoch_s(world.settings.start)) - 4, utc_day(epoch_s(world.settings.end)) + 2
    for channel in world.it.blocks.channels(one.meter_id):
        number = _TRUE_OF.get(channel.obis)
        if number is None:
            continue
        blocks = world.it.blocks.read(Stage.RAW, [channel.channel_id], first_day, last_day)
        compared += sum(_compare(world, one, channel, block) for block in blocks)
        if number in wanted:
            wanted.discard(number)
            due = _with_row_before(one, expected) if number in differenced else expected
            _judge_gaps(world, one, channel, due - _known(blocks))
    for number in sorted(wanted):
        world.witness.violated(Invariant.WHOLE, f"{one.meter_id} has no channel 1.0.{number + 1}.29.0.255")
    return compared


def _expected(world: World, one: FieldMeter) -> set[int]:
    """The intervals of the run that the meter had a row for and could be asked for, counted since 1970."""
    if not _is_complete(world, one):
        return set()
    first, end = -(-epoch_s(world.settings.start) // INTERVAL_S), epoch_s(world.settings.end) // INTERVAL_S
    return {slot for slot in range(first, end) if _has_row(one, slot)}


def _with_row_before(one: FieldMeter, slots: set[int]) -> set[int]:
    """Of a running total the first row after a gap gives no amount: what it counts spans the gap."""
    return {slot for slot in slots if _has_row(one, slot - 1)}


def _has_row(one: FieldMeter, slot: int) -> bool:
    return bool(one.meter.element.faults.captured(slot // SLOTS)[slot % SLOTS])


def _compare(world: World, one: FieldMeter, channel: Channel, block: Block) -> int:
    """Values that the meter itself marked may be anything; how many others there are."""
    known = (block.qualities != 0) & (block.qualities & int(_MARKED) == 0)
    truth = one.meter.truth_of_day(channel.obis, block.day)
    held_wh = _in_whole_units(block.values, channel.exponent)
    wrong = np.flatnonzero(known & (held_wh != truth))
    if len(wrong):
        slot = int(wrong[0])
        world.witness.violated(
            Invariant.TRUE,
            f"{one.meter_id} {channel.obis} day {block.day} slot {slot}: {held_wh[slot]} held, {truth[slot]} is true;"
            f" {len(wrong)} such; from {block.source[:12]}",
        )
    world.witness.checked(Invariant.TRUE, int(known.sum()))
    return int(known.sum())


def _known(blocks: Sequence[Block]) -> set[int]:
    return {slot for block in blocks for slot in (block.day * SLOTS + np.flatnonzero(block.qualities)).tolist()}


def _judge_gaps(world: World, one: FieldMeter, channel: Channel, missing: set[int]) -> None:
    world.witness.checked(Invariant.WHOLE)
    if missing:
        after_s = min(missing) * INTERVAL_S - epoch_s(world.settings.start)
        world.witness.violated(
            Invariant.WHOLE,
            f"{one.meter_id} {channel.obis}: {len(missing)} intervals are missing, the first starts"
            f" {after_s} s after the start",
        )


def _captured(one: FieldMeter, *forms: Form) -> set[Quantity]:
    """What a row of the load profile has, in these forms or in any."""
    columns, chosen = set(one.meter.profile.load_profile.columns), set(forms or Form)
    found = (found for found in one.meter.profile.objects if found.name in columns and found.form in chosen)
    return {one.quantity for one in found} & set(CHANNEL_OF)


def _is_complete(world: World, one: FieldMeter) -> bool:
    """Whether it could be reached in time, and whether its own clock let it say all."""
    kinds, on_the_line = one.meter.kinds, one.site.first.meter.kinds
    reachable = not kinds & _NOT_READABLE and not on_the_line & _NOBODY_THERE and one.meter_id not in world.forgetful
    return reachable and not tells_wrong_times(one.meter)


def _in_whole_units(values: Ints, exponent: int) -> Ints:
    return np.asarray(values * 10**exponent if exponent >= 0 else values // 10**-exponent)


# ------------------------------------------------------------------ events
def _judge_events(world: World, one: FieldMeter) -> None:
    """Each alarm that happened is there once, and none that did not happen."""
    happened = _alarms(one, world.settings.end + world.settings.settle)
    stored = world.it.deliveries.events_of(EventQuery(one.meter_id, limit=_ALL))
    told = Counter((epoch_s(found.event.at), found.event.code) for found in stored)
    world.witness.checked(Invariant.ALARMS_ONCE, len(happened))
    for what in sorted(told - happened, key=str):
        world.witness.violated(Invariant.ALARMS_ONCE, f"{one.meter_id}: {what} was told and did not happen")
    due = _alarms(one, world.settings.end)
    for what in sorted(due - told, key=str) if _is_complete(world, one) else ():
        world.witness.violated(Invariant.ALARMS_ONCE, f"{one.meter_id}: {what} happened and was not told")


def _alarms(one: FieldMeter, until: datetime) -> Counter[tuple[int, int]]:
    """What happened by then that this model has a code for, with its second."""
    log = one.meter.profile.event_log
    return Counter(
        (event.at_s, code)
        for event in one.meter.happenings.until(epoch_s(until))
        if (code := log.code_of(event.kind)) is not None
    )
