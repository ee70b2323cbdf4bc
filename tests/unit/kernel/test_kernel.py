from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.kernel.errors import AmityError, ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import date_of, day_of, epoch_s, from_epoch_s, isoformat, utc_day


@given(st.binary(min_size=6, max_size=6))
def test_obis_text_and_octets_are_the_same_thing(octets: bytes) -> None:
    assert Obis.parse(str(Obis(octets))) == octets


@pytest.mark.parametrize("text", ["1-0:1.8.0*255", " 1.0.1.8.0.255 "])
def test_the_two_ways_to_write_an_obis_code(text: str) -> None:
    assert Obis.parse(text) == bytes([1, 0, 1, 8, 0, 255])


@pytest.mark.parametrize("text", ["", "1.0.1.8.0", "1.0.1.8.0.256", "1.0.1.8.0.255.1", "a.b.c.d.e.f", "-1.0.1.8.0.255"])
def test_what_is_not_an_obis_code_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Obis.parse(text)
    assert "1.0.1.8.0.255" in (caught.value.next_step or "")


def test_an_obis_code_has_six_octets() -> None:
    with pytest.raises(ConfigurationError):
        Obis(b"\x01\x00\x01")


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_epoch_seconds_round_down_and_come_back(instant: datetime) -> None:
    assert from_epoch_s(epoch_s(instant)) == instant.replace(microsecond=0)
    assert date_of(utc_day(epoch_s(instant))) == instant.date()


def test_a_naive_time_has_no_place() -> None:
    with pytest.raises(ValueError, match="naive"):
        epoch_s(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


def test_an_instant_is_printed_in_utc() -> None:
    eastern = timezone(timedelta(hours=-5))
    assert isoformat(datetime(2026, 11, 20, 1, 15, tzinfo=eastern)) == "2026-11-20T06:15:00Z"
    assert day_of(date(1970, 1, 2)) == 1


def test_an_error_reads_as_what_tried_answer_next() -> None:
    error = AmityError("no answer", tried="GET 1.0.1.8.0.255", next_step="check the port")
    assert error.lines() == ["no answer", "tried: GET 1.0.1.8.0.255", "next: check the port"]
