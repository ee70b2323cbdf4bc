from collections import Counter

import pytest

from amity.devices.profiles import fictional_keys, packaged_profile
from amity.simulation.town import build_town

PROFILES = tuple(map(packaged_profile, fictional_keys()))


def test_the_same_seed_builds_the_same_town_and_another_seed_another():
    assert build_town(3, 50, PROFILES) == build_town(3, 50, PROFILES)
    assert build_town(3, 50, PROFILES) != build_town(4, 50, PROFILES)


@pytest.mark.parametrize("meters", [1, 5, 200, 1000])
def test_everything_is_named_once_and_hangs_together(meters: int):
    town = build_town(3, meters, PROFILES).town
    assert len(town.meters) == len(town.usage_points) == meters
    for names in (
        [meter.meter_id for meter in town.meters],
        [meter.serial for meter in town.meters],
        [point.usage_point_id for point in town.usage_points],
        [point.account_id for point in town.usage_points],
        [point.address for point in town.usage_points],
        [transformer.transformer_id for transformer in town.transformers],
    ):
        assert len(set(names)) == len(names)
    transformers = {transformer.transformer_id for transformer in town.transformers}
    assert {point.transformer_id for point in town.usage_points} == transformers
    assert {meter.usage_point_id for meter in town.meters} == {point.usage_point_id for point in town.usage_points}


def test_two_hundred_meters_are_a_mixed_town():
    town = build_town(3, 200, PROFILES).town
    makers = Counter(meter.profile for meter in town.meters)
    assert len(makers) >= 4
    assert min(makers.values()) >= 30
    assert 20 <= sum(point.has_solar for point in town.usage_points) <= 55
    assert 10 <= len(town.transformers) <= 14
    assert len({transformer.feeder_id for transformer in town.transformers}) >= 3


def test_a_logical_device_name_fits_and_starts_with_the_maker():
    for premise in build_town(3, 30, PROFILES).premises:
        assert premise.meter.meter_id.startswith(premise.profile.flag)
        assert len(premise.meter.meter_id.encode("ascii")) <= 16


def test_premises_stand_near_their_transformer():
    town = build_town(3, 200, PROFILES).town
    places = {one.transformer_id: (one.latitude, one.longitude) for one in town.transformers}
    for point in town.usage_points:
        latitude, longitude = places[point.transformer_id]
        assert abs(point.latitude - latitude) < 0.003
        assert abs(point.longitude - longitude) < 0.003
