"""What somebody without any key may try who hears the line, or stands in between: nothing comes of it."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from amity.devices.challenges import fresh_challenge
from amity.devices.client import Authentication, Ciphering, Ports, Protection, Session, act, associate, get
from amity.devices.client.security_setup import transfer_keys
from amity.devices.freshness import Received, ReplayError
from amity.devices.interface_classes import Role
from amity.devices.server import ClientAccess
from amity.kernel.errors import AmityError, ConfigurationError, RemoteProtocolError, SecurityError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import Aare, Aarq, AssociationResult, SourceDiagnostic
from amity.protocols.dlms.apdu import ActionRequestNormal, Ciphered, GeneralCiphering, Method
from amity.protocols.dlms.ciphered import CipherTag, general_header
from amity.protocols.dlms.ciphering import wrap_glo
from amity.protocols.dlms.data import array, enum, integer, octet_string, structure
from amity.protocols.dlms.general_protection import KeyUse, Parties, wrap_general
from amity.protocols.dlms.hls import Proof, prove, reads_as_apdu
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.protector import KeyId
from tests.unit.devices.conversing import (
    CLIENT_TITLE,
    KEYS,
    METER_TITLE,
    NOW,
    READER,
    Line,
    access,
    chance,
    counter,
    lead,
    meter,
    ports,
    settings_for,
)
from tests.unit.devices.test_security_setup import SETUP, opened, reads
from tests.unit.devices.test_security_suites import BOTH, IMPORT_VALUE, allowed, public_keys, settings

METER_SIGNING = (1002).to_bytes(32, "big")
TAGGED, HIDDEN = Protection.AUTHENTICATED, Protection.ENCRYPTED
OPEN_RELAY = ActionRequestNormal(0xC1, Method(70, SETUP, 1), integer(0)).encode()


# ------------------------------------------------------------------ a dedicated key stays a secret
@pytest.mark.parametrize("guard", [TAGGED, HIDDEN, BOTH])
@pytest.mark.parametrize("ciphering", [Ciphering.GLO, Ciphering.GENERAL_GLO])
def test_a_dedicated_key_never_travels_in_the_clear(ciphering: Ciphering, guard: Protection):
    drawn: list[bytes] = []
    random = chance()

    def noting(count: int) -> bytes:
        drawn.append(random(count))
        return drawn[-1]

    permitted = access(Authentication.HLS_GMAC, ciphering, guard)
    line = Line(meter(permitted))
    session = line.associate(settings_for(permitted, dedicated_key=True), Ports(noting, counter()))
    assert reads(line, session)
    key = drawn[-1]
    assert len(key) == 16
    assert session.security is not None
    assert session.security.has_dedicated_key
    initiate = apdu.decode(acse.decode(line.requests[0]).user_information)
    assert initiate.security_control & guard.control == guard.control
    assert not any(key in octets for octets in (*line.requests, *line.answers))
    assert not any(key in passed.request for passed in session.exchanges)


def test_the_meter_refuses_a_dedicated_key_that_everybody_could_read():
    permitted = access(ciphering=Ciphering.GLO, protection=TAGGED)
    for control, accepted in ((0x10, False), (0x30, True)):
        initiate = apdu.InitiateRequest(settings_for(permitted).proposed, 1024, dedicated_key=bytes(16)).encode()
        answer = _asked(meter(permitted), wrap_glo(KEYS, control, CLIENT_TITLE, 1, initiate))
        assert answer.accepted is accepted


def _asked(server: Any, information: bytes) -> Aare:
    aarq = Aarq(information, acse.ApplicationContext.LN_CIPHERED, calling_ap_title=CLIENT_TITLE)
    answer = acse.decode(server.open_association(READER).receive(aarq.encode(), NOW))
    assert isinstance(answer, Aare)
    return answer


# ------------------------------------------------------------------ counters that nobody proved
@pytest.mark.parametrize("rubbish", [b"garbage", b"", b"\x01\x00", bytes(40)])
@pytest.mark.parametrize("tag", [CipherTag.GENERAL_GLO, CipherTag.GLO_INITIATE_REQUEST])
def test_a_message_that_nobody_could_read_spends_no_counter(tag: CipherTag, rubbish: bytes):
    permitted = access(ciphering=Ciphering.GLO, protection=HIDDEN)
    server = meter(permitted)
    line = Line(server)
    session = line.associate(settings_for(permitted))
    assert reads(line, session)
    heard = server.received_counter(READER)
    line.association.close()
    title = CLIENT_TITLE if tag.general else None
    assert not _asked(server, Ciphered(tag, title, 0x20, 0xFFFF_FFFF, rubbish).encode()).accepted
    assert server.received_counter(READER) == heard
    line = Line(server)
    assert reads(line, line.associate(settings_for(permitted), Ports(chance(), counter(100))))


def test_an_aarq_without_a_tag_opens_to_nothing_but_an_initiate_request():
    """Three octets of an exception are soon hit by chance; an InitiateRequest is not."""
    permitted = access(ciphering=Ciphering.GLO, protection=HIDDEN)
    server = meter(permitted)
    hit = KEYS.protect(0x20, CLIENT_TITLE, 0xFFFF_FFFF, bytes.fromhex("d80101"))
    octets = Ciphered(CipherTag.GENERAL_GLO, CLIENT_TITLE, 0x20, 0xFFFF_FFFF, hit).encode()
    assert not _asked(server, octets).accepted
    assert server.received_counter(READER) == -1


ERRORS = [bytes.fromhex(octets) for octets in ("0e010600", "d80101")]


@pytest.mark.parametrize("error", ERRORS, ids=bytes.hex)
def test_an_error_without_a_tag_moves_no_counter(error: bytes):
    """Tens of attempts hit one by chance: here it is hit at once, at the meter, and at the client."""
    permitted = access(ciphering=Ciphering.GLO, protection=HIDDEN)
    server, heard = meter(permitted), Received()
    line = Line(server)
    session = line.associate(settings_for(permitted), Ports(chance(), counter(), received=heard))
    assert reads(line, session)
    at_the_meter, at_the_client = server.received_counter(READER), heard.counter

    def hit(title: bytes, number: int = 0xFFFF_FFFF) -> bytes:
        payload = KEYS.protect(0x20, title, number, error)
        return Ciphered(CipherTag.GENERAL_GLO, title, 0x20, number, payload).encode()

    line.association.receive(hit(CLIENT_TITLE, 1 << 23), NOW)
    line.association.close()
    _asked(server, hit(CLIENT_TITLE))
    assert server.received_counter(READER) == at_the_meter
    line.spoil = lambda octets: replace(acse.decode(octets), user_information=hit(METER_TITLE)).encode()
    with pytest.raises(AmityError):
        line.associate(settings_for(permitted), Ports(chance(), counter(100), received=heard))
    assert heard.counter == at_the_client


def test_an_initiate_request_without_a_tag_does_not_jump_far():
    permitted = access(ciphering=Ciphering.GLO, protection=HIDDEN)
    server = meter(permitted)
    line = Line(server)
    line.associate(settings_for(permitted))
    line.association.close()
    initiate = apdu.InitiateRequest(settings_for(permitted).proposed, 1024).encode()
    for number, accepted in ((0xF000_0000, False), (1000, True)):
        assert _asked(server, wrap_glo(KEYS, 0x20, CLIENT_TITLE, number, initiate)).accepted is accepted


@pytest.mark.parametrize(("guard", "jumps"), [(HIDDEN, False), (BOTH, True)])
def test_only_a_tag_lets_a_counter_jump_within_an_association(guard: Protection, jumps: bool):
    permitted = access(ciphering=Ciphering.GLO, protection=guard)
    line = Line(meter(permitted))
    line.associate(settings_for(permitted))
    request = bytes.fromhex("c001c100030100010800ff0200")
    far = wrap_glo(KEYS, guard.control, CLIENT_TITLE, 0xF000_0000, request)
    answer = line.association.receive(far, NOW)
    assert answer is not None
    assert (answer[0] == CipherTag.GLO_GET_RESPONSE) is jumps
    near = wrap_glo(KEYS, guard.control, CLIENT_TITLE, 0xF000_0001 if jumps else 1000, request)
    assert line.association.receive(near, NOW)[0] == CipherTag.GLO_GET_RESPONSE


def test_the_memory_of_a_client_is_not_spent_either():
    permitted = allowed(1, Authentication.NONE, Ciphering.GENERAL, HIDDEN)
    line, heard = Line(meter(permitted)), Received()
    session = line.associate(settings(permitted), Ports(chance(), counter(), received=heard))
    before = heard.counter
    real = line.answer

    def spoiled(octets: bytes) -> bytes | None:
        answer = apdu.decode(real(octets))
        assert isinstance(answer, GeneralCiphering)
        return replace(answer, invocation_counter=0xFFFF_FFFF, payload=b"garbage").encode()

    with pytest.raises(RemoteProtocolError):
        lead(get(session, IMPORT_VALUE), spoiled)
    assert heard.counter == before


# ------------------------------------------------------------------ a challenge that is a command
def test_no_command_is_signed_as_the_answer_to_a_challenge():
    """With GMAC the proof would be the tag of that command, authenticated only."""
    permitted = access(Authentication.HLS_GMAC, Ciphering.GLO, TAGGED)
    line = Line(meter(permitted))
    line.spoil = lambda octets: (
        replace(acse.decode(octets), authentication_value=OPEN_RELAY).encode() if octets[0] == Aare.TAG else octets
    )
    with pytest.raises(SecurityError, match="challenge is a message"):
        line.associate(settings_for(permitted))
    assert len(line.requests) == 1


@pytest.mark.parametrize("challenge", [
    OPEN_RELAY, bytes.fromhex("c401c100060000000000"), bytes.fromhex("0f00000001000900"),
    bytes.fromhex("d80101"), OPEN_RELAY + bytes(3), general_header(bytes(8), b"", b"", b"", b"") + OPEN_RELAY,
], ids=bytes.hex)  # fmt: skip
def test_neither_side_proves_itself_by_a_message(challenge: bytes):
    proof = Proof(CLIENT_TITLE, METER_TITLE, challenge, bytes(16))
    with pytest.raises(SecurityError, match="challenge is a message"):
        prove(acse.Mechanism.HLS_GMAC, KEYS, proof, 7)
    assert prove(acse.Mechanism.HLS_SHA256, KEYS, proof, 7)


def test_our_own_challenge_never_looks_like_a_message():
    message, other = (
        apdu.DataNotification(0x01020304, b"", octet_string(bytes(range(10, 18)))).encode(),
        bytes(range(16)),
    )
    assert (len(message), reads_as_apdu(message), reads_as_apdu(other)) == (16, True, False)
    draws = iter([message, other])
    assert fresh_challenge(lambda _count: next(draws), 16) == other


@pytest.mark.parametrize(("ciphering", "guard"), [(Ciphering.NONE, Protection.NONE), (Ciphering.GLO, TAGGED)])
def test_an_acceptance_without_proof_of_a_key_is_taken_where_the_profile_says_so(
    ciphering: Ciphering, guard: Protection
):
    permitted = access(Authentication.HLS_GMAC, ciphering, guard)

    def bare(octets: bytes) -> bytes:
        return replace(acse.decode(octets), user_information=None).encode() if octets[0] == Aare.TAG else octets

    line = Line(meter(permitted))
    line.spoil = bare
    if ciphering is not Ciphering.NONE:
        with pytest.raises(SecurityError, match="without saying what it grants"):
            line.associate(settings_for(permitted))
        line.association.close()
        line = Line(meter(permitted))
        line.spoil = bare
    assert reads(line, line.associate(settings_for(permitted, bare_acceptance=True)))


# ------------------------------------------------------------------ what was recorded
@pytest.mark.parametrize("authentication", [Authentication.NONE, Authentication.LLS])
def test_a_whole_session_on_tape_is_refused_where_counters_are_kept(authentication: Authentication):
    permitted = access(authentication, Ciphering.GLO, BOTH)
    line, heard = Line(meter(permitted)), Received()
    ports = Ports(chance(), counter(), received=heard)
    assert reads(line, line.associate(settings_for(permitted), ports))
    tape = iter(line.answers)
    with pytest.raises(ReplayError):
        lead(associate(settings_for(permitted), ports), lambda _request: next(tape))


def test_the_same_key_transferred_again_makes_nobody_forget():
    permitted = allowed(0, Authentication.NONE, Ciphering.GLO, role=Role.MANAGEMENT)
    line, session = opened(permitted)
    assert reads(line, session)
    recorded = list(line.requests)
    heard = line.association._meter.received_counter(READER)
    same = aes_key_wrap(bytes(16), bytes(range(16)))
    line.lead(act(session, Method(64, SETUP, 2), array([structure(enum(0), octet_string(same))])))
    assert line.association._meter.received_counter(READER) > heard
    line.association.close()
    answer = line.association.receive(recorded[0], NOW)
    assert answer is not None
    assert answer[0] == apdu.ExceptionResponse.TAG


def test_a_new_unicast_key_makes_nobody_forget_what_other_keys_said():
    """Wrapped and agreed keys are as they were; the association that goes on counts under the new key."""
    permitted = allowed(1, Authentication.HLS_GMAC, Ciphering.GENERAL, role=Role.MANAGEMENT)
    server = meter(permitted)
    line = Line(server)
    session = line.associate(settings(permitted, key_use=KeyUse.WRAPPED))
    assert reads(line, session)
    recorded = line.requests[-1]
    renewed = line.lead(transfer_keys(session, [KeyId.GLOBAL_UNICAST], 1))
    session.security.key_use = KeyUse.IDENTIFIED
    assert reads(line, session)
    assert server.received_counter(READER) > 0
    line.association.close()
    line = Line(server)
    line.associate(settings(permitted, protector=renewed), ports(100))
    answer = line.association.receive(recorded, NOW)
    assert answer is not None
    assert answer[0] == apdu.ExceptionResponse.TAG


# ------------------------------------------------------------------ passwords that are none
def test_an_empty_password_opens_nothing():
    with pytest.raises(ConfigurationError, match="password"):
        ClientAccess(READER, Authentication.LLS)
    server = meter(access(Authentication.LLS))
    for value in (None, b""):
        aarq = Aarq(
            apdu.InitiateRequest(apdu.Conformance.GET, 1024).encode(),
            mechanism=acse.Mechanism.LLS, authentication_value=value,
        )  # fmt: skip
        answer = acse.decode(server.open_association(READER).receive(aarq.encode(), NOW))
        assert answer.result is not AssociationResult.ACCEPTED
        assert answer.diagnostic is SourceDiagnostic.AUTHENTICATION_FAILURE


# ------------------------------------------------------------------ keys of one message
def one_pass_meter(numbers: Callable[[], int]) -> Callable[[bytes], bytes]:
    """Answers every GET under a fresh ephemeral key, with transaction ids of its own choosing."""
    own = KeyRing(1, Keys(unicast=bytes(16), authentication=bytes(range(16, 32)), signing=METER_SIGNING), chance(3))
    parties = Parties(own, METER_TITLE, CLIENT_TITLE, public_keys(1, 1))
    invoke = itertools.count(2)

    def answer(_request: bytes) -> bytes:
        plain = b"\xc4\x01" + bytes([0xC0 | next(invoke) & 15]) + b"\x00\x06\x00\x00\x00\x07"
        return wrap_general(parties, KeyUse.ONE_PASS, 0x31, numbers(), plain)

    return answer


def one_pass_session() -> Session:
    permitted = allowed(1, Authentication.HLS_GMAC, Ciphering.GENERAL, BOTH)
    line = Line(meter(permitted))
    return line.associate(settings(permitted, key_use=KeyUse.ONE_PASS))


def test_a_fresh_ephemeral_key_needs_no_transaction_id_of_its_own():
    session, answer = one_pass_session(), one_pass_meter(lambda: 0)
    session._invoke_id = 1
    for _ in range(4):
        assert lead(get(session, IMPORT_VALUE), answer).value == 7


def test_an_ephemeral_key_that_was_heard_is_refused_whatever_its_number():
    session, heard = one_pass_session(), []
    session._invoke_id = 1
    answers = one_pass_meter(iter([50, 0]).__next__)

    def noting(request: bytes) -> bytes:
        heard.append(answers(request))
        return heard[-1]

    assert lead(get(session, IMPORT_VALUE), noting).value == 7
    assert lead(get(session, IMPORT_VALUE), noting).value == 7
    for recorded in heard:
        with pytest.raises(ReplayError):
            lead(get(session, IMPORT_VALUE), lambda _request, octets=recorded: octets)
