"""One look at the town for all who look at the same time: ten open browsers cost as much as one."""

import threading
from datetime import datetime, timedelta

from amity.usecases.services import Services
from amity.usecases.town import TownOverview, town_overview

FRESH_FOR = timedelta(seconds=2)


class Glance:
    """The newest overview, computed again when it is older than two seconds; safe to call from several threads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._overview: TownOverview | None = None
        self._taken_at: datetime | None = None

    def town(self) -> TownOverview:
        """The overview; raise what `town_overview` raises."""
        with self._lock:
            now = self._services.clock.now()
            if self._overview is None or self._taken_at is None or not _fresh(self._taken_at, now):
                self._overview, self._taken_at = town_overview(self._services), now
            return self._overview


def _fresh(taken_at: datetime, now: datetime) -> bool:
    return timedelta() <= now - taken_at < FRESH_FOR
