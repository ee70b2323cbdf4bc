"""Round numbers for an axis."""

import math
from itertools import pairwise

_NOTHING = 1e-9
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def round_step(span: float, steps: int = 4) -> float:
    """The smallest round step (1, 2, 2.5, 5 x 10**n) that covers `span` in at most `steps` steps; 1 for nothing."""
    if span < _NOTHING:
        return 1.0
    rough = span / steps
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))


def axis(lowest: float, highest: float, steps: int = 4) -> list[float]:
    """Round ticks from at or below `lowest` to at or above `highest`, zero among them."""
    step = round_step(max(highest, 0) - min(lowest, 0), steps)
    first, last = math.floor(min(lowest, 0) / step + 1e-9), math.ceil(max(highest, 0) / step - 1e-9)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def tick_text(tick: float, ticks: list[float]) -> str:
    """A tick with as many decimals as its axis needs."""
    smallest = min((abs(b - a) for a, b in pairwise(ticks)), default=1.0)
    decimals = max(0, -math.floor(math.log10(smallest) + 1e-9)) if smallest < 1 else 0
    decimals = decimals + 1 if decimals == 0 and smallest != int(smallest) else decimals
    return f"{abs(tick):,.{decimals}f}"
