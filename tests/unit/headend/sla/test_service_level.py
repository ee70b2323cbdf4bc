import pytest

from amity.headend.sla.definition import parse_service_level, preset, preset_names
from amity.kernel.errors import ConfigurationError

HEAD = 'title = "t"\nzone = "Europe/London"\n[[measure]]\nname = "m"\n'


def test_the_presets_say_what_was_promised() -> None:
    assert preset_names() == ("india-rdss", "ontario", "uk-dcc")
    targets = {name: [(m.name, m.target) for m in preset(name).measures if m.target] for name in preset_names()}
    assert targets == {
        "ontario": [("complete by 24:00", 0.98)],
        "uk-dcc": [
            ("on demand within 25 s", 0.99),
            ("commands within 2 h", 0.99),
            ("scheduled within 22 h", 0.99),
        ],
        "india-rdss": [("complete within 8 h", 0.95)],
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("title = ", "is no TOML"),
        ('title = "t"\nzone = "Europe/London"', "there is no [[measure]]"),
        ('title = "t"\nzone = "Europe/London"\nmeasure = []', "there is no [[measure]]"),
        ('title = "t"\nzone = "Europe/London"\nmeasure = [3]', "measure 1 must be keys with their values"),
        ('title = "t"\nzone = "Mars/Olympus"\n', "there is no time zone"),
        ('title = "t"\nzone = "../etc/passwd"\n', "there is no time zone"),
        (HEAD + 'kind = "hope"', "measure 1: kind must be one of completeness, latency, success"),
        (HEAD + 'kind = "completeness"', "by or within_h must be there, and not both"),
        (HEAD + 'kind = "completeness"\nby = "6:00"', "must be a time like 06:00"),
        (HEAD + 'kind = "completeness"\nby = "24:01"', "from 00:00 to 24:00"),
        (HEAD + 'kind = "completeness"\nby = "06:60"', "from 00:00 to 24:00"),
        (HEAD + 'kind = "completeness"\nwithin_h = true', "must be a number"),
        (HEAD + 'kind = "latency"\nwithin_s = 0', "must be a number"),
        (HEAD + 'kind = "latency"\nwithin_s = 1\njobs = ["dance"]', "jobs must be a list of"),
        (HEAD + 'kind = "success"\npriorities = ["now"]', "priorities must be a list of"),
        (HEAD + 'kind = "success"\ntarget = 98', "must be a number from 0 to 1"),
        (HEAD + 'kind = "success"\nwithin_s = 3', "within_s is not a member that is known"),
    ],
)
def test_what_cannot_be_used_is_refused_with_key_and_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_service_level(text, "own.toml")
    assert reason in caught.value.what
    assert "own.toml" in caught.value.what


def test_a_preset_that_is_none_names_those_that_are() -> None:
    with pytest.raises(ConfigurationError) as caught:
        preset("../ontario")
    assert "india-rdss, ontario, uk-dcc" in (caught.value.next_step or "")
