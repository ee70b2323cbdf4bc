"""How long to wait before trying again: exponential with full jitter, so that many callers do not come back at once.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: full jitter finishes the same work
with the fewest calls.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Chance = Callable[[], float]
"""Where chance comes from: each call gives a number in [0, 1)."""

_DOUBLINGS_MAX: Final = 32
"""2**32 times any base is beyond every limit; without this bound the power itself would grow without end."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The n-th wait is anywhere in [0, base_s x 2**n), never more than limit_s."""

    base_s: float
    limit_s: float

    def wait_s(self, failures: int, chance: Chance) -> float:
        """Seconds to wait after so many failures in a row, the first being 1."""
        doublings = min(max(failures - 1, 0), _DOUBLINGS_MAX)
        return min(self.limit_s, self.base_s * 2.0**doublings) * chance()
