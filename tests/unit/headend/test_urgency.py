from datetime import UTC, datetime, timedelta

import pytest

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventKind, MeterEvent, Severity
from amity.headend.urgency import Urgency, subject_of, urgency_of

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)


def event(minutes_ago: int, severity: Severity = Severity.ALARM) -> MeterEvent:
    return MeterEvent(EventKind.OTHER, 1, NOW - timedelta(minutes=minutes_ago), severity=severity)


@pytest.mark.parametrize(
    ("outcome", "events", "urgency"),
    [
        (Outcome.COMPLETE, (), Urgency.READINGS),
        (Outcome.PUSHED, (), Urgency.READINGS),
        (Outcome.PUSHED, (event(600, Severity.INFO),), Urgency.ALARM),
        (Outcome.COMPLETE, (event(59),), Urgency.ALARM),
        (Outcome.COMPLETE, (event(60),), Urgency.READINGS),
        (Outcome.COMPLETE, (event(1, Severity.WARNING),), Urgency.READINGS),
        (Outcome.COMPLETE, (event(600), event(1)), Urgency.ALARM),
    ],
)
def test_alarms_that_are_news_and_whatever_a_meter_calls_in_to_say_go_first(
    outcome: Outcome, events: tuple[MeterEvent, ...], urgency: Urgency
) -> None:
    delivery = Delivery("m", "M1", "s", NOW, outcome, events=events)
    assert urgency_of(delivery) is urgency
    assert subject_of(delivery, "d") == ("d.alarms" if urgency is Urgency.ALARM else "d")
