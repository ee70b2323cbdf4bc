"""Tables of event codes: what they say, which is asked first, and what is told of one that cannot be used."""

import pytest

from amity.domain.events import EventClass, EventKind, EventMeaning, Severity
from amity.headend.event_catalogue import alarm_register, log_of, packaged_catalogue, parse_table
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis

OWN = """
profiles = ["norrvik_*"]
[events]
44 = { class = "other", severity = "info", text = "the fitter was here" }
[logs.fraud]
44 = { class = "tamper", severity = "alarm", text = "seal broken" }
"""


def test_the_standard_speaks_for_every_maker() -> None:
    meaning = packaged_catalogue().meaning("castellan_c3", "standard", 42)
    assert meaning == EventMeaning(EventClass.TAMPER, Severity.ALARM, "strong magnetic field", EventKind.MAGNETIC_FIELD)


@pytest.mark.parametrize(
    ("log", "bit", "event_class", "text"),
    [
        ("alarm-1", 0, "clock", "clock invalid"),
        ("alarm-1", 23, "tamper", "M-Bus device 4: fraud attempt"),
        ("alarm-2", 0, "power", "power lost"),
        ("alarm-2", 30, "relay", "M-Bus device 4: valve alarm"),
        ("alarm-2", 31, "relay", "disconnecting or reconnecting failed"),
    ],
)
def test_alarm_bits_have_tables_of_their_own(log: str, bit: int, event_class: str, text: str) -> None:
    meaning = packaged_catalogue().meaning("idis_package2", log, bit)
    assert meaning is not None
    assert (meaning.event_class, meaning.text) == (event_class, text)


def test_every_alarm_bit_says_what_an_entry_of_the_log_says() -> None:
    """By this the two are found to be one happening; the bits that no entry of IDIS corresponds to are named here."""
    (table,) = packaged_catalogue().standard
    entries = {(one.event_class, one.severity, one.text) for (log, _), one in table.meanings.items() if not log}
    alone = {
        (log, code) for (log, code), one in table.meanings.items()
        if log and (one.event_class, one.severity, one.text) not in entries
    }  # fmt: skip
    assert alone == {("alarm-1", 13), ("alarm-2", 12)}  # any fraud attempt; consumption where none should be
    assert table.meanings["alarm-1", 13].kind is EventKind.FRAUD_ATTEMPT


def test_a_number_says_where_it_was_found_or_is_unverified() -> None:
    catalogue = packaged_catalogue()
    dsmr = catalogue.table_of("dsmr5", "alarm-1", 24)
    assert dsmr is not None
    assert (dsmr.name, "GXF" in dsmr.source("alarm-1", 24)) == ("dsmr.toml", True)
    idis = catalogue.table_of("castellan_c3", "fraud", 42)
    assert idis is not None
    assert "GXF" in idis.source("fraud", 42)  # no log of its own: found by its number
    assert idis.source("communication", 156) == ""
    assert catalogue.table_of("is15959", "standard", 140) is None  # a complete table is the last that is asked


@pytest.mark.parametrize("code", range(230, 254))
def test_where_makers_differ_the_standard_is_silent(code: int) -> None:
    assert packaged_catalogue().meaning("castellan_c3", "standard", code) is None


def test_every_number_of_the_indian_table_has_a_source() -> None:
    (table,) = [one for one in packaged_catalogue().makers if one.name == "is15959.toml"]
    assert set(table.sources) == set(table.meanings)


def test_every_class_has_codes_in_the_standard_table() -> None:
    (table,) = packaged_catalogue().standard
    assert {meaning.event_class for meaning in table.meanings.values()} == set(EventClass)


def test_a_maker_adds_to_the_standard_or_has_numbers_of_its_own() -> None:
    catalogue = packaged_catalogue()
    assert catalogue.meaning("tarn_t4", "standard", 1001).text == "battery of the radio taken out"  # type: ignore[union-attr]
    assert catalogue.meaning("norrvik_n1", "standard", 1001) is None
    assert catalogue.meaning("tarn_t4", "standard", 1).kind is EventKind.POWER_DOWN  # type: ignore[union-attr]
    assert catalogue.meaning("is15959", "standard", 1).text == "voltage missing on R"  # type: ignore[union-attr]
    assert catalogue.meaning("is15959", "standard", 254) is None


def test_an_operators_table_goes_before_all_and_its_log_before_its_general_part() -> None:
    catalogue = packaged_catalogue().with_own([parse_table(OWN, "own.toml")])
    assert catalogue.meaning("norrvik_n1", "standard", 44).text == "the fitter was here"  # type: ignore[union-attr]
    assert catalogue.meaning("norrvik_n1", "fraud", 44).text == "seal broken"  # type: ignore[union-attr]
    assert catalogue.meaning("castellan_c3", "fraud", 44).text == "meter cover opened"  # type: ignore[union-attr]


def test_what_a_device_profile_tells_goes_before_the_standard_but_not_before_a_maker() -> None:
    catalogue = packaged_catalogue().with_own([parse_table(OWN, "own.toml")])
    told = EventKind.WATCHDOG
    assert catalogue.meaning("castellan_c3", "standard", 44, told).text == "restarted by its watchdog"  # type: ignore[union-attr]
    assert catalogue.meaning("norrvik_n1", "standard", 44, told).text == "the fitter was here"  # type: ignore[union-attr]
    assert catalogue.meaning("is15959", "standard", 254, told) is None


def test_objects_name_their_log_or_alarm_register() -> None:
    assert log_of(Obis.parse("0.0.96.11.1.255")) == "fraud"
    assert log_of(Obis.parse("0.0.96.11.9.255")) == "log-9"
    assert [alarm_register(Obis.parse(f"0.0.97.98.{e}.255")) for e in (0, 1, 20, 21, 10)] == [
        "alarm-1", "alarm-2", "alarm-1", "alarm-2", None,
    ]  # fmt: skip
    assert alarm_register(Obis.parse("0.0.96.11.0.255")) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("profiles = [", "t.toml is no TOML"),
        ("[events]\n1 = {}", "t.toml: profiles must be a list of texts"),
        ('profiles = ["*"]', "there is no code in it"),
        ('profiles = ["*"]\nprofile = 1\n', "t.toml: profile is not a member that is known"),
        ('profiles = ["*"]\ncomplete = 1\n', "complete must be true or false"),
        ('profiles = ["*"]\nevents = 3', "t.toml: events must be keys with their values"),
        ('profiles = ["*"]\n[events]\n"²" = {}', "is no code: that is a whole number"),
        ('profiles = ["*"]\n[events]\n4294967296 = {}', "is no code: that is a whole number"),
        ('profiles = ["*"]\n[events]\n7 = "x"', "t.toml: events.7 must be keys with their values"),
        (
            'profiles = ["*"]\n[events]\n7 = { class = "power", severity = "info" }',
            "events.7: text must be a text",
        ),
        (
            'profiles = ["*"]\n[logs.fraud]\n7 = { class = "strength", severity = "info", text = "x" }',
            "logs.fraud.7: class must be one of power, voltage",
        ),
        (
            'profiles = ["*"]\n[events]\n7 = { class = "power", severity = [], text = "x" }',
            "severity must be one of info, warning, alarm",
        ),
        ('profiles = ["*"]\n[sources]\na = 3\n', "sources: a must be a text"),
        (
            'profiles = ["*"]\n[events]\n7 = { class = "power", severity = "info", text = "x", source = "a" }',
            "source must be one that stands under [sources], not 'a'",
        ),
        (
            'profiles = ["*"]\n[events]\n7 = { class = "power", severity = "info", text = "x", kind = "" }',
            "kind must be one of power-down",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_file_key_and_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_table(text, "t.toml")
    assert reason in caught.value.what
