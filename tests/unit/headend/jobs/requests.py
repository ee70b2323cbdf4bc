"""Small makers of what the tests of jobs ask for."""

from datetime import UTC, datetime

from amity.domain.jobs import JobKind, JobRequest, Priority

NOW = datetime(2026, 11, 20, 6, 17, 42, tzinfo=UTC)


def request(meter_id: str, kind: JobKind = JobKind.REGISTERS, **changes: object) -> JobRequest:
    """A scheduled job that is due at NOW, unless `changes` say otherwise."""
    settings = {"priority": Priority.SCHEDULED, "not_before": NOW, "key": f"{meter_id}/{kind}", **changes}
    return JobRequest(meter_id=meter_id, kind=kind, **settings)
