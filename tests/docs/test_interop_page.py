"""The page about foreign programs names tests and peers that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "interop.md").read_text("utf-8")


def test_every_test_that_it_names_exists():
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) >= 10
    assert {name for name in named if f"def {name}(" not in sources} == set()


def test_every_file_that_it_names_exists():
    named = set(re.findall(r"`(?:tests/interop/)?((?:gurux|test)_\w+\.py)`", TEXT))
    here = ROOT / "tests" / "interop"
    assert {name for name in named if not (here / name).exists() and not (here / "peers" / name).exists()} == set()


def test_the_versions_of_the_peers_are_those_that_are_pinned():
    for peer in ("gurux", "dlms-cosem", "amshan"):
        name, version = (ROOT / "requirements" / f"interop-{peer}.in").read_text("utf-8").splitlines()[0].split("==")
        assert f"| {name} | {version}" in TEXT
