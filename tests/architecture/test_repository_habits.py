"""Habits that a reviewer would otherwise have to repeat."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607 - git is a prerequisite
    if listing.returncode or not listing.stdout:
        pytest.skip("not a git checkout: the habits are checked where the files are tracked")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="ignore")


def test_modules_stay_readable_at_700_lines() -> None:
    long = [p for p in tracked() if p.suffix == ".py" and "_pb2" not in p.name and len(text_of(p).splitlines()) > 700]
    assert not long, f"split these by what they do: {long}"


def test_no_address_of_a_registry_in_what_installs() -> None:
    files = [
        p for p in tracked() if p.parent.name in {"requirements", ".ci"} or p.name in {"Makefile", "pyproject.toml"}
    ]
    assert files
    found = [p.name for p in files if re.search(r"https?://|index-url|find-links", text_of(p))]
    assert not found, f"dependency files hold names, versions and hashes only: {found}"


def test_every_pinned_dependency_carries_a_hash() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        pins = re.findall(r"^\S+==[^\n]*\\\n\s+--hash=", text_of(lock), flags=re.MULTILINE)
        names = re.findall(r"^\S+==", text_of(lock), flags=re.MULTILINE)
        assert names, lock
        assert len(pins) == len(names), f"a line without a hash in {lock.name}"


def test_tests_run_with_the_versions_that_ship() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", text_of(ROOT / "requirements" / name), flags=re.MULTILINE))

    assert pins("runtime.txt") <= pins("dev.txt")


def test_no_drawer_called_utils_and_nothing_left_open() -> None:
    ours = [p for p in tracked() if p.suffix == ".py" and "src" in p.parts]
    assert not [p for p in ours if p.stem in {"utils", "helpers", "common", "misc"}]
    # the words are joined here so that this file does not find itself
    open_ends = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"]) + r")\b")
    assert not [p for p in ours if open_ends.search(text_of(p))]


def test_no_path_of_the_authors_machine() -> None:
    machine = re.compile(r"(?<![\w.])/(?:work/(?:main|shared)|home/\w+|root)/")
    found = [
        p for p in tracked() if p.suffix in {".py", ".md", ".toml", ".txt", ".json"} and machine.search(text_of(p))
    ]
    assert not [p for p in found if p != Path(__file__)]
