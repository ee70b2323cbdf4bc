"""Meters that do not say why a client is refused, or do not answer it: what was given is tried all the same."""

from dataclasses import replace
from datetime import datetime

import pytest

from amity.devices.doctor import Known, NothingAnswersError, Secrets
from amity.devices.profiles import CLOCK_OBIS, Framing
from amity.devices.server import ClientAccess, MeterServer
from amity.devices.server.association import MeterAssociation
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.protocols.dlms import acse
from amity.protocols.dlms.acse import Aare, AssociationResult, SourceDiagnostic
from tests.unit.devices.conversing import ALL_OTHER_KEYS, KEYS, PASSWORD, PUBLIC, access, meter
from tests.unit.devices.doctor.examining import Street, given

HERE = (Framing.WRAPPER, 1)
READER = 1
KEYED = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
CLOCK_ONLY = replace(access(client=PUBLIC), visible=frozenset({CLOCK_OBIS}))
WITH_PASSWORD = access(Authentication.LLS)
NO_REASON = Aare(AssociationResult.REJECTED_PERMANENT, SourceDiagnostic.NO_REASON_GIVEN, None).encode()
NAMED = Known(framing=Framing.WRAPPER, client=READER, server=1)


class _Refusing:
    """An association whose refusals say nothing; with `answer` None they are not even sent."""

    def __init__(self, association: MeterAssociation, answer: bytes | None) -> None:
        self._association = association
        self._answer = answer
        self.close = association.close

    def receive(self, octets: bytes, now: datetime) -> bytes | None:
        said = self._association.receive(octets, now)
        aare = acse.decode(said) if said and said[0] == Aare.TAG else None
        refused = isinstance(aare, Aare) and aare.result is not AssociationResult.ACCEPTED
        return self._answer if refused else said


class Mute:
    """A meter that says nothing of its reasons."""

    def __init__(self, server: MeterServer, answer: bytes | None) -> None:
        self._server = server
        self._answer = answer

    def open_association(self, client: int) -> _Refusing:
        return _Refusing(self._server.open_association(client), self._answer)


def street(answer: bytes | None, *clients: ClientAccess, public: ClientAccess | None = None) -> Street:
    return Street({HERE: Mute(meter(*clients, public=public) if public else meter(*clients), answer)})


@pytest.mark.parametrize("answer", [NO_REASON, None], ids=["reasonless", "silent"])
@pytest.mark.parametrize("known", [Known(), Known(client=READER)], ids=["unknown", "named"])
def test_right_keys_open_the_reader_that_was_refused_without_a_reason(known: Known, answer: bytes | None):
    finding = street(answer, KEYED).examine(known, given(keys=KEYS))
    assert (finding.opened.link.client, finding.opened.way.authentication) == (READER, Authentication.HLS_GMAC)
    assert finding.lets_in


def test_a_right_password_opens_it_too():
    finding = street(NO_REASON, WITH_PASSWORD).examine(Known(client=READER), given(password=PASSWORD))
    assert finding.opened.way.authentication is Authentication.LLS


@pytest.mark.parametrize("answer", [NO_REASON, None], ids=["reasonless", "silent"])
def test_where_even_the_public_client_is_met_so_a_way_that_is_named_is_tried(answer: bytes | None):
    finding = street(answer, KEYED, public=KEYED).examine(NAMED, given(keys=KEYS))
    assert finding.opened.way.authentication is Authentication.HLS_GMAC


def test_silence_to_everything_stays_an_end_and_says_what_was_not_used():
    with pytest.raises(NothingAnswersError) as caught:
        Street().examine(NAMED, given(keys=KEYS))
    assert "not used" not in caught.value.tried
    with pytest.raises(NothingAnswersError) as caught:
        Street().examine(Known(client=READER), given(keys=KEYS))
    assert "not used: the keys given" in caught.value.tried


@pytest.mark.parametrize("answer", [NO_REASON, None], ids=["reasonless", "silent"])
def test_wrong_keys_are_shown_to_one_such_client_once(answer: bytes | None):
    place = street(answer, KEYED, public=CLOCK_ONLY)
    finding = place.examine(secrets=given(keys=ALL_OTHER_KEYS))
    assert finding.opened.link.client == PUBLIC
    assert not finding.lets_in
    (advice,) = finding.advice
    assert "client 1 does not accept the keys given; shown once" in advice
    assert "of which the meter says nothing" in advice
    assert sum("hls-gmac" in what for what, _ in place.told) == 1


@pytest.mark.parametrize("secrets", [given(password=b"nonsense"), given(keys=ALL_OTHER_KEYS)], ids=["password", "keys"])
def test_a_meter_with_the_public_client_alone_lets_nobody_in(secrets: Secrets):
    finding = Street({HERE: meter(public=CLOCK_ONLY)}).examine(secrets=secrets)
    assert not finding.lets_in
    assert finding.advice
    assert Street({HERE: meter()}).examine(secrets=secrets).lets_in  # what is measured is there for everybody


def test_without_secrets_such_a_meter_is_asked_nothing_more():
    finding = Street({HERE: meter(public=CLOCK_ONLY)}).examine()
    assert not finding.lets_in
    assert "give --client" in finding.advice[0]


def test_what_was_not_used_is_said():
    finding = street(NO_REASON, access()).examine(secrets=given(keys=KEYS))
    assert finding.advice == ("not used: the keys given",)
    assert finding.opened.link.client == READER
    assert finding.lets_in


def test_a_title_that_the_meter_does_not_know_is_asked_for():
    titled = meter(replace(KEYED, client_title=b"HEADEND1"))
    (advice,) = Street({HERE: titled}).examine(secrets=given(keys=KEYS)).advice
    assert "give --client-title as the meter has it, and --counter" in advice
    assert "--password" not in advice
