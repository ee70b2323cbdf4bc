import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from amity.devices.client.counters import RESYNC_MAX
from amity.devices.doctor import Known, NothingAnswersError, Secrets
from amity.devices.profiles import Framing
from amity.devices.server import ClientAccess, MeterServer
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.protocols.dlms import acse
from amity.protocols.dlms.acse import Aare, Aarq, AssociationResult, Mechanism, SourceDiagnostic
from amity.protocols.dlms.ciphering import CipherKeys
from amity.protocols.dlms.key_ring import KeyRing
from tests.unit.devices.conversing import ALL_OTHER_KEYS, CLIENT_TITLE, KEYS, PASSWORD, PUBLIC, SECRET, access, meter
from tests.unit.devices.doctor.examining import RIGHT, Street, given

HLS = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
LLS = access(Authentication.LLS)
OPEN = access()
HERE = (Framing.WRAPPER, 1)


def street(server: MeterServer) -> Street:
    return Street({(Framing.WRAPPER, server.settings.server): server})


def shown(place: Street, secret: bytes) -> int:
    """How often a secret went out in the clear."""
    return sum(secret in request for _, request in place.sent)


@pytest.mark.parametrize(
    ("reader", "expected"),
    [(OPEN, (Authentication.NONE, Ciphering.NONE)), (LLS, (Authentication.LLS, Ciphering.NONE)),
     (HLS, (Authentication.HLS_GMAC, Ciphering.GLO))],
    ids=["open", "lls", "hls"],
)  # fmt: skip
def test_the_readers_association_is_found(reader: ClientAccess, expected: tuple[Authentication, Ciphering]):
    place = street(meter(reader))
    finding = place.examine(secrets=RIGHT)
    assert (finding.opened.way.authentication, finding.opened.way.ciphering) == expected
    assert finding.opened.link.client == reader.client
    assert finding.opened.facts.name == "XXX0000000000007"
    assert finding.advice == (("not used: the password and keys given",) if reader is OPEN else ())


@pytest.mark.parametrize("server", [16, 17, 100])
def test_a_logical_device_with_another_number_is_found(server: int):
    finding = street(meter(LLS, server=server)).examine(secrets=RIGHT)
    assert finding.opened.link.server == server


@pytest.mark.parametrize("client", [2, 3, 32, 48])
def test_a_reader_with_another_number_is_found(client: int):
    reader = access(Authentication.LLS, client=client)
    assert street(meter(reader)).examine(secrets=RIGHT).opened.link.client == client


def test_what_is_known_is_not_searched_for():
    place = street(meter(access(Authentication.LLS, client=77), server=250))
    finding = place.examine(Known(framing=Framing.WRAPPER, client=77, server=250), RIGHT)
    assert finding.opened.link.client == 77
    assert {link.server for link, _ in place.sent} == {250}
    assert {link.client for link, _ in place.sent} == {77, PUBLIC}


def test_wrong_keys_are_shown_to_a_few_clients_and_once_to_each():
    many = [access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED, client)
            for client in (1, 2, 3, 32, 48)]  # fmt: skip
    place = street(meter(*many))
    finding = place.examine(secrets=given(keys=ALL_OTHER_KEYS))
    assert len(finding.advice) == 3
    refused = [what for what, answer in place.told if "authentication-failure" in answer]
    assert len(refused) == len(set(refused)) == 3


def test_keys_of_one_client_are_found_among_others():
    reader = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED, 32)
    management = replace(HLS, protector=ALL_OTHER_KEYS)
    finding = street(meter(management, reader)).examine(secrets=given(keys=KEYS))
    assert finding.opened.link.client == 32


@pytest.mark.parametrize("reader", [LLS, HLS], ids=["lls", "hls"])
def test_a_wrong_secret_is_shown_once_and_never_again(reader: ClientAccess):
    place = street(meter(reader))
    finding = place.examine(secrets=given(password=b"a wrong guess", keys=ALL_OTHER_KEYS, clear_password=True))
    assert finding.opened.link.client == PUBLIC
    assert "shown once" in finding.advice[0]
    assert shown(place, b"a wrong guess") <= 1
    refused = [what for what, answer in place.told if "authentication-failure" in answer]
    assert len(refused) == 1


class Listening:
    """Whoever stands at a meter's address, knows no mechanism but the one that says the password in the clear."""

    def __init__(self, named: Mechanism | None = None) -> None:
        self.named = named

    def open_association(self, _client: int) -> "Listening":
        return self

    def close(self) -> None:
        pass

    def receive(self, octets: bytes, _now: object) -> bytes:
        asked = acse.decode(octets) if octets[0] == Aarq.TAG else None
        diagnostic = SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED
        if isinstance(asked, Aarq) and asked.mechanism is Mechanism.LLS:
            diagnostic = SourceDiagnostic.AUTHENTICATION_FAILURE
        elif isinstance(asked, Aarq) and asked.context.ciphered:
            diagnostic = SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED
        return Aare(AssociationResult.REJECTED_PERMANENT, diagnostic, None, mechanism=self.named).encode()


@pytest.mark.parametrize(("named", "keys", "clear_password", "times"), [
    (None, None, None, 1), (None, None, False, 0), (None, None, True, 3),
    (None, KEYS, None, 0), (None, KEYS, True, 3),
    (Mechanism.LLS, KEYS, None, 1), (Mechanism.LLS, KEYS, False, 0),
])  # fmt: skip
def test_whoever_knows_only_lls_hears_the_password_from_one_client_at_most_unless_told(
    named: Mechanism | None, keys: KeyRing | None, clear_password: bool | None, times: int
):
    place = Street({HERE: Listening(named)})
    finding = place.examine(secrets=given(password=PASSWORD, keys=keys, clear_password=clear_password))
    assert finding.opened is None
    assert shown(place, PASSWORD) == times
    if not times:
        assert "--clear-password" in finding.advice[0]


def test_a_meter_that_wants_lls_is_opened_where_the_password_is_all_that_was_given():
    assert street(meter(LLS)).examine(secrets=given(password=PASSWORD)).opened.link.client == LLS.client


def test_a_password_is_not_shown_to_a_client_that_asks_for_keys():
    place = street(meter(HLS))
    finding = place.examine(secrets=given(password=b"the password"))
    assert shown(place, b"the password") == 0
    assert "give --key" in finding.advice[0]


def test_without_secrets_the_public_client_is_opened_and_the_finding_says_what_is_missing():
    finding = street(meter(LLS)).examine()
    assert finding.opened.link.client == PUBLIC
    assert finding.advice == ("client 1 wants authentication: give --password, or --key and --auth-key",)


def test_the_invocation_counter_starts_just_above_what_the_public_client_is_told():
    server = meter(HLS)
    server.received(HLS.client).counter = 123_456
    finding = street(server).examine(secrets=given(keys=KEYS))
    assert finding.opened.next_counter - 123_456 < 40


def test_a_counter_that_is_behind_is_raised_once_to_the_one_the_meter_expects():
    server = meter(HLS, public=HLS)
    server.received(HLS.client).counter = 3_000_000_000
    place = street(server)
    finding = place.examine(secrets=given(keys=KEYS))
    assert finding.opened.next_counter > 3_000_000_000
    assert sum("invocation-counter-error" in answer for _, answer in place.told) == 1


def test_a_counter_that_would_spend_the_key_is_not_believed_but_explained():
    server = meter(HLS, public=HLS)
    server.received(HLS.client).counter = RESYNC_MAX + 5
    finding = street(server).examine(secrets=given(keys=KEYS))
    assert finding.opened is None
    assert "--counter" in finding.advice[0]
    assert str(RESYNC_MAX + 6) in finding.advice[0]
    assert "does not accept" not in finding.advice[0]


def test_a_counter_that_was_given_goes_on_from_attempt_to_attempt():
    """Under a title that stays, a number that came twice would give the authentication key away."""
    reader = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED, 32)
    place = street(meter(replace(HLS, protector=ALL_OTHER_KEYS), reader))
    secrets = replace(given(keys=KEYS), client_title=CLIENT_TITLE, counter=77)
    assert place.examine(secrets=secrets).opened.link.client == 32
    initiates = (re.search(rb"\x21.\x30(....)", request, re.DOTALL) for _, request in place.sent if request[0] == 0x60)
    counters = [int.from_bytes(found[1], "big") for found in initiates if found]
    assert counters[0] == 77
    assert len(counters) > 1
    assert counters == sorted(set(counters))


def test_what_a_knock_has_opened_is_released():
    place = street(meter(LLS))
    place.examine(secrets=RIGHT)
    first, second, *_ = (request[0] for _, request in place.sent)
    assert (first, second) == (0x60, 0x62)


def test_the_counter_of_the_association_is_taken_not_the_highest():
    server = meter(HLS, access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED, 2))
    server.received(HLS.client).counter, server.received(2).counter = 100, 3_000_000_000
    finding = street(server).examine(secrets=given(keys=KEYS))
    assert finding.opened.next_counter - 100 < 40
    assert "lowest of 2" in finding.opened.counter.why


def test_a_meter_that_is_silent_to_the_release_is_noted():
    finding = street(meter(LLS, answers_release=False)).examine(secrets=RIGHT)
    assert finding.opened.answers_release is False


def test_there_is_a_pause_before_every_attempt_but_the_first():
    place = street(meter(HLS))
    finding = place.examine(secrets=RIGHT)
    assert place.pauses == [1.0] * (finding.attempts - 1)


def test_silence_everywhere_ends_after_a_bounded_number_of_attempts():
    place = Street()
    with pytest.raises(NothingAnswersError) as caught:
        place.examine(attempts_max=12)
    assert len(place.told) == 12
    assert "--client" in caught.value.next_step


def test_every_way_is_tried_once():
    place = Street()
    with pytest.raises(NothingAnswersError):
        place.examine()
    tried = [str(link) for link, _ in place.sent]
    assert len(tried) == len(set(tried))
    assert {link.framing for link, _ in place.sent} == set(Framing)


def test_a_serial_line_is_asked_in_hdlc_at_several_speeds():
    place = Street()
    with pytest.raises(NothingAnswersError):
        place.examine(Known(serial=True))
    assert {link.framing for link, _ in place.sent} == {Framing.HDLC}
    assert {300, 9600} <= {link.baud for link, _ in place.sent}


def test_what_is_no_dlms_is_passed_over():
    class Babbling:
        def open_association(self, _client: int) -> "Babbling":
            return self

        def receive(self, _octets: bytes, _now: object) -> bytes:
            return b"HTTP/1.1 400 Bad Request"

        close: Callable[[], None] = staticmethod(lambda: None)

    place = Street({HERE: Babbling(), (Framing.HDLC, 1): meter(LLS)})
    assert place.examine(secrets=RIGHT).opened.link.framing is Framing.HDLC


def test_keys_of_the_wrong_length_for_the_suite_are_never_sent():
    place = street(meter(HLS))
    finding = place.examine(secrets=Secrets(protector=lambda suite: CipherKeys(suite, bytes(5)), keyed=True))
    assert finding.opened.link.client == PUBLIC
    assert not finding.advice or "shown once" not in finding.advice[0]
    assert any("has 16 octets" in answer for _, answer in place.told)


def test_the_secret_of_high_level_security_is_a_password_too():
    reader = access(Authentication.HLS_SHA256)
    finding = street(meter(reader)).examine(secrets=given(password=SECRET))
    assert finding.opened.way.authentication is Authentication.HLS_SHA256


def test_no_secret_stands_in_what_is_told():
    place = street(meter(LLS))
    place.examine(secrets=RIGHT)
    assert PASSWORD.decode() not in str(place.told)
    assert repr(RIGHT).count(PASSWORD.decode()) == 0
