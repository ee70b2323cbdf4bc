"""Every authentication in every protection, client against meter; then everything that must be refused."""

from dataclasses import replace
from typing import Any

import pytest

from amity.devices.client import (
    AssociationRejectedError,
    Authentication,
    Ciphering,
    DowngradeError,
    InvocationCounterError,
    Protection,
    ReplayError,
    ServiceRefusedError,
    associate,
    get,
    release,
)
from amity.devices.message_security import MessageSecurity
from amity.devices.server import ClientAccess, State
from amity.kernel.errors import AmityError, ConfigurationError, RemoteProtocolError, SecurityError
from amity.protocols.dlms import acse
from amity.protocols.dlms.acse import Aare, Aarq, AssociationResult, SourceDiagnostic
from amity.protocols.dlms.apdu import (
    ActionResponseNormal,
    ActionResult,
    Attribute,
    Conformance,
    ExceptionResponse,
    InitiateResponse,
    ServiceError,
    StateError,
)
from amity.protocols.dlms.data import Data, double_long_unsigned
from tests.unit.devices.conversing import (
    ALL_OTHER_KEYS,
    CLIENT_TITLE,
    IMPORT,
    KEYS,
    METER_TITLE,
    NOW,
    OTHER_KEYS,
    PUBLIC,
    Line,
    access,
    counter,
    lead,
    meter,
    ports,
    settings_for,
)

NONE, LLS, HLS = Authentication.NONE, Authentication.LLS, Authentication.HLS_GMAC
PROTECTIONS = (Protection.AUTHENTICATED, Protection.ENCRYPTED, Protection.AUTHENTICATED_ENCRYPTED)
SYMMETRIC = [how for how in Authentication if how is not Authentication.HLS_ECDSA]
CIPHERED = [(how, wrap, guard) for how in SYMMETRIC for wrap in list(Ciphering)[1:] for guard in PROTECTIONS]
PLAIN = [(how, Ciphering.NONE, Protection.NONE) for how in SYMMETRIC]
BOTH = Protection.AUTHENTICATED_ENCRYPTED
IMPORT_VALUE = Attribute(3, IMPORT, 2)
GMAC = access(HLS, Ciphering.GLO, BOTH)


@pytest.mark.parametrize(("how", "wrap", "guard"), [*PLAIN, *CIPHERED])
def test_a_register_is_read_in_every_mode(how: Authentication, wrap: Ciphering, guard: Protection):
    allowed = access(how, wrap, guard)
    line = Line(meter(allowed))
    session = line.associate(settings_for(allowed))
    assert line.association.state is State.OPEN
    assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
    if guard in {Protection.ENCRYPTED, BOTH}:
        assert double_long_unsigned(4711).value.to_bytes(4, "big") not in line.answers[-1]
    assert line.lead(release(session)) is True
    assert line.association.state is State.IDLE


@pytest.mark.parametrize(("wrap", "tag"), [(Ciphering.GLO, 0xC8), (Ciphering.GENERAL_GLO, 0xDB)])
def test_the_wrapping_is_the_one_of_the_settings(wrap: Ciphering, tag: int):
    allowed = access(HLS, wrap, BOTH)
    line = Line(meter(allowed))
    session = line.associate(settings_for(allowed))
    line.lead(get(session, IMPORT_VALUE))
    assert line.requests[-1][0] == tag
    assert line.answers[-1][0] == {0xC8: 0xCC, 0xDB: 0xDB}[tag]


def test_general_glo_that_was_not_granted_becomes_glo():
    granted = Conformance.GET | Conformance.ACTION
    allowed = access(HLS, Ciphering.GENERAL_GLO, BOTH)
    line = Line(meter(allowed, conformance=granted))
    session = line.associate(settings_for(allowed))
    line.lead(get(session, IMPORT_VALUE))
    assert line.requests[-1][0] == 0xC8
    assert session.conformance == granted


def test_only_what_is_implemented_is_proposed_and_only_what_is_granted_is_used():
    line = Line(meter(access(), conformance=Conformance.GET))
    session = line.associate(settings_for(access()))
    aarq = acse.decode(line.requests[0])
    assert isinstance(aarq, Aarq)
    assert aarq.user_information == bytes.fromhex("01000000065f1f0400") + (0x001E1D).to_bytes(3, "big") + b"\xff\xff"
    assert session.conformance == Conformance.GET


def test_the_aare_of_a_gmac_association_has_all_that_the_standard_asks():
    line = Line(meter(GMAC))
    line.associate(settings_for(GMAC))
    aare = acse.decode(line.answers[0])
    assert isinstance(aare, Aare)
    assert aare.result is AssociationResult.ACCEPTED
    assert aare.diagnostic is SourceDiagnostic.AUTHENTICATION_REQUIRED
    assert aare.responding_ap_title == METER_TITLE
    assert aare.mechanism is acse.Mechanism.HLS_GMAC
    assert len(aare.authentication_value) == 16
    assert aare.user_information[0] == 0x28
    assert aare.context is acse.ApplicationContext.LN_CIPHERED


def test_a_plain_aare_carries_the_initiate_response():
    line = Line(meter(), client=PUBLIC)
    line.associate(settings_for(access()))
    aare = acse.decode(line.answers[0])
    assert aare.user_information == bytes.fromhex("0800065f1f0400") + (0x1E1D).to_bytes(3, "big") + bytes.fromhex(
        "04000007"
    )


# ------------------------------------------------------------------ rejections
def rejection(allowed: ClientAccess, **changes: Any):
    with pytest.raises(AssociationRejectedError) as caught:
        Line(meter(allowed)).associate(settings_for(allowed, **changes))
    error = caught.value
    assert error.what.startswith("DLMS Association Rejected: ")
    assert error.tried
    assert error.answer
    assert error.next_step
    return error


def test_a_wrong_password_is_named():
    error = rejection(access(LLS), password=b"guess")
    assert "wrong password likely" in error.what
    assert error.diagnostic is SourceDiagnostic.AUTHENTICATION_FAILURE


def test_a_wrong_key_is_named():
    assert "wrong key likely" in rejection(GMAC, protector=OTHER_KEYS).what


@pytest.mark.parametrize("guard", PROTECTIONS)
@pytest.mark.parametrize(("how", "words"), [(NONE, "wrong key likely"), (LLS, "wrong key or wrong password likely")])
def test_a_wrong_key_is_named_in_every_protection(how: Authentication, words: str, guard: Protection):
    assert words in rejection(access(how, Ciphering.GLO, guard), protector=ALL_OTHER_KEYS).what


def test_a_password_needed_and_none_given_is_named():
    line = Line(meter(), client=PUBLIC)
    line.spoil = lambda _answer: bytes.fromhex("6117a109060760857405080101a203020101a305a10302010d")
    with pytest.raises(AssociationRejectedError) as caught:
        line.associate(settings_for(access()))
    assert "--auth" in caught.value.next_step


def test_a_wrong_key_in_an_unciphered_context_is_named():
    error = rejection(access(HLS), protector=OTHER_KEYS)
    assert "does not accept our answer" in error.what
    assert "wrong key likely" in error.next_step


@pytest.mark.parametrize(
    ("allowed", "changes", "diagnostic"),
    [
        (access(LLS), {"authentication": NONE}, SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED),
        (access(LLS), {"authentication": HLS}, SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED),
        (
            access(HLS),
            {"ciphering": Ciphering.GLO, "protection": BOTH},
            SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
        ),
        (GMAC, {"client_title": METER_TITLE}, SourceDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED),
    ],
)
def test_the_diagnostic_says_what_does_not_fit(
    allowed: ClientAccess, changes: dict[str, Any], diagnostic: SourceDiagnostic
):
    assert rejection(allowed, **changes).diagnostic is diagnostic


def test_an_unknown_client_is_rejected():
    with pytest.raises(AssociationRejectedError, match="gives no reason"):
        Line(meter(), client=77).associate(settings_for(access()))


def test_a_client_title_that_the_meter_does_not_know_is_rejected():
    pinned = ClientAccess(1, HLS, Ciphering.GLO, BOTH, protector=KEYS, client_title=b"OTHER123")
    with pytest.raises(AssociationRejectedError, match="does not know our system title"):
        Line(meter(pinned)).associate(settings_for(GMAC))


def test_one_association_at_a_time():
    server = meter(access(LLS))
    first, second = Line(server), Line(server, client=PUBLIC)
    first.associate(settings_for(access(LLS)))
    with pytest.raises(AssociationRejectedError, match="busy") as caught:
        second.associate(settings_for(access()))
    assert caught.value.result is AssociationResult.REJECTED_TRANSIENT
    first.association.close()
    second.associate(settings_for(access()))


def test_a_client_that_fell_silent_gives_way():
    server = meter(access(LLS), inactivity_timeout_s=0)
    Line(server).associate(settings_for(access(LLS)))
    late = server.open_association(PUBLIC)
    request = Aarq(bytes.fromhex("01000000065f1f040000101001f4")).encode()
    later = NOW.replace(second=1)
    assert acse.decode(late.receive(request, later)).accepted


@pytest.mark.parametrize(
    ("initiate", "code"),
    [("01000000055f1f040000101001f4", 1), ("01000000065f1f040000000801f4", 2), ("01000000065f1f04000010100001", 3)],
)
def test_an_initiate_that_cannot_be_served_names_the_reason(initiate: str, code: int):
    answer = Line(meter(), client=PUBLIC).answer(Aarq(bytes.fromhex(initiate)).encode())
    aare = acse.decode(answer)
    assert aare.result is AssociationResult.REJECTED_PERMANENT
    assert aare.user_information == bytes([0x0E, 1, 6, code])


# ------------------------------------------------------------------ counters
def test_a_counter_that_is_behind_is_answered_with_the_one_expected():
    server = meter(GMAC)
    Line(server).associate(settings_for(GMAC), ports(1000))
    server.open_association(1)
    behind = Line(server)
    server._holder.close()
    with pytest.raises(InvocationCounterError) as caught:
        behind.associate(settings_for(GMAC), ports(1))
    assert caught.value.expected == server.received_counter(1) + 1 == 1003
    resynchronised = Line(server)
    session = resynchronised.associate(settings_for(GMAC), ports(caught.value.expected))
    assert resynchronised.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)


def test_a_laboratory_meter_forgets_counters_between_associations_and_only_there():
    server = meter(GMAC, remembers_counters=False)
    for _ in range(2):
        line = Line(server)
        session = line.associate(settings_for(GMAC), ports(1))
        line.lead(get(session, IMPORT_VALUE))
        replayed = line.association.receive(line.requests[-1], NOW)
        assert replayed[:3] == bytes([ExceptionResponse.TAG, 1, ServiceError.INVOCATION_COUNTER_ERROR])
        line.association.close()


def test_the_meter_refuses_a_replayed_request():
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    line.lead(get(session, IMPORT_VALUE))
    answer = line.association.receive(line.requests[-1], NOW)
    assert answer[:3] == bytes([ExceptionResponse.TAG, 1, ServiceError.INVOCATION_COUNTER_ERROR])


def test_the_client_refuses_a_replayed_answer():
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    line.lead(get(session, IMPORT_VALUE))
    line.spoil = lambda _answer: line.answers[-2]
    with pytest.raises(ReplayError):
        line.lead(get(session, IMPORT_VALUE))


# ------------------------------------------------------------------ somebody in between
def test_an_unprotected_answer_is_a_downgrade():
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    line.spoil = lambda _answer: bytes.fromhex("c401c1000600001267")
    with pytest.raises(DowngradeError):
        line.lead(get(session, IMPORT_VALUE))


@pytest.mark.parametrize("weaker", [Protection.AUTHENTICATED, Protection.ENCRYPTED])
def test_an_answer_with_less_protection_is_a_downgrade(weaker: Protection):
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    man_with_the_keys = MessageSecurity(KEYS, METER_TITLE, counter(5000), ciphering=Ciphering.GLO, policy=weaker)
    line.spoil = lambda _answer: man_with_the_keys.seal(bytes.fromhex("c401c1000600001267"))
    with pytest.raises(DowngradeError):
        line.lead(get(session, IMPORT_VALUE))


def test_the_meter_refuses_a_request_below_its_policy():
    line = Line(meter(GMAC))
    line.associate(settings_for(GMAC))
    for weak in (
        bytes.fromhex("c001c100030100010800ff0200"),
        MessageSecurity(KEYS, CLIENT_TITLE, counter(5000), ciphering=Ciphering.GLO, policy=Protection.ENCRYPTED).seal(
            bytes.fromhex("c001c100030100010800ff0200")
        ),
    ):
        assert (
            line.association.receive(weak, NOW)
            == ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OTHER_REASON).encode()
        )


def test_the_meter_says_that_it_cannot_decipher():
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    session.security.rekey(OTHER_KEYS)
    with pytest.raises(ServiceRefusedError, match="deciphering-error") as caught:
        line.lead(get(session, IMPORT_VALUE))
    assert "wrong key likely" in caught.value.next_step


def spoiled_aare(**changes: Any):
    """Associate with GMAC while the AARE is changed on its way."""
    line = Line(meter(access(HLS)))

    def spoil(answer: bytes) -> bytes:
        if answer[0] != Aare.TAG:
            return answer
        return replace(acse.decode(answer), **changes).encode()

    line.spoil = spoil
    return line


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"mechanism": acse.Mechanism.LLS}, DowngradeError),
        ({"authentication_value": None}, SecurityError),
        ({"authentication_value": b"short"}, SecurityError),
        ({"responding_ap_title": b"short"}, RemoteProtocolError),
        ({"responding_ap_title": b"OTHER123"}, AssociationRejectedError),
        ({"user_information": bytes.fromhex("0e010602")}, ServiceRefusedError),
        ({"user_information": InitiateResponse(Conformance.GET, 1024, version=5).encode()}, RemoteProtocolError),
    ],
)
def test_a_forged_aare_is_refused(changes: dict[str, Any], error: type[AmityError]):
    line = spoiled_aare(**changes)
    if error is AssociationRejectedError:  # the title is only believed until the meter has to prove it
        error = SecurityError
    with pytest.raises(error):
        line.associate(settings_for(access(HLS)))


def test_our_own_title_in_the_answer_is_a_reflection():
    line = spoiled_aare(responding_ap_title=CLIENT_TITLE)
    with pytest.raises(SecurityError, match="reflected"):
        line.associate(settings_for(access(HLS)))
    assert len(line.requests) == 1


def test_a_message_from_another_title_is_refused_even_under_the_right_keys():
    allowed = access(HLS, Ciphering.GENERAL_GLO, BOTH)
    line = Line(meter(allowed))
    session = line.associate(settings_for(allowed))
    other = MessageSecurity(KEYS, b"OTHER123", counter(5000), ciphering=Ciphering.GENERAL_GLO, policy=BOTH)
    line.spoil = lambda _answer: other.seal(bytes.fromhex("c40142000600001267"))
    with pytest.raises(SecurityError, match="the association is with"):
        line.lead(get(session, IMPORT_VALUE))


def test_our_own_challenge_is_not_answered():
    line = Line(meter(access(HLS)))
    challenge = ports().random_octets(16)
    line.spoil = lambda _answer: Aare(
        AssociationResult.ACCEPTED,
        SourceDiagnostic.AUTHENTICATION_REQUIRED,
        InitiateResponse(Conformance.GET, 1024).encode(),
        mechanism=acse.Mechanism.HLS_GMAC,
        authentication_value=challenge,
        responding_ap_title=METER_TITLE,
    ).encode()
    with pytest.raises(SecurityError, match="own challenge"):
        line.associate(settings_for(access(HLS)))
    assert len(line.requests) == 1


def test_a_meter_that_does_not_prove_itself_is_refused():
    line = Line(meter(access(HLS)))
    line.spoil = lambda answer: answer if answer[0] == Aare.TAG else answer[:-1] + bytes([answer[-1] ^ 1])
    with pytest.raises(SecurityError, match="does not verify") as caught:
        line.associate(settings_for(access(HLS)))
    assert "wrong key likely" in caught.value.next_step


@pytest.mark.parametrize("value", [None, double_long_unsigned(1)])
def test_a_meter_that_skips_its_proof_is_refused(value: Data | None):
    line = Line(meter(access(HLS)))
    line.spoil = lambda answer: (
        answer if answer[0] == Aare.TAG else ActionResponseNormal(0xC1, ActionResult.SUCCESS, value).encode()
    )
    with pytest.raises(SecurityError, match="did not answer our challenge"):
        line.associate(settings_for(access(HLS)))


def test_a_title_other_than_the_registered_one_is_refused():
    with pytest.raises(SecurityError, match="was expected"):
        Line(meter(GMAC)).associate(settings_for(GMAC, server_title=b"OTHER123"))


def test_an_unciphered_context_for_a_ciphered_request_is_a_downgrade():
    line = Line(meter(GMAC))
    plain = InitiateResponse(Conformance.GET, 1024).encode()
    line.spoil = lambda _answer: Aare(
        AssociationResult.ACCEPTED, SourceDiagnostic.NULL, plain, responding_ap_title=METER_TITLE
    ).encode()
    with pytest.raises(DowngradeError, match="unciphered one"):
        line.associate(settings_for(GMAC))


def test_an_aare_without_user_information_lets_the_proposal_stand():
    line = spoiled_aare(user_information=None)
    session = line.associate(settings_for(access(HLS)))
    assert session.conformance == session.settings.proposed


# ------------------------------------------------------------------ before and beside
def test_nothing_is_served_before_the_association_is_open():
    association = meter().open_association(PUBLIC)
    answer = association.receive(bytes.fromhex("c001c100030100010800ff0200"), NOW)
    assert answer == ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE).encode()


def test_nothing_is_served_before_hls_is_over():
    line = Line(meter(access(HLS)))
    line.spoil = lambda answer: answer if answer[0] == Aare.TAG else b""
    with pytest.raises(RemoteProtocolError):
        lead_until_proof_withheld(line)
    answer = line.association.receive(bytes.fromhex("c001c100030100010800ff0200"), NOW)
    assert answer == ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE).encode()


def lead_until_proof_withheld(line: Line):
    def answer(request: bytes) -> bytes | None:
        return line.answer(request) if request[0] == Aarq.TAG else b""

    lead(associate(settings_for(access(HLS)), ports()), answer)


def test_a_meter_that_does_not_know_release_stays_silent():
    line = Line(meter(answers_release=False), client=PUBLIC)
    session = line.associate(settings_for(access()))
    assert line.lead(release(session)) is False


@pytest.mark.parametrize(
    "changes",
    [
        {"authentication": HLS, "protector": None},
        {"authentication": HLS, "client_title": b"short"},
        {"authentication": LLS, "password": b""},
        {"ciphering": Ciphering.GLO},
        {"protection": BOTH},
        {"challenge_octets": 8},
        {"conformance": Conformance.GET | Conformance.READ},
        {"block_window": 0},
        {"block_window": 64},
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_sent(changes: dict[str, Any]):
    with pytest.raises(ConfigurationError):
        settings_for(access(), **changes)


def test_secrets_are_in_no_repr_no_trace_and_no_evidence():
    lines = []
    line = Line(meter(access(LLS)))
    settings = settings_for(access(LLS))
    session = line.associate(settings, ports(trace=lines.append))
    said = f"{settings!r} {session.settings!r} {' '.join(map(str, lines))}".encode()
    said += b"".join(part for exchange in session.exchanges for part in exchange)
    assert b"open sesame" in line.requests[0]
    assert b"open sesame" not in said
    assert b"sesame".hex().encode() not in said


def test_the_trace_tells_each_apdu_in_a_line():
    lines = []
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC), ports(trace=lines.append))
    line.lead(get(session, IMPORT_VALUE))
    assert [(told.direction, told.name) for told in lines] == [
        ("->", "aarq"),
        ("<-", "aare"),
        ("->", "action-request-normal"),
        ("<-", "action-response-normal"),
        ("->", "get-request-normal"),
        ("<-", "get-response-normal"),
    ]
    assert str(lines[4]) == "-> get-request-normal 3/1.0.1.8.0.255/2 (32 octets)"
    assert lines[5].fields == "data=0600001267"


def test_evidence_holds_the_octets_on_the_way_and_the_plain_answer():
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    line.lead(get(session, IMPORT_VALUE))
    exchange = session.exchanges[-1]
    assert (exchange.request, exchange.response) == (line.requests[-1], line.answers[-1])
    assert exchange.plain == bytes.fromhex("c40142000600001267")


def test_evidence_keeps_an_answer_that_could_not_be_opened():
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    line.spoil = lambda answer: answer[:-1] + b"\x00"
    with pytest.raises(SecurityError):
        line.lead(get(session, IMPORT_VALUE))
    assert session.exchanges[-1].response == line.answers[-1][:-1] + b"\x00"
    assert session.exchanges[-1].plain == b""
