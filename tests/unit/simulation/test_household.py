import numpy as np
import pytest

from amity.simulation.household import INTERVAL_S, SLOTS, Household, local_time
from amity.simulation.weather import Weather

SEED = 11
WEATHER = Weather(SEED, 47.2, 15.8)
YEAR = (20_454, 20_454 + 365)  # 2026
WINTER_DAY, SUMMER_DAY = 20_470, 20_620
CLOCK_BACK_DAY = 20_751  # 2026-10-25: 25 local hours


def household(number: int, *, solar: bool = False) -> Household:
    return Household.from_seed(SEED, f"UP-{number}", solar=solar)


@pytest.mark.parametrize("number", range(12))
def test_a_year_uses_what_the_household_is_meant_to_use(number: int):
    home = household(number)
    used_kwh = home.energy(WEATHER, *YEAR)[:, 0].sum() / 1000
    assert 2_300 < used_kwh < 6_600
    assert used_kwh == pytest.approx(home.annual_kwh, rel=0.1)


def test_any_span_gives_the_same_values_as_the_whole():
    home = household(3, solar=True)
    whole = home.energy(WEATHER, 20_600, 20_640)
    part = household(3, solar=True).energy(WEATHER, 20_611, 20_613)
    assert np.array_equal(part, whole[11 * SLOTS : 13 * SLOTS])


def test_homes_differ():
    assert not np.array_equal(
        household(1).energy(WEATHER, 20_600, 20_601), household(2).energy(WEATHER, 20_600, 20_601)
    )


def test_a_home_with_panels_exports_by_day_and_never_at_night():
    home = household(5, solar=True)
    energy = home.energy(WEATHER, SUMMER_DAY, SUMMER_DAY + 30).reshape(30, SLOTS, 4)
    night = energy[:, :8]  # 00:00 to 02:00 UTC
    assert night[..., 1].max() == 0
    assert energy[:, 36:52, 1].sum() > 0
    assert (
        900
        < home.roof.power_w(WEATHER, np.arange(YEAR[0] * 96, YEAR[1] * 96) * 900).sum() / 4 / home.roof.peak_w
        < 1_250
    )


def test_an_interval_imports_or_exports_never_both():
    energy = household(6, solar=True).energy(WEATHER, SUMMER_DAY, SUMMER_DAY + 20)
    assert not ((energy[:, 0] > 0) & (energy[:, 1] > 0)).any()
    assert not ((energy[:, 2] > 0) & (energy[:, 3] > 0)).any()
    assert energy.min() >= 0
    assert energy.dtype == np.int64


def test_the_roof_feeds_the_house_first():
    with_roof, without = household(7, solar=True), household(7)
    net = with_roof.energy(WEATHER, SUMMER_DAY, SUMMER_DAY + 5)
    load = without.energy(WEATHER, SUMMER_DAY, SUMMER_DAY + 5)
    roof_wh = load[:, 0] - (net[:, 0] - net[:, 1])
    assert roof_wh.min() == 0
    assert net[:, 0].sum() < load[:, 0].sum()


def test_a_town_peaks_in_the_evening_and_dips_at_noon_on_a_sunny_day():
    days = [
        household(number, solar=number % 5 == 0).energy(WEATHER, SUMMER_DAY, SUMMER_DAY + 14) for number in range(60)
    ]
    by_hour = sum(days).reshape(14, 24, 4, 4).sum(axis=(0, 2))
    net = by_hour[:, 0] - by_hour[:, 1]
    assert net.argmax() in {17, 18, 19}  # 19 to 21 h local time
    assert net[9:13].mean() < net[17:20].mean() / 2


def test_winter_uses_more_than_summer():
    homes = [household(number) for number in range(40)]
    winter, summer = (
        sum(home.energy(WEATHER, day, day + 14)[:, 0].sum() for home in homes) for day in (WINTER_DAY, SUMMER_DAY)
    )
    assert winter > 1.1 * summer


def test_the_day_of_the_clock_change_has_96_intervals_like_any_other():
    assert household(8).energy(WEATHER, CLOCK_BACK_DAY, CLOCK_BACK_DAY + 1).shape == (96, 4)


def test_local_time_follows_the_zone():
    at_s = np.array([SUMMER_DAY, WINTER_DAY]) * 86_400 + 12 * 3600
    local = local_time("Europe/Vienna", at_s)
    assert local.hour.tolist() == [14.0, 13.0]


def test_saturday_is_weekend_and_friday_is_not():
    friday = 20_777  # 2026-11-20
    local = local_time("Europe/Vienna", np.array([friday, friday + 1, friday + 2, friday + 3]) * 86_400 + 43_200)
    assert local.weekend.tolist() == [False, True, True, False]


def test_weather_stays_on_earth():
    at_s = np.arange(YEAR[0] * SLOTS, YEAR[1] * SLOTS) * INTERVAL_S
    temperature, cloud = WEATHER.temperature_c(at_s), WEATHER.cloud(at_s)
    assert -20 < temperature.min() < 0
    assert 22 < temperature.max() < 38
    assert 0 <= cloud.min() <= cloud.max() <= 1
    elevation, _ = WEATHER.sun(at_s)
    assert np.degrees(elevation.max()) == pytest.approx(90 - 47.2 + 23.45, abs=0.5)
