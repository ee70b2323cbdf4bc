"""Reading attributes: one, several, long ones in blocks, parts of a profile; and what a meter may answer instead."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from amity.devices.client import AttributeRefusedError, ServiceRefusedError, get, get_list, get_octets
from amity.devices.interface_classes import INTERFACE_CLASSES
from amity.devices.objects import CaptureObject, data_object, register
from amity.kernel.errors import LocalProtocolError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.apdu import (
    Apdu,
    Attribute,
    Conformance,
    DataAccessResult,
    ExceptionResponse,
    GetRequestNext,
    GetResponseNormal,
    GetResponseWithBlock,
    GetResponseWithList,
    ServiceError,
    StateError,
    decode,
)
from amity.protocols.dlms.data import (
    array,
    decode_all,
    double_long_unsigned,
    enum,
    integer,
    natural,
    null,
    octet_string,
    structure,
)
from amity.protocols.dlms.selective_access import Access, EntryAccess, RangeAccess
from tests.unit.devices.conversing import (
    CLOCK,
    IMPORT,
    LOAD_COLUMNS,
    LOAD_PROFILE,
    NOW,
    PUBLIC,
    QUARTER,
    STATUS,
    Line,
    access,
    meter,
    settings_for,
    stamp,
)

VALUE, SCALER = Attribute(3, IMPORT, 2), Attribute(3, IMPORT, 3)
BUFFER = Attribute(7, LOAD_PROFILE, 2)
NOWHERE = Attribute(3, Obis.parse("1.0.99.99.99.255"), 2)


def connected(**limits: Any):
    line = Line(meter(**limits), client=PUBLIC)
    return line, line.associate(settings_for(access()))


def between(start: datetime, end: datetime, *columns: CaptureObject):
    bounds = (octet_string(stamp(bound)) for bound in (start, end))
    return RangeAccess(CLOCK.definition(), *bounds, tuple(column.definition() for column in columns))


def totals(raw: bytes):
    return [row[-1] for row in natural(decode_all(raw))]


def test_an_attribute_is_data():
    line, session = connected()
    assert line.lead(get(session, SCALER)) == structure(integer(0), enum(Unit.WATT_HOUR))


@pytest.mark.parametrize(
    ("attribute", "result"),
    [
        (NOWHERE, DataAccessResult.OBJECT_UNDEFINED),
        (Attribute(4, IMPORT, 2), DataAccessResult.OBJECT_CLASS_INCONSISTENT),
        (Attribute(3, IMPORT, 4), DataAccessResult.READ_WRITE_DENIED),
        (Attribute(3, IMPORT, 0), DataAccessResult.READ_WRITE_DENIED),
        (Attribute(3, IMPORT, -1), DataAccessResult.READ_WRITE_DENIED),
    ],
)
def test_a_refusal_names_the_attribute_and_the_result(attribute: Attribute, result: DataAccessResult):
    line, session = connected()
    with pytest.raises(AttributeRefusedError, match=str(attribute)) as caught:
        line.lead(get(session, attribute))
    assert caught.value.result is result
    assert caught.value.next_step


def test_every_object_tells_its_logical_name_and_its_list():
    line, session = connected()
    listed = line.lead(get(session, Attribute(15, Obis.parse("0.0.40.0.0.255"), 2)))
    for class_id, version, name, rights in natural(listed):
        assert line.lead(get(session, Attribute(class_id, Obis(name), 1))) == octet_string(name)
        known = INTERFACE_CLASSES[class_id, version]
        assert [attribute[0] for attribute in rights[0]] == list(range(1, len(known.attributes) + 1))


# ------------------------------------------------------------------ with-list
@pytest.mark.parametrize("granted", [True, False])
def test_a_list_has_an_answer_for_each(granted: bool):
    services = Conformance.GET | (Conformance.MULTIPLE_REFERENCES if granted else Conformance(0))
    line, session = connected(conformance=services)
    before = len(line.requests)
    results = line.lead(get_list(session, [VALUE, NOWHERE, SCALER]))
    assert results == (
        double_long_unsigned(4711),
        DataAccessResult.OBJECT_UNDEFINED,
        structure(integer(0), enum(Unit.WATT_HOUR)),
    )
    assert len(line.requests) - before == (1 if granted else 3)


def test_a_long_list_is_asked_for_in_parts():
    line, session = connected()
    before = len(line.requests)
    assert len(line.lead(get_list(session, [VALUE] * 40))) == 40
    assert len(line.requests) - before == 3


def test_a_list_is_never_longer_than_the_meter_takes():
    line, session = connected(max_pdu_octets=128)
    assert len(line.lead(get_list(session, [VALUE] * 40))) == 40
    assert max(map(len, line.requests)) <= 128


def test_no_attributes_need_no_request():
    line, session = connected()
    before = len(line.requests)
    assert line.lead(get_list(session, [])) == ()
    assert len(line.requests) == before


def test_a_list_too_long_for_the_client_comes_in_blocks():
    text = octet_string(bytes(range(90)))
    objects = [data_object(Obis(bytes([0, 0, 96, 1, number, 255])), text) for number in range(10)]
    line, session = connected(objects=objects, max_pdu_octets=256)
    wanted = [Attribute(1, cosem.obis, 2) for cosem in objects]
    assert line.lead(get_list(session, wanted)) == (text,) * 10
    assert max(map(len, line.answers)) <= 256


def test_a_list_with_the_wrong_number_of_answers_is_an_error():
    line, session = connected()
    line.spoil = lambda answer: GetResponseWithList(answer[2], (null(),)).encode()
    with pytest.raises(RemoteProtocolError, match="2 attributes were asked for and 1"):
        line.lead(get_list(session, [VALUE, SCALER]))


# ------------------------------------------------------------------ blocks
@pytest.mark.parametrize("limit", [128, 200, 1024, 4096])
def test_a_long_answer_comes_in_blocks_that_fit(limit: int):
    line, session = connected(max_pdu_octets=limit)
    assert totals(line.lead(get_octets(session, BUFFER))) == list(range(384))
    assert max(map(len, line.answers)) <= limit
    assert all(isinstance(decode(answer), GetResponseWithBlock) for answer in line.answers[1:])


def test_the_client_limit_counts_too():
    line = Line(meter(max_pdu_octets=4096), client=PUBLIC)
    session = line.associate(settings_for(access(), max_pdu_octets=300))
    line.lead(get_octets(session, BUFFER))
    assert max(map(len, line.answers)) <= 300


@pytest.mark.parametrize("excess", range(-2, 3))
def test_an_answer_that_just_fits_comes_whole(excess: int):
    limit = 512
    text = octet_string(bytes(limit - 4 - 4 + excess))  # head of the response, tag and length of the string
    line, session = connected(objects=[data_object(STATUS, text)], max_pdu_octets=limit)
    assert line.lead(get(session, Attribute(1, STATUS, 2))) == text
    assert isinstance(decode(line.answers[1]), GetResponseNormal if excess <= 0 else GetResponseWithBlock)


def test_without_block_transfer_a_long_answer_is_refused():
    line, session = connected(conformance=Conformance.GET)
    with pytest.raises(ServiceRefusedError, match="pdu-too-long"):
        line.lead(get_octets(session, BUFFER))


def spoiled_block(change: Callable[..., Apdu]):
    line, session = connected()

    def spoil(answer: bytes) -> bytes:
        block = decode(answer)
        return change(block).encode() if isinstance(block, GetResponseWithBlock) else answer

    line.spoil = spoil
    return line, session


@pytest.mark.parametrize(
    "change",
    [
        lambda block: GetResponseWithBlock(block.invoke_id_and_priority, False, block.block_number + 1, block.result),
        lambda block: GetResponseWithBlock(block.invoke_id_and_priority ^ 1, False, block.block_number, block.result),
        lambda block: GetResponseNormal(block.invoke_id_and_priority ^ 1, null()),
        lambda block: GetResponseWithList(block.invoke_id_and_priority, ()),
        lambda _block: ExceptionResponse(StateError.SERVICE_UNKNOWN, ServiceError.OTHER_REASON),
    ],
)
def test_a_block_out_of_order_is_an_error(change: Callable[..., Apdu]):
    line, session = spoiled_block(change)
    with pytest.raises((RemoteProtocolError, ServiceRefusedError)):
        line.lead(get_octets(session, BUFFER))


def test_a_transfer_without_progress_is_given_up():
    line, session = spoiled_block(
        lambda block: GetResponseWithBlock(block.invoke_id_and_priority, False, block.block_number, b"")
    )
    with pytest.raises(RemoteProtocolError, match="does not come to an end"):
        line.lead(get_octets(session, BUFFER))


def test_a_transfer_that_the_meter_breaks_off_is_a_refusal():
    line, session = spoiled_block(
        lambda block: GetResponseWithBlock(block.invoke_id_and_priority, True, 1, DataAccessResult.LONG_GET_ABORTED)
    )
    with pytest.raises(AttributeRefusedError, match="long-get-aborted"):
        line.lead(get_octets(session, BUFFER))


def test_the_meter_refuses_a_block_out_of_turn():
    line, session = connected()
    next_block = GetRequestNext(0xC1, 1).encode()
    assert decode(line.association.receive(next_block, NOW)).result is DataAccessResult.NO_LONG_GET_IN_PROGRESS
    conversation = get_octets(session, BUFFER)
    line.association.receive(next(conversation), NOW)
    wrong = GetRequestNext(0xC1, 7).encode()
    assert decode(line.association.receive(wrong, NOW)).result is DataAccessResult.DATA_BLOCK_NUMBER_INVALID
    assert decode(line.association.receive(next_block, NOW)).result is DataAccessResult.NO_LONG_GET_IN_PROGRESS


# ------------------------------------------------------------------ selective access
def test_a_range_includes_both_ends():
    line, session = connected()
    raw = line.lead(get_octets(session, BUFFER, between(NOW - timedelta(hours=1), NOW - QUARTER)))
    assert totals(raw) == [379, 380, 381, 382]


def test_a_range_without_bounds_is_everything():
    line, session = connected()
    raw = line.lead(get_octets(session, BUFFER, RangeAccess(CLOCK.definition(), null(), null())))
    assert totals(raw) == list(range(384))


def test_a_range_of_chosen_columns():
    line, session = connected()
    raw = line.lead(get_octets(session, BUFFER, between(NOW, NOW, LOAD_COLUMNS[2], LOAD_COLUMNS[1])))
    assert natural(decode_all(raw)) == [[383, 0]]


@pytest.mark.parametrize(
    ("selected", "expected"),
    [
        (EntryAccess(1, 3), [0, 1, 2]),
        (EntryAccess(383, 0), [382, 383]),
        (EntryAccess(0, 1), [0]),
        (EntryAccess(500, 600), []),
        (EntryAccess(1, 2, 3, 3), [0, 1]),
        (EntryAccess(1, 2, 2, 0), [0, 1]),
    ],
)
def test_entries_are_counted_from_one(selected: Access, expected: list[int]):
    line, session = connected()
    assert totals(line.lead(get_octets(session, BUFFER, selected))) == expected


@pytest.mark.parametrize(
    ("attribute", "selected"),
    [
        (VALUE, EntryAccess(1, 2)),
        (Attribute(7, LOAD_PROFILE, 3), EntryAccess(1, 2)),
        (BUFFER, EntryAccess(1, 2, 3, 2)),
        (BUFFER, EntryAccess(1, 2, 1, 4)),
        (BUFFER, RangeAccess(LOAD_COLUMNS[1].definition(), null(), null())),
        (BUFFER, RangeAccess(CLOCK.definition(), double_long_unsigned(1), null())),
        (BUFFER, between(NOW, NOW, CaptureObject(3, STATUS, 2))),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(attribute: Attribute, selected: Access):
    line, session = connected()
    with pytest.raises(AttributeRefusedError):
        line.lead(get_octets(session, attribute, selected))


# ------------------------------------------------------------------ what was not granted
def test_a_service_that_was_not_granted_is_not_used():
    line, session = connected(conformance=Conformance.GET)
    before = len(line.requests)
    with pytest.raises(LocalProtocolError, match="selective-access"):
        line.lead(get_octets(session, BUFFER, EntryAccess(1, 2)))
    assert len(line.requests) == before


def test_a_request_longer_than_the_meter_takes_is_not_sent():
    line, session = connected()
    session.max_pdu_octets = 12
    with pytest.raises(LocalProtocolError, match="longer than the meter takes"):
        line.lead(get(session, VALUE))


@pytest.mark.parametrize("answer", [b"", b"\x00", b"\xc4\x01", bytes.fromhex("c701c10000"), b"\xff" * 20])
def test_an_answer_that_is_none_is_a_typed_error(answer: bytes):
    line, session = connected()
    line.spoil = lambda _answer: answer
    with pytest.raises(RemoteProtocolError):
        line.lead(get(session, VALUE))


def test_an_object_may_change_with_time():
    objects = [register(IMPORT, lambda now: double_long_unsigned(now.day), 0, Unit.WATT_HOUR)]
    line, session = connected(objects=objects)
    assert line.lead(get(session, VALUE)) == double_long_unsigned(NOW.day)


def test_an_empty_profile_is_an_empty_array():
    line, session = connected()
    raw = line.lead(get_octets(session, BUFFER, between(NOW + QUARTER, NOW + QUARTER)))
    assert decode_all(raw) == array(())
