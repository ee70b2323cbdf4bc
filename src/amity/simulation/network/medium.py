"""When what is sent arrives: one sender after the other, at the rate of the link, later by its latency, or never."""

from dataclasses import dataclass, field
from random import Random

from amity.simulation.network.presets import LinkPreset

_BITS = 8
_HOUR_S = 3600.0
_TRIES_MAX = 8


@dataclass(slots=True)
class Airtime:
    """How much longer a sender may be on the air: a bucket that fills at the rate of the duty cycle, for an hour."""

    duty_cycle: float
    left_s: float = field(init=False)
    filled_at_s: float = 0.0

    def __post_init__(self) -> None:
        """A full bucket."""
        self.left_s = self.duty_cycle * _HOUR_S

    def wait_s(self, at_s: float, needed_s: float) -> float:
        """How long a sender that is ready at `at_s` has to wait until it may send so long; that is then used up."""
        if not self.duty_cycle:
            return 0.0
        self.left_s = min(self.duty_cycle * _HOUR_S, self.left_s + (at_s - self.filled_at_s) * self.duty_cycle)
        self.filled_at_s = at_s
        waits_s = max(0.0, (needed_s - self.left_s) / self.duty_cycle)
        self.left_s += waits_s * self.duty_cycle - needed_s
        self.filled_at_s += waits_s
        return waits_s


@dataclass(slots=True)
class Medium:
    """What several senders share: until when it is taken."""

    busy_until_s: float = 0.0


class Way:
    """One direction of a link, of one sender; from the same seed of `random` each frame has the same fate."""

    def __init__(self, preset: LinkPreset, bit_s: int, medium: Medium, random: Random) -> None:
        self._preset = preset
        self._bit_s = bit_s
        self._medium = medium
        self._random = random
        self._airtime = Airtime(preset.duty_cycle)
        self._last_s = 0.0
        self.lost = 0

    @property
    def frame_octets(self) -> int:
        """What is sent in one piece."""
        return self._preset.frame_octets

    def of_datagram(self, now_s: float, octets: int) -> float | None:
        """When a datagram arrives, None when it never does."""
        sent_s = self._sent_s(now_s, octets)
        if self._is_lost():
            return None
        return sent_s + self._delay_s()

    def of_stream(self, now_s: float, octets: int) -> float:
        """When a piece of a stream arrives, in order; a lost one is sent again, each time after twice as long."""
        sent_s = self._sent_s(now_s, octets)
        for tries in range(_TRIES_MAX):
            if not self._is_lost():
                break
            sent_s = self._sent_s(sent_s + self._preset.retry_ms / 1000 * 2**tries, octets)
        self._last_s = max(self._last_s, sent_s + self._delay_s())
        return self._last_s

    def _sent_s(self, now_s: float, octets: int) -> float:
        on_air_s = octets * _BITS / self._bit_s
        begins_s = max(now_s, self._medium.busy_until_s)
        begins_s += self._airtime.wait_s(begins_s, on_air_s)
        self._medium.busy_until_s = begins_s + on_air_s
        return begins_s + on_air_s

    def _is_lost(self) -> bool:
        lost = self._random.random() < self._preset.loss
        self.lost += lost
        return lost

    def _delay_s(self) -> float:
        return (self._preset.latency_ms + self._preset.jitter_ms * self._random.random()) / 1000


@dataclass(frozen=True, slots=True)
class Ways:
    """Both directions: `up` from the meter or collector, `down` to it."""

    up: Way
    down: Way


def ways(preset: LinkPreset, random: Random, medium: Medium | None = None) -> Ways:
    """A link of this kind. Those that share their air or line with others are given its `medium`."""
    shared = (medium or Medium()) if preset.shared else None
    return Ways(
        Way(preset, preset.up_bit_s, shared or Medium(), random),
        Way(preset, preset.down_bit_s, shared or Medium(), random),
    )
