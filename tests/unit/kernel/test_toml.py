"""Whatever somebody writes into a TOML file is tables, or one error."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.kernel.toml import DEPTH_MAX, TomlError, parse_toml

TOO_DEEP = {
    "lists": "a=" + "[" * 5000 + "]" * 5000,
    "lists that never end": "a=" + "[" * 5000,
    "tables": "a=" + "{b=" * 5000 + "1" + "}" * 5000,
    "dotted keys": ".".join("a" * 5000) + "=1",
    "a header": "[" + ".".join("a" * 5000) + "]",
    "one more than may be": "a=" + "[" * DEPTH_MAX + "]" * DEPTH_MAX,
}


@pytest.mark.parametrize("text", TOO_DEEP.values(), ids=TOO_DEEP)
def test_what_is_nested_too_deeply_is_no_toml(text: str) -> None:
    with pytest.raises(TomlError, match="nested too deeply") as refused:
        parse_toml(text)
    assert refused.value.line == 0


def test_what_is_deep_and_not_too_deep_is_read() -> None:
    assert parse_toml("a=" + "[" * (DEPTH_MAX - 1) + "]" * (DEPTH_MAX - 1))


def test_a_number_that_is_too_long_is_no_toml() -> None:
    with pytest.raises(TomlError):
        parse_toml("a = " + "9" * 10_000)


def test_what_is_wrong_in_one_place_names_it() -> None:
    with pytest.raises(TomlError) as refused:
        parse_toml("a = 1\nb = = 2\n")
    assert (refused.value.reason, refused.value.line, refused.value.column) == ("Invalid value", 2, 5)


@given(st.text("ab.=[]{}\"'\n1-:,#_ ", max_size=60))
def test_any_text_is_tables_or_refused(text: str) -> None:
    with suppress(TomlError):
        assert isinstance(parse_toml(text), dict)
