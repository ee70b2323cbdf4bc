"""Who may end an association, in what wrapping it is spoken in, and how much may be asked of it at once."""

import pytest

from amity.devices.client import Authentication, Ciphering, Protection, Session, get, release
from amity.devices.client.accessing import Getting
from amity.devices.client.accessing import access as do_access
from amity.devices.server import State
from amity.devices.server.long_transfers import LISTED_OCTETS_MAX, REQUEST_OCTETS_MAX
from amity.devices.settings import CLIENT_CONFORMANCE
from amity.kernel.errors import LocalProtocolError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import Aare, Aarq, ApplicationContext, ReleaseReason, Rlre, Rlrq, SourceDiagnostic
from amity.protocols.dlms.apdu import (
    Attribute,
    Conformance,
    DataAccessResult,
    ExceptionResponse,
    GeneralBlockTransfer,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseWithList,
    InitiateRequest,
    ServiceError,
    StateError,
)
from amity.protocols.dlms.block_stream import BlockDialogue
from amity.protocols.dlms.ciphering import wrap_general_glo, wrap_glo
from amity.protocols.dlms.data import double_long_unsigned
from tests.unit.devices.conversing import (
    CLIENT_TITLE,
    IMPORT,
    KEYS,
    LOAD_PROFILE,
    NOW,
    OTHER_KEYS,
    Line,
    access,
    meter,
    ports,
    settings_for,
)

IMPORT_VALUE, BUFFER = Attribute(3, IMPORT, 2), Attribute(7, LOAD_PROFILE, 2)
CIPHERED = access(Authentication.NONE, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
INITIATE = InitiateRequest(CLIENT_CONFORMANCE, 1024).encode()
UNSUPPORTED = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.SERVICE_NOT_SUPPORTED)


def opened(line: Line) -> Session:
    session = line.associate(settings_for(CIPHERED))
    assert line.association.state is State.OPEN
    return session


def still_serves(line: Line, session: Session) -> bool:
    return line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)


# ------------------------------------------------------------------ who may end it
@pytest.mark.parametrize(
    "information",
    [
        None,
        b"",
        INITIATE,
        wrap_glo(OTHER_KEYS, 0x30, CLIENT_TITLE, 900, INITIATE),
        wrap_glo(KEYS, 0x30, CLIENT_TITLE, 0, INITIATE),  # an old one
        wrap_glo(KEYS, 0x30, CLIENT_TITLE, 900, GetRequestNormal(0x41, IMPORT_VALUE).encode()),
    ],
)
def test_a_ciphered_association_is_released_by_nobody_without_its_keys(information: bytes | None):
    line = Line(meter(CIPHERED))
    opened(line)
    answer = line.association.receive(Rlrq(user_information=information).encode(), NOW)
    assert acse.decode(answer or b"") == Rlre(ReleaseReason.URGENT_OR_NOT_FINISHED)
    assert line.association.state is State.OPEN


def test_who_has_the_keys_releases_it():
    line = Line(meter(CIPHERED))
    assert line.lead(release(opened(line)))
    assert line.association.state is State.IDLE


@pytest.mark.parametrize(
    "aarq",
    [
        Aarq(INITIATE),
        Aarq(INITIATE, ApplicationContext.LN_CIPHERED, calling_ap_title=CLIENT_TITLE),
        Aarq(
            wrap_glo(OTHER_KEYS, 0x30, CLIENT_TITLE, 900, INITIATE),
            ApplicationContext.LN_CIPHERED,
            calling_ap_title=CLIENT_TITLE,
        ),
        Aarq(
            wrap_glo(KEYS, 0x30, CLIENT_TITLE, 0, INITIATE),
            ApplicationContext.LN_CIPHERED,
            calling_ap_title=CLIENT_TITLE,
        ),
    ],
)
def test_an_opening_that_is_refused_leaves_an_open_association_as_it_is(aarq: Aarq):
    line = Line(meter(CIPHERED))
    session = opened(line)
    answer = line.association.receive(aarq.encode(), NOW) or b""
    assert answer[0] in {Aare.TAG, ExceptionResponse.TAG}
    assert line.association.state is State.OPEN
    assert still_serves(line, session)


def test_an_opening_that_is_refused_frees_a_meter_that_nobody_has_open():
    server = meter(CIPHERED)
    Line(server).association.receive(Aarq(INITIATE).encode(), NOW)
    line = Line(server)
    assert still_serves(line, opened(line))


def test_an_opening_that_is_accepted_takes_the_place_of_the_one_before():
    line = Line(meter(CIPHERED))
    opened(line)
    session = line.associate(settings_for(CIPHERED), ports(first_counter=50))
    assert still_serves(line, session)


@pytest.mark.parametrize(
    ("context", "mechanism", "diagnostic"),
    [
        (5, None, SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED),
        (1, 9, SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED),
    ],
)
def test_names_that_the_standard_does_not_have_are_refused_as_such(
    context: int, mechanism: int | None, diagnostic: SourceDiagnostic
):
    named = None if mechanism is None else acse.Mechanism(mechanism)
    aarq = Aarq(INITIATE, ApplicationContext(context), named)
    answer = acse.decode(Line(meter(access())).association.receive(aarq.encode(), NOW) or b"")
    assert isinstance(answer, Aare)
    assert answer.diagnostic is diagnostic


# ------------------------------------------------------------------ in what wrapping
def test_general_protection_that_was_not_granted_is_refused():
    line = Line(meter(CIPHERED))
    session = opened(line)
    request = wrap_general_glo(KEYS, 0x30, CLIENT_TITLE, 900, GetRequestNormal(0x41, IMPORT_VALUE).encode())
    assert apdu.decode(line.association.receive(request, NOW) or b"") == UNSUPPORTED
    assert still_serves(line, session)


def test_access_is_proposed_together_with_what_it_travels_in():
    settings = settings_for(CIPHERED, conformance=CLIENT_CONFORMANCE | Conformance.ACCESS)
    assert settings.proposed & Conformance.GENERAL_PROTECTION
    line = Line(meter(CIPHERED))
    session = line.associate(settings)
    answers = line.lead(do_access(session, [Getting(IMPORT_VALUE)]))
    assert [one.data for one in answers] == [double_long_unsigned(4711)]


def test_access_is_not_sent_where_nothing_can_carry_it():
    conformance = CLIENT_CONFORMANCE | Conformance.ACCESS
    line = Line(meter(CIPHERED, conformance=conformance))
    session = line.associate(settings_for(CIPHERED, conformance=conformance))
    with pytest.raises(LocalProtocolError, match="general-protection"):
        line.lead(do_access(session, [Getting(IMPORT_VALUE)]))


# ------------------------------------------------------------------ how much at once
def listed(line: Line, count: int) -> tuple[object, ...]:
    """Ask for a list that needs general blocks, and give its answers."""
    dialogue = BlockDialogue(1024, 63)
    burst = dialogue.send(GetRequestWithList(0x41, ((BUFFER, None),) * count).encode())
    while dialogue.message is None:
        came = [line.association.receive(block, NOW) for block in burst]
        burst = ()
        following = iter(line.association.following, None)
        for octets in (*[one for one in came if one], *following):
            block = apdu.decode(octets)
            assert isinstance(block, GeneralBlockTransfer)
            burst = dialogue.receive(block) or burst
    answer = apdu.decode(dialogue.message)
    assert isinstance(answer, GetResponseWithList)
    return answer.results


def test_a_list_does_not_make_the_meter_copy_its_store_again_and_again():
    line = Line(meter(access()))
    line.associate(settings_for(access(), conformance=CLIENT_CONFORMANCE | Conformance.GENERAL_BLOCK_TRANSFER))
    results = listed(line, 500)
    refused = [one for one in results if one is DataAccessResult.OTHER_REASON]
    assert len(results) == 500
    assert 0 < len(refused) < 500
    one_octets = 8_000
    assert (len(results) - len(refused)) * one_octets < LISTED_OCTETS_MAX + 2 * one_octets


def test_access_neither():
    line = Line(meter(access()))
    session = line.associate(
        settings_for(access(), conformance=CLIENT_CONFORMANCE | Conformance.ACCESS | Conformance.GENERAL_BLOCK_TRANSFER)
    )
    answers = line.lead(do_access(session, [Getting(BUFFER)] * 300))
    refused = [one for one in answers if one.result is DataAccessResult.OTHER_REASON]
    assert 0 < len(refused) < 300


def test_a_request_in_blocks_is_cut_off():
    line = Line(meter(access()))
    line.associate(settings_for(access(), conformance=CLIENT_CONFORMANCE | Conformance.GENERAL_BLOCK_TRANSFER))
    piece = bytes(1000)
    answers = [
        line.association.receive(GeneralBlockTransfer(False, True, 63, number, 0, piece).encode(), NOW)
        for number in range(1, REQUEST_OCTETS_MAX // len(piece) + 2)
    ]
    assert answers[:-1] == [None] * (len(answers) - 1)
    assert isinstance(apdu.decode(answers[-1] or b""), ExceptionResponse)
