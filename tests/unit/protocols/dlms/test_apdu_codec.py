from collections.abc import Callable
from typing import Any

import pytest

from amity.kernel.errors import LocalProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms import apdu, data
from amity.protocols.dlms.apdu import (
    AccessKind,
    AccessOutcome,
    AccessRequest,
    AccessResponse,
    AccessSpecification,
    ActionOutcome,
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
    Ciphered,
    CipherTag,
    ConfirmedServiceError,
    Conformance,
    DataAccessResult,
    DataBlock,
    DataNotification,
    EntryAccess,
    EventNotification,
    ExceptionResponse,
    GeneralBlockTransfer,
    GeneralCiphering,
    GeneralSigning,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithBlock,
    GetResponseWithList,
    InitiateRequest,
    InitiateResponse,
    Method,
    OtherAccess,
    RangeAccess,
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
)
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.key_info import AgreedKey, IdentifiedKey, WrappedMessageKey
from amity.protocols.dlms.results import Code

ENERGY = Attribute(3, Obis.parse("1.0.1.8.0.255"), 2)
PROFILE = Attribute(7, Obis.parse("1.0.99.1.0.255"), 2)
SWITCH = Method(70, Obis.parse("0.0.96.3.10.255"), 1)
CLOCK_DEFINITION = data.structure(
    data.long_unsigned(8), data.octet_string(Obis.parse("0.0.1.0.0.255")), data.integer(2), data.long_unsigned(0)
)
START = data.octet_string(bytes(12))
RANGE = RangeAccess(CLOCK_DEFINITION, START, START, (CLOCK_DEFINITION,))
BLOCK = DataBlock(last_block=True, block_number=2, raw=b"abc")
OCTETS_WITHOUT_COUNTER = 3
OCTETS_WITHOUT_RETURN_MARK = 4
OK, DENIED = DataAccessResult.SUCCESS, DataAccessResult.READ_WRITE_DENIED

EVERY_APDU: list[Apdu] = [
    GetRequestNormal(0xC1, ENERGY),
    GetRequestNormal(0xC1, PROFILE, RANGE),
    GetRequestNormal(0xC1, PROFILE, EntryAccess(1, 96)),
    GetRequestNormal(0xC1, PROFILE, OtherAccess(9, data.unsigned(1))),
    GetRequestNext(0xC1, 7),
    GetRequestWithList(0xC1, ((ENERGY, None), (PROFILE, EntryAccess(1, 0, 2, 3)))),
    GetResponseNormal(0xC1, data.double_long_unsigned(5)),
    GetResponseNormal(0xC1, DENIED),
    GetResponseWithBlock(0xC1, last_block=False, block_number=1, result=bytes(200)),
    GetResponseWithBlock(0xC1, last_block=True, block_number=2, result=DataAccessResult.LONG_GET_ABORTED),
    GetResponseWithList(0xC1, (data.unsigned(1), DENIED)),
    SetRequestNormal(0xC1, ENERGY, None, data.unsigned(1)),
    SetRequestNormal(0xC1, PROFILE, EntryAccess(1, 1), data.unsigned(1)),
    SetRequestWithFirstDataBlock(0xC1, ENERGY, None, BLOCK),
    SetRequestWithDataBlock(0xC1, BLOCK),
    SetRequestWithList(0xC1, ((ENERGY, None),), (data.unsigned(1),)),
    SetRequestWithListAndFirstDataBlock(0xC1, ((ENERGY, None),), BLOCK),
    SetResponseNormal(0xC1, OK),
    SetResponseDataBlock(0xC1, 3),
    SetResponseLastDataBlock(0xC1, OK, 3),
    SetResponseLastDataBlockWithList(0xC1, (OK, DENIED), 3),
    SetResponseWithList(0xC1, (OK, DENIED)),
    ActionRequestNormal(0xC1, SWITCH),
    ActionRequestNormal(0xC1, SWITCH, data.integer(0)),
    ActionRequestNextPBlock(0xC1, 3),
    ActionRequestWithList(0xC1, (SWITCH,), (data.integer(0),)),
    ActionRequestWithFirstPBlock(0xC1, SWITCH, BLOCK),
    ActionRequestWithListAndFirstPBlock(0xC1, (SWITCH,), BLOCK),
    ActionRequestWithPBlock(0xC1, BLOCK),
    ActionResponseNormal(0xC1, ActionResult.SUCCESS),
    ActionResponseNormal(0xC1, ActionResult.SUCCESS, data.octet_string(b"f")),
    ActionResponseNormal(0xC1, ActionResult.OTHER_REASON, DENIED),
    ActionResponseWithPBlock(0xC1, BLOCK),
    ActionResponseWithList(0xC1, (ActionOutcome(ActionResult.SUCCESS, data.null()),)),
    ActionResponseWithList(0xC1, (ActionOutcome(ActionResult.SUCCESS), ActionOutcome(ActionResult.OBJECT_UNDEFINED))),
    ActionResponseNextPBlock(0xC1, 3),
    EventNotification(None, ENERGY, data.unsigned(1)),
    EventNotification(CosemDateTime.from_octets(bytes.fromhex("07e60b0c0610360000ffc400")), ENERGY, data.unsigned(1)),
    DataNotification(1, b"", data.structure(data.unsigned(1))),
    DataNotification(1, bytes.fromhex("07e60b0c0610360000ffc400"), data.unsigned(1)),
    ExceptionResponse(StateError.SERVICE_UNKNOWN, ServiceError.OTHER_REASON),
    ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR, 77),
    ConfirmedServiceError(1, 6, 1),
    GeneralBlockTransfer(last_block=True, streaming=False, window=63, block_number=1, block_number_ack=2, data=b"x"),
    AccessRequest(
        0x40000000, b"",
        (AccessSpecification(AccessKind.GET, ENERGY), AccessSpecification(AccessKind.ACTION, SWITCH),
         AccessSpecification(AccessKind.GET_WITH_SELECTION, PROFILE, EntryAccess(1, 2))),
        (data.null(), data.integer(0), data.null()),
    ),
    AccessResponse(1, b"", None, (data.unsigned(1),), (AccessOutcome(AccessKind.GET, OK),)),
    AccessResponse(
        1, b"", (AccessSpecification(AccessKind.ACTION, SWITCH),), (data.null(),),
        (AccessOutcome(AccessKind.ACTION, ActionResult.SUCCESS),),
    ),
    InitiateRequest(Conformance.GET | Conformance.SELECTIVE_ACCESS, 1200),
    InitiateRequest(Conformance.GET, 0, bytes(16), response_allowed=False, quality_of_service=1),
    InitiateResponse(Conformance.GET, 500),
    Ciphered(CipherTag.GLO_GET_REQUEST, None, 0x30, 5, b"payload"),
    Ciphered(CipherTag.GENERAL_GLO, b"TITLE678", 0x30, 5, bytes(500)),
    Ciphered(CipherTag.GENERAL_GLO, b"", 0x20, 5, b"p"),
    GeneralCiphering(b"tid", b"ORIG5678", b"RECI5678", b"", b"", IdentifiedKey(0), 0x31, 9, b"p"),
    GeneralCiphering(b"tid", b"ORIG5678", b"RECI5678", b"", b"", WrappedMessageKey(0, b"kk"), 0x31, 9, b"p"),
    GeneralCiphering(b"tid", b"ORIG5678", b"RECI5678", b"", b"", AgreedKey(b"\x01", b"cc"), 0x31, 9, b"p"),
    GeneralCiphering(b"tid", b"ORIG5678", b"RECI5678", b"", b"", None, 0x31, 9, b"p"),
    GeneralSigning(b"tid", b"ORIG5678", b"RECI5678", b"", b"", b"content", b"signature"),
]  # fmt: skip


@pytest.mark.parametrize("one", EVERY_APDU, ids=lambda one: type(one).__name__)
def test_every_apdu_comes_back_from_its_octets(one: Apdu):
    octets = apdu.encode(one)
    assert apdu.decode(octets) == one
    assert apdu.encode(apdu.decode(octets)) == octets


@pytest.mark.parametrize("one", EVERY_APDU, ids=lambda one: type(one).__name__)
def test_every_apdu_cut_short_is_a_typed_error(one: Apdu):
    octets = apdu.encode(one)
    for end in range(len(octets)):
        if isinstance(one, ExceptionResponse) and end == OCTETS_WITHOUT_COUNTER:
            continue  # the counter may be left out
        if isinstance(one, ActionResponseNormal) and end == OCTETS_WITHOUT_RETURN_MARK:
            continue  # so may be the mark that nothing is returned
        with pytest.raises(data.DecodeError):
            completely(octets[:end])


@pytest.mark.parametrize("one", EVERY_APDU, ids=lambda one: type(one).__name__)
def test_octets_left_over_are_a_typed_error(one: Apdu):
    with pytest.raises(data.DecodeError):
        completely(apdu.encode(one) + b"\x55")


def completely(octets: bytes) -> Apdu:
    """Decode an APDU and the value that it would otherwise leave undecoded."""
    one = apdu.decode(octets)
    if isinstance(one, GetResponseNormal):
        _ = one.result
    elif isinstance(one, DataNotification):
        _ = one.body
    return one


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("", "ends before"),
        ("99", "no APDU"),
        ("c009c1", "no choice 9"),
        ("c401c102", "neither data"),
        ("d9000000000001" + "09" * 12, "no kind of access"),
        ("0100000006aabbccdd", "conformance"),
        ("cc02c101", "too short"),
        ("c003c1ff", "length"),
        ("0f000000010500", "date-time|ends before"),
    ],
)
def test_malformed_apdus_say_what_is_wrong(octets: str, why: str):
    with pytest.raises(data.DecodeError, match=why):
        apdu.decode(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("octets", "code", "label"),
    [
        ("c401c10105", lambda one: one.error, "unknown-5"),
        ("c403c10200060000000101ff", lambda one: one.results[1], "unknown-255"),
        ("c501c107", lambda one: one.result, "unknown-7"),
        ("c505c1020007", lambda one: one.results[1], "unknown-7"),
        ("c701c10500", lambda one: one.result, "unknown-5"),
        ("da400000010000010001034d", lambda one: one.outcomes[0].result, "unknown-77"),
        ("d80000", lambda one: one.state_error, "unknown-0"),
        ("d80107", lambda one: one.service_error, "unknown-7"),
    ],
)
def test_a_code_that_the_standard_does_not_name_keeps_its_number(octets: str, code: Callable[[Any], Code], label: str):
    one = apdu.decode(bytes.fromhex(octets))
    assert code(one).label == label
    assert not code(one).named
    assert one.encode() == bytes.fromhex(octets)


def test_a_code_has_one_octet():
    assert DataAccessResult(5) == DataAccessResult(5) != DataAccessResult.SUCCESS
    assert DataAccessResult(4) is DataAccessResult.OBJECT_UNDEFINED
    with pytest.raises(ValueError, match="256"):
        DataAccessResult(256)


@pytest.mark.parametrize(
    ("octets", "returned"),
    [
        ("c701c10000", None),
        ("c701c100", None),
        ("c701c100010100", None),
        ("c701c10001000f05", data.integer(5)),
        ("c701c100010906aabbccddeeff", data.octet_string(bytes.fromhex("aabbccddeeff"))),
        ("c701c10001010b", DataAccessResult.OBJECT_UNAVAILABLE),
    ],
)
def test_what_a_method_returns_in_every_form_of_the_field(octets: str, returned: object):
    one = apdu.decode(bytes.fromhex(octets))
    assert isinstance(one, ActionResponseNormal)
    assert (one.result, one.return_value) == (ActionResult.SUCCESS, returned)


def test_padding_behind_an_initiate_response_is_stepped_over():
    plain = InitiateResponse(Conformance.GET, 500)
    assert apdu.decode(plain.encode() + bytes(3)) == plain
    with pytest.raises(data.DecodeError, match="left over"):
        apdu.decode(plain.encode() + b"\x00\x01")


def test_secrets_are_in_no_repr():
    assert "SECRET" not in repr(InitiateRequest(Conformance.GET, 500, dedicated_key=b"SECRETSECRETSECR"))


def test_a_profile_buffer_stays_undecoded_until_asked():
    response = apdu.decode(bytes.fromhex("c401c100" + "0102ff"))
    assert isinstance(response, GetResponseNormal)
    assert response.raw == bytes.fromhex("0102ff")
    with pytest.raises(data.DecodeError):
        _ = response.result


def test_a_date_time_with_a_type_tag_as_kaifa_writes_it():
    octets = bytes.fromhex("0f40000000090c07e3020401173416ff800000020106000016dc")
    notification = apdu.decode(octets)
    assert isinstance(notification, DataNotification)
    assert notification.tagged_date_time
    assert str(notification.time) == "2019-02-04 23:52:22"
    assert data.natural(notification.body) == [5852]
    assert notification.encode() == octets


def test_conformance_bits_stand_where_the_standard_has_them():
    octets = InitiateRequest(Conformance.GET | Conformance.GENERAL_PROTECTION, 65535).encode()
    assert octets.hex() == "01000000065f1f0400400010ffff"
    every_bit = list(Conformance)
    assert len(every_bit) == 24
    assert sum(every_bit) == 0xFFFFFF


def test_early_form_of_the_conformance_block_is_read():
    early = bytes.fromhex("0800065f040000501f01f40007")
    assert apdu.decode(early) == apdu.decode(bytes.fromhex("0800065f1f040000501f01f40007"))


def test_numbers_that_do_not_fit_are_our_own_fault():
    with pytest.raises(LocalProtocolError):
        GetRequestNext(0x1C1, 1).encode()
    with pytest.raises(LocalProtocolError):
        GetRequestNormal(0xC1, Attribute(1 << 20, ENERGY.obis, 2)).encode()
    with pytest.raises(LocalProtocolError):
        GeneralBlockTransfer(
            last_block=True, streaming=True, window=64, block_number=1, block_number_ack=0, data=b""
        ).encode()


def test_cipher_tags_lead_to_their_service_and_back():
    assert CipherTag.GLO_GET_REQUEST.plain == 0xC0
    assert CipherTag.DED_ACTION_RESPONSE.plain == 0xC7
    assert CipherTag.GLO_INITIATE_REQUEST.plain == 0x01
    assert CipherTag.DED_CONFIRMED_SERVICE_ERROR.plain == 0x0E
    assert CipherTag.GENERAL_DED.plain is None
    services = {tag.plain for tag in CipherTag if not tag.general}
    assert {apdu.SetRequestNormal.TAG, apdu.EventNotification.TAG, apdu.InitiateResponse.TAG} <= services
