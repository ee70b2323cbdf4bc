"""A job of a meter that has not called waits for it, without spending attempts, until its deadline."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from amity.domain.jobs import Job, JobKind, JobState, Lease, Priority
from amity.headend.calls.lines import NotCalledInError
from amity.headend.collectors.failures import CollectorNotConnectedError
from amity.headend.fields import Fields
from amity.headend.jobs.retry import RetryRules, after_failure, failure_of, tries_left_behind
from amity.headend.ports import NoWayHereError
from amity.headend.route_document import read_route, route_document
from amity.headend.routes import CallsIn, HdlcLink, Route, WrapperLink
from amity.kernel.errors import ConfigurationError

NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)


@pytest.mark.parametrize("error", [NotCalledInError("its line"), CollectorNotConnectedError("DC7")])
def test_nobody_could_be_called_so_no_attempt_is_spent(error: NoWayHereError) -> None:
    job = Job("j", "M", JobKind.REGISTERS, Priority.SCHEDULED, JobState.LEASED, NOW, NOW, attempts=99)
    failure = failure_of(error, passing=True)
    waits = after_failure(job, failure, NOW, RetryRules(attempts_max=3), lambda: 0.5)
    assert (waits.state, waits.not_before, waits.afresh) == (JobState.WAITING, NOW + timedelta(hours=1), True)
    assert "DC7" in failure.remedy or "parked" in failure.remedy, "it says what to look at"
    assert tries_left_behind(Lease("M", "w", 1, NOW, tries=5), failure) == 4
    late = after_failure(replace(job, deadline=NOW), failure, NOW, RetryRules(), lambda: 0.5)
    assert late.state is JobState.EXPIRED


@pytest.mark.parametrize(
    "route", [Route(WrapperLink(CallsIn())), Route(WrapperLink(CallsIn("10.0.0.7"))), Route(HdlcLink(CallsIn(), 17))]
)
def test_a_route_that_calls_in_is_read_as_it_was_written(route: Route) -> None:
    assert read_route(Fields("a meter", route_document(route))) == route
    assert route.calls_in
    assert not route.shared_line


@pytest.mark.parametrize("more", [{"port": 4059}, {"udp": True}])
def test_who_calls_in_has_no_port_and_no_datagrams(more: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="calls in"):
        read_route(Fields("a meter", {"calls_in": True, **more}))
