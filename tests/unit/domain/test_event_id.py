from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from amity.domain.events import EventClass, EventKind, MeterEvent, Severity, event_id

EVENT = MeterEvent(EventKind.COVER_OPENED, 44, datetime(2026, 11, 20, 6, 15, tzinfo=UTC), log="fraud")


def test_an_event_is_the_same_whoever_tells_it_and_whatever_a_table_calls_it() -> None:
    told_otherwise = replace(
        EVENT,
        kind=EventKind.OTHER,
        text="lid",
        pushed=True,
        evidence=(3,),
        event_class=EventClass.TAMPER,
        severity=Severity.ALARM,
    )
    assert event_id("M1", told_otherwise) == event_id("M1", EVENT)


@pytest.mark.parametrize(
    "change", [{"log": "standard"}, {"code": 45}, {"occurrence": 1}, {"at": EVENT.at + timedelta(seconds=1)}]
)
def test_another_log_stamp_code_or_occurrence_is_another_event(change: dict[str, object]) -> None:
    assert event_id("M1", replace(EVENT, **change)) != event_id("M1", EVENT)


def test_another_meter_is_another_event() -> None:
    assert event_id("M2", EVENT) != event_id("M1", EVENT)
    assert len(event_id("M1", EVENT)) == 32
