"""One look at the town for all who look at the same time: ten open browsers cost as much as one."""

import threading
from datetime import UTC, datetime, timedelta

from amity.usecases.services import Services
from amity.usecases.town import TownOverview, town_overview

FRESH_FOR_MIN = timedelta(seconds=2)
REST_PER_WORK = 10  # a large town is looked at less often: looking never takes more than a tenth of the time


class Glance:
    """The newest overview, computed again when it is no longer fresh; safe to call from several threads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._overview: TownOverview | None = None
        self._taken_at = self._fresh_until = datetime.min.replace(tzinfo=UTC)

    def town(self) -> TownOverview:
        """The overview; raise what `town_overview` raises."""
        with self._lock:
            now = self._services.clock.now()
            if self._overview is None or not self._taken_at <= now < self._fresh_until:
                self._overview, self._taken_at = town_overview(self._services), now
                done = self._services.clock.now()
                self._fresh_until = done + max(FRESH_FOR_MIN, REST_PER_WORK * (done - now))
            return self._overview
