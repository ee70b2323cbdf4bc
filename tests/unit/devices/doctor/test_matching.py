import pytest

from amity.devices.doctor import best_matches
from amity.devices.doctor.facts import Facts, ListedObject
from amity.devices.profiles import Catalogue, packaged_profile
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Conformance

CATALOGUE = tuple(Catalogue().profiles())


def facts(name: str | None = None, *listed: str) -> Facts:
    objects = tuple(ListedObject(1, 0, Obis.parse(obis)) for obis in listed)
    return Facts(name, None, None, None, b"", {}, (), objects, Conformance(0), 0)


@pytest.mark.parametrize(
    ("name", "maker"),
    [("KFM1000000000001", "Kaifa"), ("ISK1030775213859", "Iskraemeco"), ("LGZ1030000000001", "Landis+Gyr"),
     ("ZIV0000000000001", "ZIV"), ("KAM0000000000001", "Kamstrup"), ("SAG0000000000001", "Sagemcom"),
     ("EDM0000000000001", "EDMI"), ("ITR0000000000001", "Itron")],
)  # fmt: skip
def test_the_makers_letters_in_the_name_find_the_makers_profile(name: str, maker: str):
    assert best_matches(CATALOGUE, facts(name), None)[0].profile.manufacturer == maker


def test_objects_find_a_companion_specification():
    names = [str(obis) for obis in packaged_profile("is15959").recognised_by.objects]
    best, *_ = best_matches(CATALOGUE, facts("SEC0000000000001", *names), None)
    assert best.profile.key == "is15959"
    assert best.reasons[0] == "it has 5 of 5 known objects"


def test_another_makers_profile_never_fits():
    found = best_matches(CATALOGUE, facts("KFM1000000000001", "1.0.99.1.0.255"), None)
    assert not [match for match in found if match.profile.flag not in {"KFM", "XXX"}]


def test_a_meter_that_tells_nothing_matches_nothing():
    assert best_matches(CATALOGUE, facts(), None) == ()
