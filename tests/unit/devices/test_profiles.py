import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from amity.devices.profiles import (
    CLOCK_COLUMN,
    ClockEncoding,
    Deviation,
    DeviceProfile,
    Form,
    RangeDeviation,
    Selector,
    Stamp,
    fictional_keys,
    load_profile,
    packaged_profile,
)
from amity.devices.profiles.catalogue import packaged_text
from amity.devices.settings import Authentication, Ciphering
from amity.kernel.errors import ConfigurationError

PACKAGED = [packaged_profile(key) for key in fictional_keys()]


AUTHENTICATIONS = {Authentication.NONE, Authentication.LLS, Authentication.HLS_GMAC}


def child_of_base(text: str) -> Callable[[str], str]:
    """A file `mine` that inherits from the packaged base."""
    return lambda key: f'inherit = "base"\n{text}' if key == "mine" else packaged_text(key)


def refused(text: str, key: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_profile("mine", child_of_base(text))
    assert caught.value.what.startswith(f"mine.toml: {key}: ")
    return caught.value.what


def test_the_models_differ_in_everything_that_meters_differ_in():
    assert len(PACKAGED) >= 4
    for difference in (
        {model.association.authentication for model in PACKAGED} == AUTHENTICATIONS,
        {model.association.ciphering for model in PACKAGED} == {Ciphering.NONE, Ciphering.GLO, Ciphering.GENERAL_GLO},
        {model.association.with_list for model in PACKAGED} == {True, False},
        {model.association.answers_release for model in PACKAGED} == {True, False},
        len({model.association.max_pdu_octets for model in PACKAGED}) > 1,
        {model.clock.encoding for model in PACKAGED} == set(ClockEncoding),
        {model.clock.deviation for model in PACKAGED} == set(Deviation),
        {model.load_profile.stamp for model in PACKAGED} == set(Stamp),
        {model.load_profile.null_timestamps for model in PACKAGED} == {True, False},
        len({model.load_profile.obis for model in PACKAGED}) > 1,
        {"status" in model.load_profile.columns for model in PACKAGED} == {True, False},
        {model.load_profile.columns.index(CLOCK_COLUMN) for model in PACKAGED} == {0, 1},
        any(Selector.RANGE not in model.load_profile.access for model in PACKAGED),
        any(0x80 <= measured.obis[2] <= 0xC7 for model in PACKAGED for measured in model.objects),
        {0, 1, 3, -1} <= {measured.scaler for model in PACKAGED for measured in model.objects},
        {
            measured.form for model in PACKAGED for measured in model.objects
            if measured.name in model.load_profile.columns and measured.name != "status"
        } == {Form.TOTAL, Form.INTERVAL},
    ):  # fmt: skip
        assert difference


@pytest.mark.parametrize("profile", PACKAGED, ids=lambda profile: profile.key)
def test_a_packaged_profile_hangs_together(profile: DeviceProfile):
    assert re.fullmatch("[A-Z]{3}", profile.flag)
    assert profile.load_profile.capture_period_s == 900
    for column in profile.load_profile.columns:
        assert column == CLOCK_COLUMN or profile.object_named(column).name == column
    for code, kind in profile.event_log.codes:
        assert profile.event_log.code_of(kind) == code
        assert profile.event_log.kind_of(code) == kind
    assert profile.event_log.kind_of(60_000) == "other"
    assert profile.event_log.code_of("eclipse") is None


def test_flags_and_names_are_given_once():
    assert len({model.flag for model in PACKAGED}) == len({model.manufacturer for model in PACKAGED}) == len(PACKAGED)


def test_inheritance_merges_key_by_key():
    mine = load_profile("mine", child_of_base('model = "M"\n[load_profile]\nstamp = "start"\n'))
    base = load_profile("base", packaged_text)
    assert (mine.key, mine.model, mine.load_profile.stamp) == ("mine", "M", Stamp.START)
    assert mine.load_profile.columns == base.load_profile.columns
    assert mine.objects == base.objects


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("colour = 1", "colour"),
        ("[association]\nretries = 3", "association.retries"),
        ("[objects.power]\nphase = 1", "objects.power.phase"),
        ("flag = 'abc'", "flag"),
        ("[association]\nauthentication = 'hls'", "association.authentication"),
        ("[association]\nprotection = 'encrypted'", "association.protection"),
        ("[association]\nmax_pdu_octets = 10", "association.max_pdu_octets"),
        ("[association]\nmax_pdu_octets = true", "association.max_pdu_octets"),
        ("[association]\nwith_list = 1", "association.with_list"),
        ("[clock]\nstandard_offset_min = 9999", "clock.standard_offset_min"),
        ("[load_profile]\nobis = '1.2.3'", "load_profile.obis"),
        ("[load_profile]\nobis = 7", "load_profile.obis"),
        ("[load_profile]\naccess = ['range', 'range']", "load_profile.access"),
        ("[load_profile]\naccess = ['magic']", "load_profile.access"),
        ("[load_profile]\ncolumns = 'clock'", "load_profile.columns"),
        ("[load_profile]\ncolumns = ['import_total']", "load_profile.columns"),
        ("[load_profile]\ncolumns = ['clock', 'gas']", "load_profile.columns"),
        ("load_profile = 3", "load_profile"),
        ("[event_log.codes]\nfire = 'fire'", "event_log.codes.fire"),
        ("[event_log.codes]\n70000 = 'fire'", "event_log.codes.70000"),
        ("[objects.power]\nunit = 'kWh'", "objects.power.unit"),
        ("[objects.power]\ntype = 'float32'", "objects.power.type"),
        ("[objects.power]\nquantity = 'gas'", "objects.power.quantity"),
        ("[objects.gas]\nclass_id = 3", "objects.gas.obis"),
        ("model = 5", "model"),
    ],
)
def test_what_cannot_be_used_is_refused_with_file_key_and_reason(text: str, key: str):
    refused(text, key)


def test_what_is_missing_is_named():
    with pytest.raises(ConfigurationError, match=r"alone.toml: flag: is missing"):
        load_profile("alone", lambda _key: 'model = "M"')


def test_bad_toml_is_refused_with_its_line():
    with pytest.raises(ConfigurationError, match=r"mine.toml: .*line 3"):
        load_profile("mine", child_of_base("model = 'M'\nflag = \n"))


def test_toml_that_is_nested_too_deeply_is_refused():
    with pytest.raises(ConfigurationError, match=r"mine.toml:.* nested too deeply"):
        load_profile("mine", lambda _key: "a=" + "[" * 5000 + "]" * 5000)


@pytest.mark.parametrize("parent", ['inherit = "loop"', "inherit = 3"])
def test_inheritance_that_leads_nowhere_is_refused(parent: str):
    with pytest.raises(ConfigurationError, match=r"loop.toml: inherit"):
        load_profile("loop", lambda _key: parent)


def test_the_bounds_of_a_range_can_be_written_otherwise_than_the_stamps():
    clock = packaged_profile("bergholm_b20").clock
    assert clock.of_ranges is clock
    insisting = replace(clock, range_deviation=RangeDeviation.SPECIFIED)
    assert insisting.of_ranges.deviation is Deviation.SPECIFIED
    assert insisting.deviation is Deviation.UNSPECIFIED


@pytest.mark.parametrize("key", ["nobody", "../secrets", ""])
def test_an_unknown_profile_names_the_known_ones(key: str):
    with pytest.raises(ConfigurationError) as caught:
        packaged_profile(key)
    assert "castellan_c3" in caught.value.next_step
