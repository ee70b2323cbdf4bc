"""What a meter's measuring element shows: the truth in the resolution, width and scaler of each of its objects."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from amity.devices.profiles import DeviceProfile, Form, MeasuredObject, Quantity, Stamp
from amity.protocols.dlms.data import Tag
from amity.simulation.chance import Ints, stream, uniform
from amity.simulation.faults import RecordFaults
from amity.simulation.household import INTERVAL_S, SLOTS
from amity.simulation.ledger import EnergyLedger

OCTETS_OF = {
    Tag.UNSIGNED: 1, Tag.LONG_UNSIGNED: 2, Tag.DOUBLE_LONG_UNSIGNED: 4, Tag.LONG64_UNSIGNED: 8,
    Tag.INTEGER: 1, Tag.LONG: 2, Tag.DOUBLE_LONG: 4, Tag.LONG64: 8,
}  # fmt: skip
"""Octets of a value of each integer type."""

CHANNEL_OF = {Quantity.ACTIVE_IMPORT: 0, Quantity.ACTIVE_EXPORT: 1, Quantity.REACTIVE_IMPORT: 2}
REACTIVE_EXPORT_CHANNEL = 3
_Count = TypeVar("_Count", int, Ints)
_NOMINAL_DECIVOLTS = 2_310


@dataclass(frozen=True, slots=True, eq=False)
class MeasuringElement:
    """Ledger and faults of one meter seen through the objects of its profile."""

    ledger: EnergyLedger
    profile: DeviceProfile
    faults: RecordFaults

    def total(self, channel: int, scaler: int, at_s: int) -> int:
        """A running total at an instant, in 10**scaler Wh or varh, rounded down as a register does."""
        return scaled(int(self.ledger.at(at_s)[channel]), scaler)

    def instant(self, measured: MeasuredObject, at_s: int) -> int:
        """The value of one object of the profile at an instant, as it travels."""
        match measured.form, measured.quantity:
            case Form.TOTAL, quantity:
                value = self.total(CHANNEL_OF[quantity], measured.scaler, at_s)
            case Form.INTERVAL, _:
                day, slot = divmod(at_s // INTERVAL_S - 1, SLOTS)
                value = int(self.column(measured, day)[slot])
            case _, Quantity.STATUS:
                value = 0
            case _, Quantity.VOLTAGE:
                value = scaled(int(self._voltage(np.array([at_s // 60]))[0]), measured.scaler + 1)
            case _, quantity:
                value = scaled(self.power_w(CHANNEL_OF[quantity], at_s), measured.scaler)
        return wrapped(value, measured.tag)

    def power_w(self, channel: int, at_s: int) -> int:
        """Mean power of the running interval in W or var, a little different each minute."""
        mean_w = int(self.ledger.mean_w(at_s)[channel])
        noise = uniform(stream(self.faults.seed, self.faults.serial, "power"), np.array([at_s // 60]))[0]
        return int(mean_w * (0.9 + 0.2 * noise))

    def column(self, measured: MeasuredObject, day: int) -> Ints:
        """int64[96]: what the load profile's column holds for each interval that starts in a UTC day."""
        if measured.quantity is Quantity.STATUS:
            return self._status(day)
        if measured.quantity is Quantity.VOLTAGE:
            slots = np.arange(day * SLOTS, (day + 1) * SLOTS)
            return np.asarray(scaled(self._voltage(slots * 15), measured.scaler + 1))
        return self._energy(measured, day)

    def _energy(self, measured: MeasuredObject, day: int) -> Ints:
        channel = CHANNEL_OF[measured.quantity]
        totals = scaled(self.ledger.boundaries(day)[:, channel], measured.scaler)
        if measured.form is Form.INTERVAL:
            values = np.diff(totals)
        else:
            values = totals[1:] if self.profile.load_profile.stamp is Stamp.END else totals[:-1]
        if channel == CHANNEL_OF[Quantity.ACTIVE_IMPORT]:
            values = values + scaled(self.faults.spike_wh(day), measured.scaler)
        return np.asarray(values % (1 << 8 * OCTETS_OF[measured.tag]) if measured.tag in _UNSIGNED else values)

    def _status(self, day: int) -> Ints:
        """Clock invalid while it is hours ahead, adjusted in the intervals in which it changes."""
        bits = self.profile.load_profile.status_bits
        jumped = self.faults.jumped(day)
        changed = jumped != np.concatenate(([False], jumped[:-1]))
        return np.asarray(jumped * (1 << bits.clock_invalid) + changed * (1 << bits.clock_adjusted), np.int64)

    def _voltage(self, minutes: Ints) -> Ints:
        """Tenths of a volt."""
        noise = uniform(stream(self.faults.seed, self.faults.serial, "voltage"), minutes)
        return (_NOMINAL_DECIVOLTS + 60 * (noise - 0.5)).astype(np.int64)


_UNSIGNED = {Tag.UNSIGNED, Tag.LONG_UNSIGNED, Tag.DOUBLE_LONG_UNSIGNED}  # 64 bits do not fit the column's int64


def scaled(value: _Count, scaler: int) -> _Count:
    """Base units as counts of 10**scaler, rounded down."""
    factor: int = 10 ** abs(scaler)
    return value // factor if scaler >= 0 else value * factor


def wrapped(value: int, tag: Tag) -> int:
    """A count as it fits its type: registers start again at zero when they are full."""
    return value % (1 << 8 * OCTETS_OF[tag])
