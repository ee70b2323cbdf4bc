"""What the MDM side holds, beside what the simulated meters counted."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from amity.domain.blocks import Stage
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.simulation.campaign.field import tells_wrong_times
from amity.simulation.household import INTERVAL_S, SLOTS
from amity.simulation.measuring import CHANNEL_OF
from amity.simulation.meter import SimulatedMeter
from amity.storage.it.database import ItDatabase

_CHANNELS = {channel: Obis.parse(f"1.0.{channel + 1}.29.0.255") for channel in range(4)}


def differences(database: ItDatabase, meters: Sequence[SimulatedMeter], start: datetime, end: datetime) -> list[str]:
    """Every interval that is held and not true, and each in [start, end) that is not held, in words."""
    slots = range(-(-epoch_s(start) // INTERVAL_S), epoch_s(end) // INTERVAL_S)
    return [word for meter in meters if not tells_wrong_times(meter) for word in _of_meter(database, meter, slots)]


def _of_meter(database: ItDatabase, meter: SimulatedMeter, slots: range) -> Iterator[str]:
    wanted = {_CHANNELS[channel] for channel in _captured(meter)}
    found = {channel.obis: channel for channel in database.blocks.channels(meter.meter_id)}
    for obis in sorted(wanted, key=str):
        name = f"{meter.meter_id} {obis}"
        if obis not in found:
            yield from [f"{name}: not held"] * bool(slots)
            continue
        channel, held = found[obis], set[int]()
        for block in database.blocks.read(Stage.RAW, [channel.channel_id], 0, 100_000):
            known = np.flatnonzero(block.qualities)
            held.update((block.day * SLOTS + known).tolist())
            truth = meter.truth_of_day(obis, block.day)[known]
            if not np.array_equal(block.values[known] * 10.0**channel.exponent, truth):
                yield f"{name}: day {block.day} is not true"
        if missing := set(slots) - held:
            yield f"{name}: {len(missing)} of {len(slots)} intervals missing"


def _captured(meter: SimulatedMeter) -> set[int]:
    columns = set(meter.profile.load_profile.columns)
    captured = {one.quantity for one in meter.profile.objects if one.name in columns}
    return {CHANNEL_OF[quantity] for quantity in captured & set(CHANNEL_OF)}
