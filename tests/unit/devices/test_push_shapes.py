"""Every shape of push body met in the field becomes the same flat readings."""

from decimal import Decimal

import pytest

from amity.devices.push import normalise, normalise_event
from amity.devices.push_body import read_body
from amity.devices.push_layout import knowledge, knowledge_from
from amity.devices.push_reading import NormalisedReading, Scaling, unit_of, unit_symbol
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms import data
from amity.protocols.dlms.apdu import Attribute, EventNotification
from amity.protocols.dlms.data import Data, DecodeError, Tag, encode
from amity.protocols.dlms.datetime import CosemDateTime

ENERGY, VOLTAGE, CLOCK = (Obis.parse(text) for text in ("1.0.1.8.0.255", "1.0.32.7.0.255", "0.0.1.0.0.255"))
TIME = bytes.fromhex("07e60b0c0610360000ffc400")
KILO, TENTH = Scaling(3, Unit.WATT_HOUR), Scaling(-1, Unit.VOLT)
N_ENERGY, N_VOLTAGE = data.double_long_unsigned(4711), data.long_unsigned(2337)


def name(obis: Obis) -> Data:
    return data.octet_string(obis)


def scaler(scaling: Scaling) -> Data:
    return data.structure(data.integer(scaling.scaler), data.enum(int(scaling.unit)))


def descriptor(class_id: int, obis: Obis, index: int) -> Data:
    return data.structure(data.long_unsigned(class_id), name(obis), data.integer(index))


def definition(class_id: int, obis: Obis, index: int) -> Data:
    return data.structure(data.long_unsigned(class_id), name(obis), data.integer(index), data.long_unsigned(0))


def found(body: Data) -> list[tuple[Obis | None, Decimal | None, Scaling | None]]:
    return [(one.obis, one.number, one.scaling) for one in normalise(body).readings]


SCALED = [(ENERGY, Decimal(4711000), KILO), (VOLTAGE, Decimal("233.7"), TENTH)]
PLAIN = [(ENERGY, Decimal(4711), None), (VOLTAGE, Decimal(2337), None)]


@pytest.mark.parametrize(
    "body",
    [
        data.array([
            data.structure(name(ENERGY), N_ENERGY, scaler(KILO)),
            data.structure(name(VOLTAGE), N_VOLTAGE, scaler(TENTH)),
        ]),
        data.structure(
            data.structure(name(ENERGY), N_ENERGY, scaler(KILO)),
            data.structure(name(VOLTAGE), N_VOLTAGE, scaler(TENTH)),
        ),
        data.structure(name(ENERGY), N_ENERGY, scaler(KILO), name(VOLTAGE), N_VOLTAGE, scaler(TENTH)),
        data.structure(name(ENERGY), scaler(KILO), N_ENERGY, name(VOLTAGE), scaler(TENTH), N_VOLTAGE),
        data.array([
            data.structure(data.long_unsigned(3), name(ENERGY), data.integer(2), N_ENERGY, scaler(KILO)),
            data.structure(data.long_unsigned(3), name(VOLTAGE), data.integer(2), N_VOLTAGE, scaler(TENTH)),
        ]),
        data.array([
            data.structure(descriptor(3, ENERGY, 2), N_ENERGY, scaler(KILO)),
            data.structure(descriptor(3, VOLTAGE, 2), N_VOLTAGE, scaler(TENTH)),
        ]),
        data.structure(data.array([data.structure(name(ENERGY), N_ENERGY, scaler(KILO))]),
                       data.array([data.structure(name(VOLTAGE), N_VOLTAGE, scaler(TENTH))])),
    ],
)  # fmt: skip
def test_shapes_with_scaler_and_unit(body: Data):
    assert found(body) == SCALED


@pytest.mark.parametrize(
    "body",
    [
        data.structure(name(ENERGY), N_ENERGY, name(VOLTAGE), N_VOLTAGE),
        data.array([data.structure(name(ENERGY), N_ENERGY), data.structure(name(VOLTAGE), N_VOLTAGE)]),
        data.array([
            data.structure(data.long_unsigned(3), name(ENERGY), data.integer(2), N_ENERGY),
            data.structure(data.long_unsigned(3), name(VOLTAGE), data.integer(2), N_VOLTAGE),
        ]),
        data.structure(
            data.structure(descriptor(3, ENERGY, 2), N_ENERGY), data.structure(descriptor(3, VOLTAGE, 2), N_VOLTAGE)
        ),
        data.structure(descriptor(3, ENERGY, 2), N_ENERGY, descriptor(3, VOLTAGE, 2), N_VOLTAGE),
    ],
)  # fmt: skip
def test_shapes_without_scaler(body: Data):
    assert found(body) == PLAIN


def test_a_list_of_objects_in_front_names_every_value_itself_included():
    objects = data.array(
        [definition(40, Obis.parse("0.0.25.9.0.255"), 2), definition(3, ENERGY, 2), definition(3, VOLTAGE, 2)]
    )
    readings = normalise(data.structure(objects, N_ENERGY, N_VOLTAGE)).readings
    assert [str(one.obis) for one in readings] == ["0.0.25.9.0.255", str(ENERGY), str(VOLTAGE)]
    assert [one.value for one in readings[1:]] == [4711, 2337]
    assert (readings[1].class_id, readings[1].attribute) == (3, 2)


def test_a_list_of_objects_after_a_time_names_what_follows():
    objects = data.array([definition(3, ENERGY, 2), definition(3, VOLTAGE, 2)])
    readings = normalise(data.structure(data.octet_string(TIME), objects, N_ENERGY, N_VOLTAGE)).readings
    assert [one.obis for one in readings] == [None, ENERGY, VOLTAGE]
    assert isinstance(readings[0].value, CosemDateTime)


def test_times_texts_and_octets_are_told_apart():
    body = data.structure(
        name(CLOCK), data.octet_string(TIME), name(Obis.parse("0.0.96.1.0.255")), data.octet_string(b"4079939\0\0"),
        name(Obis.parse("0.0.96.1.1.255")), data.octet_string(b"\x01\x02"), name(Obis.parse("0.0.96.1.2.255")),
        data.octet_string(b""), name(Obis.parse("0.0.96.1.3.255")), data.octet_string(b"123456789012"),
        name(Obis.parse("0.0.96.1.4.255")), data.octet_string(bytes(4)),
    )  # fmt: skip
    values = [one.value for one in normalise(body).readings]
    assert values == [CosemDateTime.from_octets(TIME), "4079939", b"\x01\x02", "", "123456789012", bytes(4)]


def test_six_octets_of_text_are_no_name():
    (reading,) = normalise(data.structure(name(ENERGY), data.octet_string(b"ABC123"))).readings
    assert (reading.obis, reading.value) == (ENERGY, "ABC123")
    assert [one.value for one in normalise(data.array([data.octet_string(b"ABC123"), N_ENERGY])).readings] == [
        "ABC123",
        4711,
    ]


def test_an_extended_register_keeps_its_capture_time():
    (reading,) = normalise(data.structure(name(ENERGY), N_ENERGY, scaler(KILO), data.octet_string(TIME))).readings
    assert reading.time == CosemDateTime.from_octets(TIME)
    assert reading.number == 4_711_000


def test_nothing_without_a_name_is_dropped():
    number = Obis.parse("0.0.96.1.0.255")
    body = data.structure(data.visible_string("LIST_1"), N_VOLTAGE, data.octet_string(b"181220000009"))
    assert [(one.obis, one.value, one.name) for one in normalise(body).readings] == [
        (None, "LIST_1", "list-version"), (None, 2337, None), (number, "181220000009", "device-number"),
    ]  # fmt: skip


def test_a_list_as_value_is_kept_whole():
    value = data.array([data.unsigned(1), data.unsigned(2)])
    (reading,) = normalise(data.structure(name(ENERGY), value)).readings
    assert reading.value == value
    assert reading.number is None


def test_an_event_is_one_reading():
    time = CosemDateTime.from_octets(TIME)
    event = EventNotification(time, Attribute(1, Obis.parse("0.0.97.98.20.255"), 2), data.double_long_unsigned(3))
    (reading,) = normalise_event(event)
    assert (reading.class_id, reading.value, reading.time) == (1, 3, time)


@pytest.mark.parametrize("phases", [1, 3])
def test_kaifa_lists_without_names(phases: int):
    texts = [data.octet_string(text) for text in (b"KFM_001", b"6970631401753985", b"MA304H3E")]
    values = [data.double_long_unsigned(number) for number in range(1, 5 + 2 * phases)]
    clock_and_energies = [data.octet_string(TIME), *(data.double_long_unsigned(n) for n in (10, 20, 30, 40))]
    push = normalise(data.structure(*texts, *values, *clock_and_energies))
    quantities = {str(one.obis): one.number for one in push.readings}
    assert push.manufacturer == "Kaifa"
    assert quantities["1.0.31.7.0.255"] == Decimal("0.005")
    assert quantities["1.0.32.7.0.255"] == Decimal(5 + phases) / 10
    assert quantities["1.0.4.8.0.255"] == 40
    assert len(push.readings) == 3 + 4 + 2 * phases + 5


def test_assumptions_are_never_mixed_with_what_the_telegram_says():
    body = data.structure(
        data.visible_string("Kamstrup_V0001"), name(Obis.parse("1.1.31.7.0.255")), data.long_unsigned(57)
    )
    reading = normalise(body).readings[1]
    assert (reading.number, reading.scaling) == (57, None)
    assert (reading.quantity, reading.assumed) == (Decimal("0.57"), Scaling(-2, Unit.AMPERE))
    said = normalise(
        data.structure(data.visible_string("Kamstrup_V0001"), name(ENERGY), N_ENERGY, scaler(KILO))
    ).readings[1]
    assert (said.number, said.assumed) == (4_711_000, None)


def test_exact_numbers():
    assert NormalisedReading(ENERGY, 3, scaling=Scaling(-3, Unit.VOLT)).number == Decimal("0.003")
    assert NormalisedReading(ENERGY, 0.1, scaling=Scaling(1, Unit.VOLT)).number == Decimal(1)
    assert NormalisedReading(ENERGY, True).number is None
    big = (1 << 64) - 1
    assert NormalisedReading(ENERGY, big, scaling=Scaling(-1, Unit.VOLT)).number == Decimal(big) / 10


def test_units_the_kernel_has_no_name_for_keep_their_code():
    assert unit_of(30) is Unit.WATT_HOUR
    assert unit_of(61) == 61
    assert unit_symbol(unit_of(61)) == "unit 61"


# ------------------------------------------------------------------ bodies with slips
def test_descriptors_without_a_tag():
    element = bytes.fromhex("0202" + "0003" + "0100010800ff" + "02" + "0600001267")
    body = read_body(bytes.fromhex("0102") + element * 2)
    assert [(one.obis, one.value, one.class_id) for one in normalise(body.data).readings] == [(ENERGY, 4711, 3)] * 2
    assert body.warnings == ("attribute descriptors carry no type tag",)


def test_a_damaged_element_costs_only_itself():
    good = encode(data.structure(name(ENERGY), N_ENERGY))
    bad = bytes.fromhex("0202") + b"\x2a\x2a\x2a"
    body = read_body(bytes.fromhex("0103") + good + bad + good)
    assert [one.value for one in normalise(body.data).readings] == [4711, 4711]
    assert "list element 2 does not decode" in body.warnings[0]


def test_octets_after_the_body_are_counted_not_read():
    assert read_body(encode(N_ENERGY) + b"more").octets == 5


@pytest.mark.parametrize("raw", [b"", b"\x02\x05", b"\x01\x02\x02\x02\x2a", b"\x02\x01" * 40])
def test_what_no_leniency_helps_is_the_strict_error(raw: bytes):
    with pytest.raises(DecodeError):
        read_body(raw)


# ------------------------------------------------------------------ layouts as data
def test_packaged_layouts_load():
    known = knowledge()
    assert len(known.layouts) >= 5
    assert known.manufacturer("", b"KAM\0\0\0\0\0") == "Kamstrup"
    assert known.manufacturer("AIDON_V0001", b"") == "Aidon"
    assert known.manufacturer("", b"\xff\xff\xff") is None


@pytest.mark.parametrize(
    "text",
    ["not toml", "[[layout]]", '[[layout]]\nmanufacturer="X"\nelements=[{obis="1.0.1.8.0.255", type="no-type"}]',
     '[[assumption]]\nlist_id="X"\nvalues=[{c=[1], d=8, scaler=0, unit="parsec"}]'],
)  # fmt: skip
def test_a_layout_that_cannot_be_used_names_its_file(text: str):
    with pytest.raises(ConfigurationError, match=r"broken\.toml"):
        knowledge_from([("broken.toml", text)])


def test_a_tag_of_its_own_for_a_date_time_needs_no_guess():
    (reading,) = normalise(data.structure(name(CLOCK), Data(Tag.DATE_TIME, b"\xff" * 12))).readings
    assert isinstance(reading.value, CosemDateTime)


def test_sixteen_bit_values_after_class_name_and_attribute_are_no_object_list():
    entries = [
        data.structure(data.long_unsigned(3), name(obis), data.integer(2), data.long_unsigned(value))
        for obis, value in ((ENERGY, 4711), (VOLTAGE, 2337))
    ]
    readings = normalise(data.structure(data.enum(1), data.array(entries))).readings
    assert [(one.obis, one.value) for one in readings] == [(None, 1), (ENERGY, 4711), (VOLTAGE, 2337)]


def test_nested_lists_of_rubbish_end_soon():
    """Without a bound every level would try again what the level below it gave up on."""
    body = read_body(bytes.fromhex("017f") * 30 + bytes.fromhex("02020906") * 2000)
    assert len(body.warnings) <= 32
