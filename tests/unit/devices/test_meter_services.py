"""The meter's services: what is granted, whose right it is, blocks that do not fit, and what may be asked how."""

import pytest

from amity.devices.client import (
    AccessAnswer,
    Acting,
    Authentication,
    Ciphering,
    Getting,
    MethodRefusedError,
    Protection,
    ServiceRefusedError,
    Setting,
    WriteRefusedError,
    access,
    act,
    associate,
    get,
    get_octets,
    set_attribute,
    set_list,
)
from amity.devices.interface_classes import Role
from amity.devices.server import ClientAccess, State
from amity.kernel.obis import Obis
from amity.protocols.dlms.access_service import BREAK_ON_ERROR, CONFIRMED, SELF_DESCRIPTIVE
from amity.protocols.dlms.apdu import (
    AccessKind,
    AccessRequest,
    AccessResponse,
    AccessSpecification,
    ActionRequestNextPBlock,
    ActionRequestNormal,
    ActionRequestWithFirstPBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstPBlock,
    ActionRequestWithPBlock,
    ActionResponseNextPBlock,
    ActionResponseNormal,
    ActionResponseWithList,
    ActionResponseWithPBlock,
    ActionResult,
    Apdu,
    Attribute,
    Conformance,
    DataAccessResult,
    DataBlock,
    ExceptionResponse,
    GeneralBlockTransfer,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    Method,
    ServiceError,
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
    SetResponseWithList,
    StateError,
    decode,
)
from amity.protocols.dlms.data import array, double_long_unsigned, encode, null, octet_string, unsigned, visible_string
from amity.protocols.dlms.selective_access import EntryAccess
from tests.unit.devices.changing import (
    ECHO,
    EVERYTHING,
    EXECUTE,
    GENERAL,
    NOTE,
    OTHER_NOTE,
    SPECIFIC,
    Bench,
    managing,
)
from tests.unit.devices.conversing import IMPORT, KEYS, NOW, READER, ports, settings_for

LONG = octet_string(bytes(300))
NO = visible_string("no")
NOT_SUPPORTED = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.SERVICE_NOT_SUPPORTED)
NOT_POSSIBLE = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE)
TOO_LONG = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.PDU_TOO_LONG)
BLOCK = DataBlock(False, 1, b"\x09")
LAST = DataBlock(True, 1, encode(unsigned(5)))


def asked(bench: Bench, request: Apdu) -> Apdu:
    answer = bench.line.association.receive(request.encode(), NOW)
    assert answer is not None
    return decode(answer)


# ------------------------------------------------------------------ granted
@pytest.mark.parametrize(
    ("granted", "request_apdu"),
    [
        (Conformance.GET, SetRequestNormal(1, NOTE, None, unsigned(1))),
        (Conformance.GET, ActionRequestNormal(1, EXECUTE)),
        (Conformance.GET, GetRequestWithList(1, ((NOTE, None),))),
        (Conformance.GET, GetRequestNext(1, 1)),
        (Conformance.GET, AccessRequest(CONFIRMED, b"", (), ())),
        (Conformance.SET, SetRequestWithList(1, ((NOTE, None),), (unsigned(1),))),
        (Conformance.SET, SetRequestWithFirstDataBlock(1, NOTE, None, LAST)),
        (Conformance.SET, SetRequestWithDataBlock(1, LAST)),
        (Conformance.SET, SetRequestWithListAndFirstDataBlock(1, ((NOTE, None),), LAST)),
        (Conformance.ACTION, ActionRequestWithList(1, (EXECUTE,), (unsigned(1),))),
        (Conformance.ACTION, ActionRequestWithFirstPBlock(1, EXECUTE, LAST)),
        (Conformance.ACTION, ActionRequestWithPBlock(1, LAST)),
        (Conformance.ACTION, ActionRequestWithListAndFirstPBlock(1, (EXECUTE,), LAST)),
        (Conformance.ACTION, ActionRequestNextPBlock(1, 1)),
        (SPECIFIC, GeneralBlockTransfer(True, False, 1, 1, 0, GetRequestNormal(1, NOTE).encode())),
        (EVERYTHING, SetResponseNormal(1, DataAccessResult.SUCCESS)),
    ],
)
def test_what_was_not_granted_is_refused_and_not_done(granted: Conformance, request_apdu: Apdu):
    bench = Bench(conformance=granted | Conformance.GET)
    assert asked(bench, request_apdu) == NOT_SUPPORTED
    assert (bench.notes.writes, bench.echo.calls) == (0, 0)


EVERY_SERVICE = [
    GetRequestNormal(1, NOTE),
    GetRequestNext(1, 1),
    SetRequestNormal(1, NOTE, None, unsigned(1)),
    SetRequestWithFirstDataBlock(1, NOTE, None, LAST),
    ActionRequestNormal(1, EXECUTE),
    AccessRequest(0, b"", (AccessSpecification(AccessKind.SET, NOTE),), (unsigned(1),)),
    GeneralBlockTransfer(True, False, 1, 1, 0, SetRequestNormal(1, NOTE, None, unsigned(1)).encode()),
]


@pytest.mark.parametrize("request_apdu", EVERY_SERVICE, ids=lambda one: type(one).__name__)
def test_without_an_association_nothing_is_possible(request_apdu: Apdu):
    bench = Bench()
    bench.line.association.close()
    assert asked(bench, request_apdu) == NOT_POSSIBLE
    assert (bench.notes.writes, bench.echo.calls) == (0, 0)


@pytest.mark.parametrize("request_apdu", EVERY_SERVICE, ids=lambda one: type(one).__name__)
def test_between_the_two_halves_of_a_proof_nothing_is_possible(request_apdu: Apdu):
    proving = ClientAccess(READER, Authentication.HLS_GMAC, protector=KEYS, role=Role.MANAGEMENT)
    bench = Bench(proving)
    opening = associate(settings_for(proving, conformance=EVERYTHING), ports(1000))
    bench.line.association.receive(next(opening), NOW)
    assert bench.line.association.state is State.PROVING
    answer = asked(bench, request_apdu)
    if isinstance(answer, GeneralBlockTransfer):
        answer = decode(answer.data)
    assert answer == NOT_POSSIBLE
    assert (bench.notes.writes, bench.echo.calls) == (0, 0)


def test_selection_that_was_not_granted_is_out_of_scope():
    bench = Bench(conformance=Conformance.GET | Conformance.SET)
    selected = GetRequestNormal(1, Attribute(7, Obis.parse("1.0.99.1.0.255"), 2), EntryAccess(1, 1))
    assert asked(bench, selected).error is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
    written = SetRequestNormal(1, NOTE, EntryAccess(1, 1), unsigned(1))
    assert asked(bench, written).result is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED


# ------------------------------------------------------------------ rights
@pytest.mark.parametrize("role", [Role.READING, Role.CONTROL])
def test_a_client_of_another_role_changes_nothing(role: Role):
    bench = Bench(managing(role=role))
    with pytest.raises(WriteRefusedError, match="read-write-denied"):
        bench.lead(set_attribute(bench.session, NOTE, unsigned(1)))
    with pytest.raises(MethodRefusedError, match="read-write-denied"):
        bench.lead(act(bench.session, EXECUTE))
    assert (bench.notes.writes, bench.echo.calls) == (0, 0)


@pytest.mark.parametrize(
    ("attribute", "result"),
    [
        (Attribute(3, NOTE.obis, 2), DataAccessResult.OBJECT_CLASS_INCONSISTENT),
        (Attribute(1, Obis.parse("0.0.96.50.9.255"), 2), DataAccessResult.OBJECT_UNDEFINED),
        (Attribute(1, NOTE.obis, 1), DataAccessResult.READ_WRITE_DENIED),
        (Attribute(1, NOTE.obis, 3), DataAccessResult.READ_WRITE_DENIED),
        (Attribute(1, NOTE.obis, -1), DataAccessResult.READ_WRITE_DENIED),
        (Attribute(3, IMPORT, 2), DataAccessResult.READ_WRITE_DENIED),
        (Attribute(15, Obis.parse("0.0.40.0.0.255"), 7), DataAccessResult.READ_WRITE_DENIED),
    ],
)
def test_what_cannot_be_written(attribute: Attribute, result: DataAccessResult):
    bench = Bench()
    with pytest.raises(WriteRefusedError) as caught:
        bench.lead(set_attribute(bench.session, attribute, unsigned(1)))
    assert caught.value.result is result


@pytest.mark.parametrize(
    ("method", "result"),
    [
        (Method(70, ECHO, 1), ActionResult.OBJECT_CLASS_INCONSISTENT),
        (Method(9, Obis.parse("0.0.10.0.9.255"), 1), ActionResult.OBJECT_UNDEFINED),
        (Method(9, ECHO, 2), ActionResult.READ_WRITE_DENIED),
        (Method(3, IMPORT, 1), ActionResult.READ_WRITE_DENIED),
    ],
)
def test_what_cannot_be_called(method: Method, result: ActionResult):
    bench = Bench()
    with pytest.raises(MethodRefusedError) as caught:
        bench.lead(act(bench.session, method))
    assert caught.value.result is result


def test_a_list_succeeds_in_part():
    bench = Bench()
    results = bench.lead(set_list(bench.session, [(NOTE, unsigned(1)), (OTHER_NOTE, NO)]))
    assert results == (DataAccessResult.SUCCESS, DataAccessResult.TYPE_UNMATCHED)
    assert (bench.notes.value, bench.other_notes.writes) == (unsigned(1), 0)


def test_a_list_is_as_long_as_the_answer_that_we_can_take():
    """No service puts the results of a SET into blocks: fifteen of them, sealed, are more than 50 octets."""
    allowed = managing(Ciphering.GENERAL_GLO, Protection.AUTHENTICATED)
    bench = Bench(allowed, limits={"max_pdu_octets": 500})
    small = settings_for(allowed, conformance=SPECIFIC, max_pdu_octets=50)
    bench.session = bench.lead(associate(small, ports(10_000)))
    written = [(NOTE, LONG), *[(NOTE, unsigned(1))] * 14]
    assert bench.lead(set_list(bench.session, written)) == (DataAccessResult.SUCCESS,) * 15


# ------------------------------------------------------------------ SET in blocks
def test_a_value_in_blocks_is_written_when_the_last_is_there():
    bench = Bench()
    octets = encode(LONG)
    assert asked(bench, SetRequestWithFirstDataBlock(1, NOTE, None, DataBlock(False, 1, octets[:99]))) == (
        SetResponseDataBlock(1, 1)
    )
    assert asked(bench, SetRequestWithDataBlock(1, DataBlock(False, 2, octets[99:200]))) == SetResponseDataBlock(1, 2)
    assert bench.notes.writes == 0
    last = asked(bench, SetRequestWithDataBlock(1, DataBlock(True, 3, octets[200:])))
    assert last == SetResponseLastDataBlock(1, DataAccessResult.SUCCESS, 3)
    assert bench.notes.value == LONG


@pytest.mark.parametrize(
    ("requests", "result"),
    [
        ([SetRequestWithDataBlock(1, LAST)], DataAccessResult.NO_LONG_SET_IN_PROGRESS),
        (
            [SetRequestWithFirstDataBlock(1, NOTE, None, DataBlock(False, 2, b"\x11"))],
            DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
        ),
        (
            [
                SetRequestWithFirstDataBlock(1, NOTE, None, BLOCK),
                SetRequestWithDataBlock(1, DataBlock(True, 3, b"\0")),
            ],
            DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
        ),
        (
            [
                SetRequestWithFirstDataBlock(1, NOTE, None, BLOCK),
                SetRequestWithDataBlock(2, DataBlock(True, 2, b"\0")),
            ],
            DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
        ),
        (
            [
                SetRequestWithFirstDataBlock(1, NOTE, None, BLOCK),
                SetRequestNormal(2, OTHER_NOTE, None, unsigned(1)),
                SetRequestWithDataBlock(1, DataBlock(True, 2, b"\0")),
            ],
            DataAccessResult.NO_LONG_SET_IN_PROGRESS,
        ),
        ([SetRequestWithFirstDataBlock(1, NOTE, None, DataBlock(True, 1, b"\x09"))], DataAccessResult.TYPE_UNMATCHED),
    ],
)
def test_blocks_that_do_not_follow_write_nothing(requests: list[Apdu], result: DataAccessResult):
    bench = Bench()
    answers = [asked(bench, request) for request in requests]
    assert isinstance(answers[-1], SetResponseLastDataBlock)
    assert answers[-1].result is result
    assert bench.notes.writes == 0


@pytest.mark.parametrize(
    ("octets", "results"),
    [
        ("02 1101 1102", [0, 0]),
        ("02 1101 0a026e6f", [0, 12]),
        ("02 1101", [12, 12]),
        ("01 1101", [250, 250]),
        ("02 1101 1102 11", [12, 12]),
    ],
)
def test_a_list_in_blocks(octets: str, results: list[int]):
    bench = Bench()
    block = DataBlock(True, 1, bytes.fromhex(octets))
    answer = asked(bench, SetRequestWithListAndFirstDataBlock(1, ((NOTE, None), (OTHER_NOTE, None)), block))
    assert answer == SetResponseLastDataBlockWithList(1, tuple(map(DataAccessResult, results)), 1)
    assert bench.notes.writes == (results[0] == 0)


def test_a_list_with_too_few_values_writes_none():
    bench = Bench()
    answer = asked(bench, SetRequestWithList(1, ((NOTE, None), (OTHER_NOTE, None)), (unsigned(1),)))
    assert answer == SetResponseWithList(1, (DataAccessResult.OTHER_REASON,) * 2)
    assert bench.notes.writes == 0


# ------------------------------------------------------------------ ACTION in blocks
@pytest.mark.parametrize(
    ("requests", "result"),
    [
        ([ActionRequestWithPBlock(1, LAST)], ActionResult.NO_LONG_ACTION_IN_PROGRESS),
        ([ActionRequestNextPBlock(1, 1)], ActionResult.NO_LONG_ACTION_IN_PROGRESS),
        (
            [ActionRequestWithFirstPBlock(1, EXECUTE, BLOCK), ActionRequestWithPBlock(1, LAST)],
            ActionResult.LONG_ACTION_ABORTED,
        ),
        ([ActionRequestWithFirstPBlock(1, EXECUTE, DataBlock(True, 1, b"\x09"))], ActionResult.TYPE_UNMATCHED),
        (
            [ActionRequestWithListAndFirstPBlock(1, (EXECUTE,), DataBlock(True, 1, b"\x01"))],
            ActionResult.TYPE_UNMATCHED,
        ),
    ],
)
def test_parameter_blocks_that_do_not_follow_call_nothing(requests: list[Apdu], result: ActionResult):
    bench = Bench()
    answers = [asked(bench, request) for request in requests]
    assert answers[-1] == ActionResponseNormal(1, result)
    assert bench.echo.calls == 0


def test_a_long_answer_ends_when_another_block_is_asked_for():
    bench = Bench(max_pdu_octets=100)
    assert isinstance(asked(bench, ActionRequestNormal(1, EXECUTE, LONG)), ActionResponseWithPBlock)
    assert asked(bench, ActionRequestNextPBlock(1, 2)).result is ActionResult.LONG_ACTION_ABORTED
    assert asked(bench, ActionRequestNextPBlock(1, 1)).result is ActionResult.NO_LONG_ACTION_IN_PROGRESS


def test_a_list_of_calls_in_blocks():
    bench = Bench()
    octets = bytes.fromhex("02") + encode(unsigned(1)) + encode(NO)
    head = ActionRequestWithListAndFirstPBlock(1, (EXECUTE, EXECUTE), DataBlock(False, 1, octets[:2]))
    assert asked(bench, head) == ActionResponseNextPBlock(1, 1)
    answer = asked(bench, ActionRequestWithPBlock(1, DataBlock(True, 2, octets[2:])))
    assert isinstance(answer, ActionResponseWithList)
    assert [outcome.result for outcome in answer.outcomes] == [ActionResult.SUCCESS, ActionResult.TYPE_UNMATCHED]


def test_a_list_of_calls_with_too_few_parameters_calls_none():
    bench = Bench()
    answer = asked(bench, ActionRequestWithList(1, (EXECUTE, EXECUTE), (unsigned(1),)))
    assert [outcome.result for outcome in answer.outcomes] == [ActionResult.OTHER_REASON] * 2
    assert bench.echo.calls == 0


# ------------------------------------------------------------------ ACCESS
PARTS = [Setting(NOTE, unsigned(1)), Setting(OTHER_NOTE, NO), Acting(EXECUTE, unsigned(2)), Getting(NOTE)]


def test_parts_are_done_in_their_order():
    bench = Bench()
    assert bench.lead(access(bench.session, PARTS)) == (
        AccessAnswer(DataAccessResult.SUCCESS, null()),
        AccessAnswer(DataAccessResult.TYPE_UNMATCHED, null()),
        AccessAnswer(ActionResult.SUCCESS, unsigned(2)),
        AccessAnswer(DataAccessResult.SUCCESS, unsigned(1)),
    )


def test_after_a_refusal_nothing_more_is_done_if_the_client_wants_it_so():
    bench = Bench()
    results = [one.result for one in bench.lead(access(bench.session, PARTS, break_on_error=True))]
    assert results == [
        DataAccessResult.SUCCESS,
        DataAccessResult.TYPE_UNMATCHED,
        ActionResult.OTHER_REASON,
        DataAccessResult.OTHER_REASON,
    ]
    assert bench.echo.calls == 0


def test_selected_parts():
    bench = Bench()
    parts = [
        Getting(Attribute(7, Obis.parse("1.0.99.1.0.255"), 2), EntryAccess(1, 1, 3, 3)),
        Setting(NOTE, NO, EntryAccess(1, 1)),
    ]
    read, written = bench.lead(access(bench.session, parts))
    assert [row.value for row in read.data.items] == [(double_long_unsigned(0),)]
    assert written.result is DataAccessResult.TYPE_UNMATCHED


def test_the_specifications_are_repeated_when_asked_for():
    bench = Bench(conformance=EVERYTHING & ~Conformance.GENERAL_BLOCK_TRANSFER)
    asking = (AccessSpecification(AccessKind.GET, NOTE),)
    answer = asked(bench, AccessRequest(CONFIRMED | SELF_DESCRIPTIVE | 7, b"", asking, (null(),)))
    assert isinstance(answer, AccessResponse)
    assert answer.specifications == asking


def test_an_unconfirmed_access_is_done_in_silence():
    bench = Bench()
    writing = (AccessSpecification(AccessKind.SET, NOTE),)
    request = AccessRequest(7, b"", writing, (unsigned(9),))
    assert bench.line.association.receive(request.encode(), NOW) is None
    assert bench.notes.value == unsigned(9)


def test_parts_without_their_data_are_not_done():
    bench = Bench()
    writing = (AccessSpecification(AccessKind.SET, NOTE), AccessSpecification(AccessKind.ACTION, EXECUTE))
    answer = asked(bench, AccessRequest(CONFIRMED | BREAK_ON_ERROR, b"", writing, (unsigned(9),)))
    assert [outcome.result for outcome in answer.outcomes] == [DataAccessResult.OTHER_REASON, ActionResult.OTHER_REASON]
    assert bench.notes.writes == 0


def test_access_travels_ciphered_although_it_has_no_glo_tag():
    bench = Bench(managing(Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED), conformance=EVERYTHING)
    (answer,) = bench.lead(access(bench.session, [Getting(NOTE)]))
    assert answer.data == null()


# ------------------------------------------------------------------ sizes
def test_a_request_longer_than_the_meter_takes_is_refused():
    bench = Bench(limits={"max_pdu_octets": 100})
    assert asked(bench, SetRequestNormal(1, NOTE, None, LONG)) == TOO_LONG
    assert bench.notes.writes == 0


def test_an_answer_that_nothing_can_carry_is_refused():
    bench = Bench(conformance=Conformance.GET | Conformance.ACCESS, max_pdu_octets=50)
    bench.notes.value = LONG
    with pytest.raises(ServiceRefusedError, match="pdu-too-long"):
        bench.lead(get(bench.session, NOTE))
    with pytest.raises(ServiceRefusedError, match="pdu-too-long"):
        bench.lead(access(bench.session, [Getting(NOTE)]))


def test_more_blocks_than_can_be_numbered_are_refused():
    bench = Bench(conformance=GENERAL, max_pdu_octets=12)
    bench.notes.value = octet_string(bytes(400_000))
    with pytest.raises(ServiceRefusedError, match="pdu-too-long"):
        bench.lead(get(bench.session, NOTE))


# ------------------------------------------------------------------ general blocks
def test_the_meter_streams_as_many_blocks_as_the_client_takes():
    bench = Bench(conformance=GENERAL, max_pdu_octets=60, block_window=5)
    bench.notes.value = octet_string(bytes(500))
    bench.line.requests.clear()
    bench.line.answers.clear()
    bench.lead(get_octets(bench.session, NOTE))
    blocks = [decode(octets) for octets in bench.line.answers]
    assert [block.streaming for block in blocks] == [True] * 4 + [False] + [True] * 4 + [False]
    assert [block.block_number for block in blocks] == list(range(1, 11))
    assert [decode(octets).block_number_ack for octets in bench.line.requests] == [0, 5]


def test_a_long_answer_to_a_request_in_one_apdu_goes_in_blocks_when_nothing_else_was_granted():
    bench = Bench(conformance=GENERAL, max_pdu_octets=60)
    bench.notes.value = LONG
    first = asked(bench, GetRequestNormal(1, NOTE))
    assert isinstance(first, GeneralBlockTransfer)
    assert (first.block_number, first.last_block, first.streaming) == (1, False, False)


def test_a_request_that_comes_again_is_done_once():
    bench = Bench()
    request = GeneralBlockTransfer(True, False, 3, 1, 0, ActionRequestNormal(1, EXECUTE, unsigned(1)).encode())
    assert asked(bench, request) == asked(bench, request)
    assert bench.echo.calls == 1


def test_a_block_of_nothing_is_an_exception_and_the_next_request_is_answered():
    bench = Bench()
    assert isinstance(asked(bench, GeneralBlockTransfer(True, False, 3, 4, 0, b"late")), ExceptionResponse)
    assert isinstance(asked(bench, GeneralBlockTransfer(True, False, 3, 0, 0, b"")), ExceptionResponse)
    assert bench.lead(get(bench.session, NOTE)) == null()


def test_an_aborted_transfer_is_forgotten():
    bench = Bench(max_pdu_octets=60)
    bench.notes.value = LONG
    asked(bench, GeneralBlockTransfer(True, False, 3, 1, 0, GetRequestNormal(1, NOTE).encode()))
    assert bench.line.association.following() is not None
    assert isinstance(asked(bench, GeneralBlockTransfer(True, False, 3, 0, 0, b"")), ExceptionResponse)
    assert bench.line.association.following() is None


@pytest.mark.parametrize("ciphering", [Ciphering.NONE, Ciphering.GLO, Ciphering.GENERAL_GLO], ids=str)
def test_long_messages_both_ways_in_general_blocks(ciphering: Ciphering):
    protection = Protection.AUTHENTICATED_ENCRYPTED if ciphering is not Ciphering.NONE else Protection.NONE
    bench = Bench(
        managing(ciphering, protection), limits={"max_pdu_octets": 64}, conformance=GENERAL, max_pdu_octets=40
    )
    value = array(unsigned(number % 256) for number in range(1000))
    assert bench.lead(act(bench.session, EXECUTE, value)) == value
    assert max(map(len, bench.line.answers[1:])) <= 40
    assert max(map(len, bench.line.requests[1:])) <= 64
