"""The mapping says which reading type a vendor object is; whatever is wrong in it is refused with line and reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.devices.profiles import fictional_keys, packaged_profile
from amity.domain.events import EventKind
from amity.headend.mapping import CosemObject, Kind, Mapping, Place, packaged_mapping, parse_mapping
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit


def met(obis: str, class_id: int = 3, attribute: int = 2) -> CosemObject:
    return CosemObject(class_id, Obis.parse(obis), attribute)


def mapping(*rules: dict[str, object]) -> Mapping:
    return parse_mapping(json.dumps({"version": "1", "rules": rules}), "mapping.json")


def test_the_first_rule_that_matches_decides() -> None:
    rules = mapping(
        {"kind": "register", "profile": "tarn_*", "class": 3, "obis": "1.0.130.8.0.255", "reading": "1.0.2.8.0.255"},
        {"kind": "register", "class": 3, "obis": "1.0.*.8.0.255"},
    )
    special = rules.rule_for("tarn_t4", Place.REGISTER, met("1.0.130.8.0.255"))
    general = rules.rule_for("other", Place.REGISTER, met("1.0.130.8.0.255"))
    assert special is not None
    assert general is not None
    assert str(special.reading_obis(met("1.0.130.8.0.255"))) == "1.0.2.8.0.255"
    assert str(general.reading_obis(met("1.0.130.8.0.255"))) == "1.0.130.8.0.255"


def test_the_same_object_is_a_register_by_itself_and_an_interval_in_the_load_profile() -> None:
    rules = packaged_mapping()
    total = met("1.0.1.8.0.255")
    kinds = {place: rule.kind for place in Place if (rule := rules.rule_for("norrvik_n1", place, total))}
    assert kinds == {
        Place.REGISTER: Kind.REGISTER,
        Place.BILLING_PROFILE: Kind.REGISTER,
        Place.LOAD_PROFILE: Kind.CUMULATIVE_INTERVAL,
    }


def test_class_attribute_and_profile_must_fit() -> None:
    rules = mapping({"kind": "register", "profile": "a*", "class": 3, "obis": "1.0.1.8.0.255", "attribute": 2})
    assert rules.rule_for("a1", Place.REGISTER, met("1.0.1.8.0.255"))
    assert rules.rule_for("b1", Place.REGISTER, met("1.0.1.8.0.255")) is None
    assert rules.rule_for("a1", Place.REGISTER, met("1.0.1.8.0.255", class_id=4)) is None
    assert rules.rule_for("a1", Place.REGISTER, met("1.0.1.8.0.255", attribute=5)) is None


def test_every_field_of_a_rule_is_read() -> None:
    rules = mapping(
        {"kind": "cumulative-interval", "class": 4, "obis": "1.1.1.8.0.255", "reading": "1.0.1.29.0.255", "unit": "Wh",
         "scaler": 3, "rollover": 100_000_000, "note": "kWh on eight digits"},
        {"kind": "event", "class": 1, "obis": "0.0.96.11.0.255", "codes": {"17": "cover-opened"}},
    )  # fmt: skip
    total, event = rules.rules
    assert (total.unit, total.scaler, total.rollover) == (Unit.WATT_HOUR, 3, 100_000_000)
    assert event.codes == {17: EventKind.COVER_OPENED}


@pytest.mark.parametrize("key", fictional_keys())
def test_the_packaged_mapping_knows_every_column_of_every_packaged_profile(key: str) -> None:
    profile, rules = packaged_profile(key), packaged_mapping()
    objects = {measured.name: measured for measured in profile.objects}
    readings = set()
    for column in profile.load_profile.columns:
        if column in {"clock", "status"}:
            continue
        captured = CosemObject(objects[column].class_id, objects[column].obis, 2)
        rule = rules.rule_for(key, Place.LOAD_PROFILE, captured)
        assert rule is not None, column
        readings.add(str(rule.reading_obis(captured)))
    assert readings == {"1.0.1.29.0.255", "1.0.2.29.0.255", "1.0.3.29.0.255"}


@pytest.mark.parametrize("key", fictional_keys())
def test_the_packaged_mapping_knows_every_register_of_every_packaged_profile(key: str) -> None:
    for measured in packaged_profile(key).objects:
        if measured.form in {"total", "instant"} and measured.class_id in {3, 4}:
            assert packaged_mapping().rule_for(key, Place.REGISTER, CosemObject(measured.class_id, measured.obis, 2)), (
                measured.name
            )


GOOD = """{
  "version": "7",
  "rules": [
    {"kind": "register", "class": 3, "obis": "1.0.1.8.0.255"},
    {"kind": "interval", "class": 3,
     "obis": "1.0.1.29.0.255"}
  ]
}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ('"class": 3, "obis": "1.0.1.8', '"class": 3 "obis": "1.0.1.8', 4, "column 37"),
        ("  ]\n}", "  ]\n", 9, "column 1"),
        ('"kind": "interval"', '"kind": "intervall"', 5, "not 'intervall'"),
        ('"1.0.1.29.0.255"', '"1.0.1.29.0.256"', 6, "six numbers"),
        ('"1.0.1.29.0.255"', '"1.0.1.29.0"', 6, "six numbers"),
        ('"1.0.1.29.0.255"', '"1.0.1.29.0.٣"', 6, "six numbers"),
        ('"class": 3,\n', '"class": "3",\n', 5, "whole number"),
        ('"class": 3,\n', '"class": true,\n', 5, "whole number"),
        ('"class": 3,\n', "\n", 5, "'class' is missing"),
        ('"kind": "interval"', '"kind": "interval", "colour": "red"', 5, "'colour' is no key"),
        ('"kind": "interval"', '"kind": "cumulative-interval"', 5, "needs 'reading'"),
        ('"kind": "interval"', '"kind": "interval", "codes": {}', 5, "'codes' means nothing"),
        ('"kind": "interval"', '"kind": "event", "codes": {"x": "other"}', 5, "not 'x'"),
        ('"kind": "interval"', '"kind": "event", "codes": {"1": "rain"}', 5, "not 'rain'"),
        ('"kind": "interval"', '"kind": "interval", "unit": "kWh"', 5, "'kWh' is no unit"),
        ('"kind": "interval"', '"kind": "interval", "reading": "x"', 5, "not an OBIS code"),
        ('"kind": "interval"', '"kind": "interval", "kind": "interval"', 5, "stands twice"),
        ('"version": "7"', '"version": 7', 2, "a text of printable characters is needed"),
        ('"version": "7"', '"version": "\\ud800"', 2, "a text of printable characters is needed"),
        ('"version": "7",', "", 1, "'version' is missing"),
        ('"rules": [', '"rules": 5, "x": [', 3, "'x' is no key"),
        ('{"kind": "register", "class": 3, "obis": "1.0.1.8.0.255"}', '"register"', 4, "an object is needed"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line_and_reason(old: str, new: str, line: int, reason: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as caught:
        parse_mapping(GOOD.replace(old, new), "mapping.json")
    assert f"mapping.json, line {line}" in caught.value.what
    assert reason in caught.value.what
    assert f"line {line}" in str(caught.value.next_step)


@given(st.text(max_size=200))
def test_any_text_is_a_mapping_or_the_one_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_mapping(text, "mapping.json")


@given(st.integers(0, len(GOOD)), st.integers(0, 20), st.text(max_size=4))
def test_any_edit_of_a_good_mapping_is_a_mapping_or_the_one_error(position: int, removed: int, put: str) -> None:
    try:
        parse_mapping(GOOD[:position] + put + GOOD[position + removed :], "mapping.json")
    except ConfigurationError as error:
        assert "mapping.json" in error.what  # noqa: PT017 - either way out is right


def test_rules_that_are_no_list_and_a_number_without_end_are_refused() -> None:
    for text, reason in (('{"version": "1", "rules": 5}', "a list is needed"), ("1" * 5000, "digits")):
        with pytest.raises(ConfigurationError, match=reason):
            parse_mapping(text, "mapping.json")


def test_a_deeply_nested_file_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        parse_mapping("[" * 100_000, "mapping.json")


def test_a_mapping_without_rules_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"mapping.json, line 2: there is no rule"):
        parse_mapping('{"version": "7",\n "rules": []}', "mapping.json")


def test_the_version_names_the_rules_and_not_how_they_are_written() -> None:
    def version(text: str) -> str:
        return parse_mapping(text, "mapping.json").version

    assert version(GOOD).startswith("7+")
    assert version(GOOD) == version(GOOD.replace("\n", " "))
    assert version(GOOD) != version(GOOD.replace("1.0.1.29", "1.0.2.29"))
    assert version(GOOD).partition("+")[2] == version(GOOD.replace('"7"', '"8"')).partition("+")[2]
