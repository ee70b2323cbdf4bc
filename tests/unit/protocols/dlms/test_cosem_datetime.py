from datetime import UTC, datetime, timedelta, timezone

import pytest

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError
from amity.protocols.dlms.datetime import CosemDateTime

VIENNA_WINTER = bytes.fromhex("07e60b0c0610360000ffc400")
INSTANT = datetime(2022, 11, 12, 15, 54, tzinfo=UTC)


def test_deviation_is_minutes_from_local_to_utc():
    time = CosemDateTime.from_octets(VIENNA_WINTER)
    assert time.deviation_min == -60
    assert time.to_utc() == INSTANT
    assert str(time) == "2022-11-12 16:54:00+01:00"


def test_writing_an_instant_as_local_time():
    time = CosemDateTime.from_utc(INSTANT, -60)
    assert time.to_octets() == VIENNA_WINTER
    assert CosemDateTime.from_utc(INSTANT.astimezone(timezone(timedelta(hours=5))), -60) == time


def test_meters_that_get_the_sign_wrong_are_a_quirk_of_the_caller():
    time = CosemDateTime.from_utc(INSTANT, -60)._replace(deviation_min=60)
    assert time.to_utc(deviation_inverted=True) == INSTANT


def test_a_deviation_left_open_needs_the_meters_zone():
    time = CosemDateTime.from_octets(bytes.fromhex("07e60b0c0610360000800000"))
    assert time.deviation_min is None
    assert time.to_utc(-60) == INSTANT
    with pytest.raises(RemoteProtocolError, match="deviation") as caught:
        time.to_utc()
    assert caught.value.next_step


def test_inverted_quirk_does_not_turn_the_default_around():
    time = CosemDateTime.from_octets(bytes.fromhex("07e60b0c0610360000800000"))
    assert time.to_utc(-60, deviation_inverted=True) == INSTANT


@pytest.mark.parametrize(
    "octets",
    [
        "ffff0b0c0610360000ffc400",  # no year
        "07e6fe0c0610360000ffc400",  # a month of daylight saving
        "07e6020c0618360000ffc400",  # 24 hours
        "07e6021e0610360000ffc400",  # 30 February
        "07e60b0c061036000003e800",  # 1000 minutes from UTC
    ],
)
def test_what_is_no_moment_is_an_error_of_the_meter(octets: str):
    time = CosemDateTime.from_octets(bytes.fromhex(octets))
    assert time.to_octets().hex() == octets
    with pytest.raises(RemoteProtocolError):
        time.to_utc(0)


def test_a_moment_before_the_first_year_is_an_error_of_the_meter():
    with pytest.raises(RemoteProtocolError, match="counted"):
        CosemDateTime(1, 1, 1, None, 0, 0, deviation_min=-60).to_utc()


def test_seconds_left_out_count_from_the_full_minute():
    time = CosemDateTime.from_octets(bytes.fromhex("07e60b0c061036ffffffc4ff"))
    assert time.to_utc() == INSTANT
    assert time.status is None


def test_daylight_saving_bit():
    assert CosemDateTime.from_utc(INSTANT, -120, dst=True).daylight_saving
    assert not CosemDateTime.from_utc(INSTANT).daylight_saving


def test_wrong_lengths_and_fields_name_whose_fault_it_is():
    with pytest.raises(RemoteProtocolError, match="12 octets"):
        CosemDateTime.from_octets(b"\x07")
    with pytest.raises(LocalProtocolError):
        CosemDateTime(2022, 300, 1).to_octets()
    with pytest.raises(LocalProtocolError, match="naive"):
        CosemDateTime.from_utc(datetime(2022, 1, 1))  # noqa: DTZ001 - the fault under test
