"""The profiles of real meters, and how somebody adds their own by files alone."""

import re
from importlib import resources
from pathlib import Path

import pytest

from amity.devices import profiles
from amity.devices.profiles import (
    Basis,
    Catalogue,
    Quirk,
    Stamp,
    fictional_keys,
    field_keys,
    mistakes_of,
    packaged_profile,
)
from amity.devices.profiles.check import line_of
from amity.kernel.errors import ConfigurationError
from tests.unit.devices.invented import INVENTED

FIELD = [packaged_profile(key) for key in field_keys()]
QUIRKS = Path(__file__).resolve().parents[3] / "docs" / "dlms" / "quirks"
FAMILIES = {
    "Landis+Gyr", "Kamstrup", "Kaifa", "Iskraemeco", "Sagemcom", "Itron", "Elster / Honeywell", "EDMI", "ZIV", "Aidon",
}  # fmt: skip
COMPANIONS = {"generic", "idis_package2", "idis_package3", "dsmr5", "is15959", "netz_noe", "nordic_han"}


def test_families_and_companion_specifications_are_there():
    assert {profile.manufacturer for profile in FIELD} >= FAMILIES
    assert {profile.key for profile in FIELD} >= COMPANIONS


def test_real_and_invented_models_are_kept_apart():
    assert not set(field_keys()) & set(fictional_keys())
    assert {packaged_profile(key).basis for key in fictional_keys()} == {Basis.INVENTED}
    assert {profile.basis for profile in FIELD} <= {Basis.STANDARD, Basis.PUBLIC}


@pytest.mark.parametrize("key", field_keys())
def test_a_field_profile_says_that_nobody_has_tried_it(key: str):
    """The day one is read from a real meter, its basis becomes `measured` and this test learns to tell them apart."""
    text = (resources.files(profiles) / "field" / f"{key}.toml").read_text("utf-8")
    head = text[: text.index("inherit")]
    assert "Unverified: not tried on a real meter." in head
    assert mistakes_of(key, Catalogue()) == []


def test_every_quirk_has_a_page():
    assert {page.stem for page in QUIRKS.glob("*.md")} - {"README"} == {quirk.value for quirk in Quirk}


def test_an_invented_maker_is_added_by_a_file_alone():
    catalogue = Catalogue({"quetzal": INVENTED})
    mine = catalogue.profile("quetzal")
    assert "quetzal" in catalogue.names()
    assert (mine.manufacturer, mine.flag, mine.association.client) == ("Quetzal Contadores", "QZL", 3)
    assert (str(mine.load_profile.obis), mine.load_profile.stamp) == ("1.0.99.2.0.255", Stamp.START)
    assert mine.association.ciphering == packaged_profile("idis_package2").association.ciphering
    assert mine.recognised_by.names == ("QZL",)


def test_own_files_inherit_from_each_other_and_replace_ours():
    catalogue = Catalogue({
        "family": INVENTED, "child": 'inherit = "family"\nmodel = "QZ-2"', "kaifa": INVENTED.replace("QZL", "KFM")
    })  # fmt: skip
    assert catalogue.profile("child").flag == "QZL"
    assert catalogue.profile("kaifa").manufacturer == "Quetzal Contadores"
    assert Catalogue().profile("kaifa").manufacturer == "Kaifa"


def test_a_name_nobody_has_names_the_own_ones_too():
    with pytest.raises(ConfigurationError) as caught:
        Catalogue({"quetzal": INVENTED}).profile("nobody")
    assert "quetzal" in str(caught.value.next_step)


# ------------------------------------------------------------------ checking
def found(text: str, **others: str) -> list[str]:
    return [str(mistake) for mistake in mistakes_of("mine", Catalogue({"mine": text, **others}))]


def test_every_mistake_is_named_with_its_line():
    text = """inherit = "idis_package2"
flag = "abc"

[association]
client = 0
authentification = "lls"   # no such key

[load_profile]
columns = [
  "clock",
  "gas",
]
obis = "1.2"
"""
    lines = found(text)
    assert [line.split(": ")[0] for line in lines] == [f"mine.toml:{n}" for n in (2, 5, 6, 9, 13)]
    assert "did you mean authentication?" in lines[2]
    assert "'gas'" in lines[3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('flag = "QZL"\nmodel = ', "mine.toml:2: Invalid value"),
        ("[a\n", r"mine.toml:1: "),
        ('\n\ninherit = "nobody"', r"mine.toml:3: inherit: there is no device profile named 'nobody'"),
        ('inherit = "mine"', r"mine.toml:1: inherit: "),
        ("inherit = 3", r"mine.toml:1: inherit: "),
        ('inherit = "other"', r"other.toml:1: Invalid"),
        ('inherit = "wrong"', r"wrong.toml:2: association.client: "),
        ('flag = "QZL"', r"mine.toml: manufacturer: is missing"),
        ("load_profile = 3", r"mine.toml: "),
        ('inherit = "base"\nassociation.client = 0', r"mine.toml:2: association.client"),
        ('inherit = "base"\nassociation = {client = 0}', r"mine.toml:2: association.client"),
        ('inherit = "base"\nquirks = ["flies"]', r"mine.toml:2: quirks: must be one of"),
        ('inherit = "base"\n[link]\naddress_octets = 3', r"mine.toml:3: link.address_octets"),
        ('inherit = "base"\n[recognised_by]\nobjects = ["1.2"]', r"mine.toml:3: recognised_by.objects"),
    ],
)
def test_whatever_is_wrong_is_found_where_it_stands(text: str, expected: str):
    lines = found(text, other="==", wrong='inherit = "base"\nassociation.client = 0')
    assert lines
    assert re.match(expected, lines[0])


def test_a_parent_that_is_not_there_hides_no_other_mistake():
    lines = found(
        'inherit = "nobody"\nflag = "qz"\n[association]\nsuite = 7\n[load_profile]\ncolumns = ["clock", "gas"]'
    )
    assert [line.split(": ")[:2] for line in lines] == [
        ["mine.toml:1", "inherit"], ["mine.toml:2", "flag"], ["mine.toml:4", "association.suite"],
    ]  # fmt: skip


def test_profiles_that_inherit_from_each_other_are_refused_by_line():
    assert found('inherit = "other"\nbasis = "guess"', other='inherit = "mine"')[0].startswith("mine.toml:1: inherit: ")


def test_one_mistake_does_not_cause_another():
    assert len(found('inherit = "idis_package2"\n[association]\nciphering = "glu"')) == 1


def test_a_sound_profile_has_no_mistakes():
    assert found(INVENTED) == []


def test_the_line_of_a_key_is_found_however_it_is_written():
    text = '# c\n[a]\nb = [\n 1,\n]\n"c.d" = 1\n[a.e]\nf = """\n[a.g]\n"""\nh = 1\n'
    assert [line_of(text, path) for path in ("a", "a.b", "a.e.f", "a.e.h", "a.g", "x")] == [2, 3, 8, 11, None, None]
