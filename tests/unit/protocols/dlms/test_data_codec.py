import math

import pytest

from amity.kernel.errors import LocalProtocolError
from amity.protocols.dlms import data
from amity.protocols.dlms.data import (
    DEPTH_MAX,
    BitString,
    CompactArray,
    Data,
    DecodeError,
    Tag,
    TypeDescription,
    decode_all,
    encode,
    natural,
    to_json,
)


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (data.null(), "00"),
        (data.boolean(True), "0301"),
        (data.double_long(-2), "05fffffffe"),
        (data.double_long_unsigned(280), "0600000118"),
        (data.integer(-1), "0fff"),
        (data.long(-2), "10fffe"),
        (data.unsigned(255), "11ff"),
        (data.long_unsigned(2309), "120905"),
        (data.long64(-1), "14ffffffffffffffff"),
        (data.long64_unsigned(1), "150000000000000001"),
        (data.enum(30), "161e"),
        (data.octet_string(b"\x01\x02"), "09020102"),
        (data.visible_string("T3"), "0a025433"),
        (data.utf8_string("é"), "0c02c3a9"),
        (data.bit_string("1101"), "0404d0"),
        (Data(Tag.FLOAT32, 1.5), "173fc00000"),
        (Data(Tag.FLOAT64, 1.5), "183ff8000000000000"),
        (Data(Tag.BCD, 0x12), "0d12"),
        (Data(Tag.DATE, bytes.fromhex("07e4010aff")), "1a07e4010aff"),
        (Data(Tag.TIME, bytes.fromhex("0c1e0000")), "1b0c1e0000"),
        (Data(Tag.DELTA_LONG, -300), "1dfed4"),
        (Data(Tag.DONT_CARE), "ff"),
        (data.structure(data.unsigned(1), data.array([data.unsigned(2)])), "0202110101011102"),
    ],
)
def test_every_type_both_ways(value: Data, octets: str):
    assert encode(value).hex() == octets
    assert decode_all(bytes.fromhex(octets)) == value


def test_lengths_are_written_short_and_read_in_any_form():
    long_text = data.octet_string(bytes(300))
    assert encode(long_text)[:4].hex() == "0982012c"
    assert decode_all(bytes.fromhex("0983000002aabb")) == data.octet_string(b"\xaa\xbb")
    assert data.encode_length(127) == b"\x7f"
    assert data.encode_length(128) == b"\x81\x80"


def test_compact_array_of_structures():
    octets = bytes.fromhex("13020212090a0006024142" + "0007024344")
    value = decode_all(octets)
    assert isinstance(value.value, CompactArray)
    assert natural(value) == [[6, b"AB"], [7, b"CD"]]
    assert encode(value) == octets
    pair = TypeDescription(Tag.STRUCTURE, (TypeDescription(Tag.LONG_UNSIGNED), TypeDescription(Tag.OCTET_STRING)))
    built = data.compact_array(
        pair, [data.structure(data.long_unsigned(6), data.octet_string(b"AB")),
               data.structure(data.long_unsigned(7), data.octet_string(b"CD"))]
    )  # fmt: skip
    assert encode(built) == octets


def test_compact_array_with_an_inner_array():
    octets = bytes.fromhex("13" + "01000211" + "04" + "01020304")
    assert natural(decode_all(octets)) == [[1, 2], [3, 4]]
    assert encode(decode_all(octets)) == octets


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("", "ends where a type tag"),
        ("42", "no type tag"),
        ("1200", "ends inside"),
        ("0985", "not used"),
        ("0982ff", "ends inside a length"),
        ("0980", "not used"),
        ("01840fffffff", "announces"),
        ("02" + "7f" + "00" * 3, "announces"),
        ("1300", "length should be"),
        ("130002aabb", "take no octets"),
        ("1301ffff01ffff01ffff01ffff0004aabbccdd", "take no octets|elements"),
        ("13" + "0200" + "02aabb", "take no octets"),
        ("13" + "01" * 40, "nested deeper|no type description"),
        ("1312" + "03aabbcc", "ends inside|cut short"),
        ("1200ff00", "left over"),
    ],
)
def test_malformed_octets_are_one_typed_error(octets: str, why: str):
    with pytest.raises(DecodeError, match=why) as caught:
        decode_all(bytes.fromhex(octets))
    assert caught.value.offset >= 0


def test_depth_is_bounded_far_below_the_stack():
    deep = bytes.fromhex("0201") * (DEPTH_MAX + 1) + b"\x00"
    with pytest.raises(DecodeError, match="deeper"):
        decode_all(deep)
    assert decode_all(deep[4:])


def test_a_bomb_of_nothing_in_arrays_of_arrays_is_refused_quickly():
    bomb = bytes.fromhex("13" + "01ffff" * 5 + "11" + "0400000000")
    with pytest.raises(DecodeError):
        decode_all(bomb)


@pytest.mark.parametrize(
    "value",
    [
        data.unsigned(256),
        data.integer(-129),
        data.octet_string(b"")._replace(value="text"),
        data.visible_string("€"),
        Data(Tag.DATE_TIME, b"short"),
        Data(Tag.BIT_STRING, BitString(9, b"\x00")),
        Data(Tag.ARRAY, 5),
        Data(Tag.UNSIGNED, None),
        data.structure(data.long(1 << 20)),
    ],
)
def test_what_does_not_fit_its_type_is_our_own_fault(value: Data):
    with pytest.raises(LocalProtocolError):
        encode(value)


def test_json_has_the_names_of_the_standard_and_no_value_json_does_not_know():
    assert to_json(data.structure(data.null(), data.double_long_unsigned(280))) == {
        "structure": [{"null-data": None}, {"double-long-unsigned": 280}]
    }
    assert to_json(Data(Tag.FLOAT32, math.nan)) == {"float32": "nan"}
    assert to_json(decode_all(bytes.fromhex("0c01ff"))) == {"utf8-string": "\\udcff"}
    assert to_json(data.bit_string("101")) == {"bit-string": "101"}


def test_a_broken_text_does_not_cost_its_neighbours():
    value = decode_all(bytes.fromhex("02020c02ff411105"))
    assert value.items[1] == data.unsigned(5)
    assert encode(value).hex() == "02020c02ff411105"


def test_items_of_a_plain_value_are_a_typed_error():
    with pytest.raises(DecodeError, match="array or structure"):
        _ = data.unsigned(1).items
