"""All that an operator decides about jobs, in one value."""

from dataclasses import dataclass, field
from datetime import timedelta

from amity.domain.jobs import ReadingSchedule
from amity.headend.jobs.clock_policy import ClockBands
from amity.headend.jobs.gaps import BackfillRules
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.throttle import ThrottleRules


@dataclass(frozen=True, slots=True)
class JobPlan:
    """Schedules, and the rules under which their jobs are carried out. Without a schedule the default one holds."""

    schedules: tuple[ReadingSchedule, ...] = ()
    throttle: ThrottleRules = field(default_factory=ThrottleRules)
    retry: RetryRules | None = None
    clock: ClockBands = field(default_factory=ClockBands)
    backfill: BackfillRules = field(default_factory=BackfillRules)
    take_along: timedelta = timedelta(0)
