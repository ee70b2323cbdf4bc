"""The step of a session in which a meter's clock is judged, and moved if this is an instant at which it may be."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from amity.devices.client import Conversation, Session
from amity.devices.client.clock_setting import set_clock, shift_clock
from amity.devices.profiles import DeviceProfile
from amity.headend.conversation import read_clock_offset
from amity.headend.jobs.clock_policy import ClockAction, ClockBands, decide
from amity.kernel.errors import AmityError
from amity.kernel.time import isoformat


class ClockMove(NamedTuple):
    """What was found and done: how far ahead the clock was and is. Nothing was done yet where `again_at` is given."""

    action: ClockAction
    ahead_before: timedelta
    ahead_after: timedelta
    again_at: datetime | None = None

    def __str__(self) -> str:
        """As the job's history tells it."""
        return f"the clock was {_told(self.ahead_before)} from ours: {self._done}"

    @property
    def _done(self) -> str:
        if self.action is ClockAction.NONE:
            return "left"
        if self.again_at is not None:
            return f"{self.action}, not before {isoformat(self.again_at)}"
        return f"{self.action}, now {_told(self.ahead_after)}"


def _told(ahead: timedelta) -> str:
    return f"{round(ahead.total_seconds()):+d} s"


class ClockStep:
    """Implements `headend.session.Step`; afterwards `moved` says how it went, or `error` what ended it.

    Neither is there when the session ended before it came to the clock. In the second association it is judged anew:
    time has passed since, and an interval may be about to end. One that is `unfinished` from the start was judged in an
    earlier session.
    """

    def __init__(
        self, profile: DeviceProfile, bands: ClockBands, now: Callable[[], datetime], *, unfinished: bool = False
    ) -> None:
        self._profile = profile
        self._bands = bands
        self._now = now
        self.moved: ClockMove | None = None
        self.error: AmityError | None = None
        self.unfinished = unfinished

    @property
    def period(self) -> timedelta:
        """Between two boundaries that no move may cross."""
        return timedelta(seconds=self._profile.load_profile.capture_period_s)

    def talk(self, session: Session, *, may_change: bool) -> Conversation[None]:
        """Look, move, look again; where nothing may be changed, look and say whether that is `unfinished`."""
        before = yield from self._ahead(session)
        at = self._now()
        decision = decide(before, at, self.period, self._bands)
        self.unfinished = False
        if decision.action in {ClockAction.NONE, ClockAction.ALARM}:
            self.moved = ClockMove(decision.action, before, before)
        elif decision.not_before > at:
            self.moved = ClockMove(decision.action, before, before, decision.not_before)
        elif not may_change:
            self.unfinished = True
        else:
            yield from self._move(session, decision.action, before)
            self.moved = ClockMove(decision.action, before, (yield from self._ahead(session)))

    def failed(self, error: AmityError) -> None:
        """Keep it for the jobs that asked for this."""
        self.error = error

    def _move(self, session: Session, action: ClockAction, ahead: timedelta) -> Conversation[None]:
        if action is ClockAction.ADJUST:
            yield from shift_clock(session, round(-ahead.total_seconds()))
        else:
            yield from set_clock(session, self._now(), self._profile.clock)

    def _ahead(self, session: Session) -> Conversation[timedelta]:
        return read_clock_offset(session, self._profile, self._now)
