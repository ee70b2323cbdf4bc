"""authentication_level in everybody's words, and meters that say nothing else."""

import pytest

from amity.devices.settings import Authentication, Ciphering
from amity.headend.ports import Endpoint
from amity.headend.routes import over_tcp
from amity.runtime.files.profiles import catalogue_of
from amity.runtime.fleet.authentication_level import ALLOWED, level_of
from amity.runtime.fleet.meter_defaults import DEFAULT_PROFILE, EndpointsWithDefaults, default_profile
from amity.runtime.settings import HeadendSettings


@pytest.mark.parametrize(
    ("words", "authentication", "ciphering", "suite"),
    [
        ("none", Authentication.NONE, Ciphering.NONE, None),
        ("Low", Authentication.LLS, Ciphering.NONE, None),
        ("High Level Authentication", Authentication.HLS_GMAC, Ciphering.GLO, 0),
        ("high", Authentication.HLS_GMAC, Ciphering.GLO, 0),
        ("Security Suite 1", Authentication.HLS_GMAC, Ciphering.GLO, 1),
        ("security_suite_2", Authentication.HLS_GMAC, Ciphering.GLO, 2),
        ("HLS-GMAC", Authentication.HLS_GMAC, Ciphering.NONE, None),
        ("hls sha256", Authentication.HLS_SHA256, Ciphering.NONE, None),
    ],
)
def test_the_words_of_the_page_the_standard_and_our_own(
    words: str, authentication: Authentication, ciphering: Ciphering, suite: int | None
):
    level = level_of(words)
    assert (level.authentication, level.ciphering, level.suite) == (authentication, ciphering, suite)


def test_every_word_that_is_offered_is_taken():
    assert len({level_of(word) for word in ALLOWED}) == len(ALLOWED)


def test_another_word_is_told_what_may_stand():
    with pytest.raises(ValueError, match="did you mean 'Security Suite 1'"):
        level_of("Securty Suite 1")


class Stored:
    def __init__(self, *endpoints: Endpoint) -> None:
        self.endpoints = list(endpoints)

    def all(self) -> list[Endpoint]:
        return self.endpoints

    def put(self, endpoints: list[Endpoint]) -> None:
        self.endpoints += endpoints


def open_endpoint(**said: object) -> Endpoint:
    return Endpoint(**{  # type: ignore[arg-type]
        "meter_id": "M", "route": over_tcp("h", 4059), "client": 0, "server": 0, "auth": "", "profile": "",
        "system_title": b"", **said,
    })  # fmt: skip


def test_the_settings_are_the_profile_of_meters_that_say_nothing_else():
    settings = HeadendSettings(client_address=18, logical_device_id=3, authentication_level="Security Suite 2")
    catalogue = catalogue_of(None, default_profile(settings))
    named = open_endpoint(profile="norrvik_n1", server=9)
    bare, other = EndpointsWithDefaults(Stored(open_endpoint(), named), catalogue.profile).all()
    assert (bare.profile, bare.client, bare.server) == (DEFAULT_PROFILE, 18, 3)
    association = catalogue.profile(bare.profile).association
    assert (association.suite, association.authentication) == (2, Authentication.HLS_GMAC)
    assert (other.profile, other.client, other.server) == ("norrvik_n1", 16, 9)


def test_what_is_put_stays_open():
    stored = Stored()
    EndpointsWithDefaults(stored, catalogue_of(None).profile).put([open_endpoint()])
    assert stored.endpoints == [open_endpoint()]
