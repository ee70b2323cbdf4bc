"""What is looked at once a minute, though nobody asks for it that often."""

from collections.abc import Iterator
from datetime import datetime, timedelta

_STEP = timedelta(minutes=1)
_CATCH_UP_MAX = timedelta(days=1)  # what lies further back is not looked at step by step any more


class Minutes:
    """The minutes since the last look."""

    def __init__(self, started: datetime) -> None:
        self._looked_at = started

    def skip_to(self, now: datetime) -> None:
        """Nothing had to be looked at until now."""
        self._looked_at = now

    def until(self, now: datetime) -> Iterator[datetime]:
        """Each minute that is over, oldest first."""
        self._looked_at = max(self._looked_at, now - _CATCH_UP_MAX)
        while self._looked_at + _STEP <= now:
            self._looked_at += _STEP
            yield self._looked_at
