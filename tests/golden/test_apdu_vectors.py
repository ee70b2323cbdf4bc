"""APDUs and values from MIT, BSD and Apache projects decode, and give the same octets again."""

from typing import Any

import pytest

from amity.devices.telegrams import decode_telegram
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms import acse, apdu, data
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.wrapper import frame as wrapper
from tests.golden.vectors import each, entries, entry, needs_vectors

pytestmark = needs_vectors

FILES = ("apdus_mit", "apdus_epri_bsd3", "apdus_rust_mit_apache", "apdus_viewway_mit")
MIT = "dlms-cosem-MIT-2021/"
INITIATE_REQUEST = "an InitiateRequest, which the file calls data"
WRONG_ON_PURPOSE = "altered by its project so that decoding fails"

# Entries whose layer in the file is a guess, and what they are.
DECODED_AS = {
    f"{MIT}test_initiate/TestInitiateRequest.test_parse_simple.data": INITIATE_REQUEST,
    f"{MIT}test_initiate/TestInitiateRequest.test_decode_with_dedicated_key.data": INITIATE_REQUEST,
    "epri/UnitTest-APDU-AARQ/REQUIRE@125": INITIATE_REQUEST,
    "epri/UnitTest-APDU-xDLMS/std@100": INITIATE_REQUEST,
}
NO_APDU = {
    f"{MIT}conftest/global_broadcast_key.L30": "a key",
    f"{MIT}test_get/TestGetResponseWithBlock.test_transform_bytes.L171": "the first block of a longer value",
    f"{MIT}test_selective_access/test_range_descriptor_to_bytes.data": "a selector octet and its parameters",
    "viewway-rs/lib/Sm4Key@92": "a key",
    "guara92-rs/get/let@839": "a get-request-with-list without the marks of its optional selections",
    **{
        f"{MIT}{name}.data": WRONG_ON_PURPOSE
        for name in (
            "test_action/TestActionRequestNormal.test_wrong_tag_raises_valueerror",
            "test_action/TestActionRequestNormal.test_wrong_request_type_raises_valueerror",
            "test_action/TestActionRequestFactory.test_wrong_tag_raises_valueerror",
            "test_action/TestActionRequestFactory.test_any_other_type_than_normal_raises_notimplementederror",
            "test_action/TestActionResponseNormal.test_wrong_tag_raises_valueerror",
            "test_get/TestGetRequestNormal.test_wrong_tag_raises_valueerror",
            "test_get/TestGetRequestNormal.test_wrong_request_type_raises_valueerror",
            "test_get/TestGetResponseNormal.test_wrong_tag_raises_valueerror",
            "test_get/TestGetResponseNormal.test_wrong_request_type_raises_valueerror",
            "test_get/TestGetResponseWithBlock.test_wrong_tag_raises_valueerror",
            "test_get/TestGetResponseWithBlock.test_wrong_type_raises_valueerror",
            "test_get/TestGetResponseWithBlock.test_wrong_length_data_raises_valueerror",
            "test_get/TestGetResponseLastBlock.test_wrong_tag_raises_valueerror",
            "test_get/TestGetResponseLastBlock.test_wrong_type_raises_valueerror",
            "test_get/TestGetResponseLastBlock.test_wrong_length_data_raises_valueerror",
            "test_get/TestGetResponseLastBlockWithError.test_wrong_tag_raises_valueerror",
            "test_get/TestGetResponseLastBlockWithError.test_wrong_type_raises_valueerror",
            "test_get/TestGetResponseFactory.test_wrong_tag_raises_valueerror",
            "test_set/TestSetRequestNormal.test_wrong_type_raises_value_error",
            "test_set/TestSetRequestFactory.test_set_request_with_block_raises_not_implemented_error",
            "test_set/TestSetRequestFactory.test_set_with_list_raises_not_implemented_error",
            "test_set/TestSetRequestFactory.test_set_request_with_list_first_block_raises_not_implemented_block",
        )
    },
}
# The time's presence mark is 9 (its type tag) where the standard writes 1.
NOT_CANONICAL = {"osgp/Mx382AlarmDecoderTest/message@70", "osgp/Mx382AlarmDecoderTest/message@93"}


def round_trip(layer: str, octets: bytes) -> bytes:
    if layer == "acse-apdu":
        return acse.encode(acse.decode(octets))
    if layer == "a-xdr data":
        return data.encode(data.decode_all(octets))
    decoded = apdu.decode(octets)
    if isinstance(decoded, apdu.GetResponseNormal) and decoded.error is None:
        result = decoded.result
        return apdu.GetResponseNormal(decoded.invoke_id_and_priority, result).encode()
    if isinstance(decoded, apdu.DataNotification):
        return apdu.DataNotification(decoded.long_invoke_id_and_priority, decoded.date_time, decoded.body).encode()
    return apdu.encode(decoded)


@each(*FILES, where=lambda vector: vector["layer"] in {"acse-apdu", "a-xdr data", "xdlms-apdu", "ciphered-apdu"})
def test_complete_apdus_give_the_same_octets_again(vector: dict[str, Any]):
    octets = bytes.fromhex(vector["hex"])
    layer = "xdlms-apdu" if vector["name"] in DECODED_AS else vector["layer"]
    if vector["name"] in NO_APDU:
        with pytest.raises(RemoteProtocolError):
            round_trip(layer, octets)
        return
    assert round_trip(layer, octets) == octets


def value_elsewhere(vector: dict[str, Any]) -> Any:
    """What another decoder read, None unless it read the entry to its end."""
    checked = vector["checked_here"]
    complete = not checked.get("bytes_left") and vector["name"] not in NO_APDU
    return checked.get("axdr") or checked.get("get_response_data") if complete else None


@each(*FILES, where=value_elsewhere)
def test_values_are_those_that_another_decoder_saw(vector: dict[str, Any]):
    checked, expected = vector["checked_here"], value_elsewhere(vector)
    octets = bytes.fromhex(vector["hex"])
    if "axdr" in checked:
        assert data.to_json(data.decode_all(octets)) == expected
        return
    decoded = apdu.decode(octets)
    assert isinstance(decoded, apdu.GetResponseNormal)
    assert data.to_json(decoded.result) == expected


NO_DLMS_BEHIND_LLC = {"epri/UnitTest-HDLC-Client/static@90"}  # octets made up to test the carrier


@each(*FILES, "wrapper_alarm_push_apache2", where=lambda vector: vector["layer"] in {"llc+apdu", "wrapper"})
def test_what_others_carry_behind_llc_and_wrapper_is_found(vector: dict[str, Any]):
    octets = bytes.fromhex(vector["hex"])
    if vector["name"] in NO_DLMS_BEHIND_LLC:
        with pytest.raises(RemoteProtocolError):
            decode_telegram(octets)
        return
    telegram = decode_telegram(octets)
    assert len(telegram.messages) == 1
    assert telegram.frames[0].carrier == vector["layer"].split("+")[0]


def test_alarm_pushes_in_wrapper_frames():
    for name in sorted(NOT_CANONICAL):
        (frame,) = wrapper.Reader().feed(bytes.fromhex(entry("wrapper_alarm_push_apache2", name)["hex"]))
        event = apdu.decode(frame.payload)
        assert isinstance(event, apdu.EventNotification)
        assert isinstance(event.time, CosemDateTime)
        again = bytearray(event.encode())
        assert again[1] == 1
        again[1] = 9
        assert bytes(again) == frame.payload


def test_dates_of_the_apache_project_keep_their_octets():
    dates = [one for one in entries("wrapper_alarm_push_apache2") if "/Clock" in one["name"]]
    assert len(dates) == 9
    for one in dates:
        octets = bytes.fromhex(one["hex"])
        assert CosemDateTime.from_octets(octets).to_octets() == octets
