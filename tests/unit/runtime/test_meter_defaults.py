"""authentication_level in everybody's words, and meters that say nothing else."""

import pytest

from amity.devices.settings import Authentication, Ciphering
from amity.headend.ports import Endpoint
from amity.headend.routes import over_tcp
from amity.runtime.fleet.authentication_level import ALLOWED, level_of
from amity.runtime.fleet.meter_defaults import EndpointsWithDefaults
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


SETTINGS = HeadendSettings(
    client_address=18, logical_device_id=3, authentication_level="Security Suite 2", device_profile="quillon_q5"
)


def test_a_meter_that_says_nothing_is_spoken_to_as_configured():
    (whole,) = EndpointsWithDefaults(Stored(open_endpoint()), SETTINGS).all()
    assert (whole.profile, whole.client, whole.server) == ("quillon_q5", 18, 3)
    assert (whole.auth, whole.ciphering, whole.suite) == (Authentication.HLS_GMAC, Ciphering.GLO, 2)


def test_the_model_of_a_meter_says_what_it_has_and_not_how_it_is_spoken_to():
    (whole,) = EndpointsWithDefaults(Stored(open_endpoint(profile="generic", server=9)), SETTINGS).all()
    assert (whole.profile, whole.client, whole.server) == ("generic", 18, 9)
    assert (whole.auth, whole.ciphering, whole.suite) == (Authentication.HLS_GMAC, Ciphering.GLO, 2)


def test_what_a_meter_says_of_its_association_holds_and_the_rest_is_its_models():
    (whole,) = EndpointsWithDefaults(Stored(open_endpoint(auth="lls", profile="norrvik_n1")), SETTINGS).all()
    assert (whole.auth, whole.ciphering, whole.suite) == (Authentication.LLS, "", None)


def test_what_is_put_stays_open():
    stored = Stored()
    EndpointsWithDefaults(stored, SETTINGS).put([open_endpoint()])
    assert stored.endpoints == [open_endpoint()]
