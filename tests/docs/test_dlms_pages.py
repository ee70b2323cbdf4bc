"""The pages about the DLMS library: their examples run, the tests they name exist, the index of quirks is whole."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from amity.devices.profiles import Quirk
from amity.devices.settings import Authentication
from amity.simulation.awkward import AWKWARD
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from tests.unit.cli.in_a_thread import serving

TESTS = Path(__file__).resolve().parents[1]
FOLDER = TESTS.parent / "docs" / "dlms"
PAGES = sorted(FOLDER.rglob("*.md"))
GUIDES = ("drive_it_yourself", "async_client", "simulated_meter", "profiles")
NAMED = re.compile(r"`(?:tests/)?([\w/]+\.py)::(\w+)`")
MUST = {
    "transport", "authentication", "suites", "ciphered services", "services", "data", "interface classes", "both sides",
}  # fmt: skip


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A simulated meter that lets the public client read, in a thread of its own."""
    fleet = build_fleet(FleetSettings(1, 3, datetime.now(UTC), auth=Authentication.NONE))
    with serving(lambda: serve_fleet(fleet, clock=Clock())) as (papers,):
        yield papers["port"]


@pytest.mark.parametrize("page", GUIDES)
def test_every_example_runs(page: str, port: int, capsys: pytest.CaptureFixture[str]):
    text = (FOLDER / f"{page}.md").read_text("utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert examples
    names = {"HOST": "127.0.0.1", "PORT": port, "__name__": page}
    for example in examples:
        exec(compile(example, page, "exec"), names)  # noqa: S102 - our own page
    capsys.readouterr()


@cache
def defined_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(FOLDER)))
def test_every_test_that_is_named_exists(page: Path):
    missing = [
        f"{file}::{name}"
        for file, name in NAMED.findall(page.read_text("utf-8"))
        if not (TESTS / file).is_file() or name not in defined_in(file)
    ]
    assert missing == []


def test_every_must_cell_of_the_scope_names_a_test():
    rows = [line.split("|")[1:-1] for line in (FOLDER / "scope.md").read_text("utf-8").splitlines() if "|" in line]
    scope = [[cell.strip() for cell in row] for row in rows if len(row) == 4]
    must = [row for row in scope if row[1] == "must"]
    assert {row[0] for row in must} == MUST
    assert [row for row in must if not NAMED.search(row[3])] == []
    assert [row for row in scope[2:] if row[1] not in {"must", "should", "later"}] == []


def test_every_link_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([\w/.]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_awkward_meter_is_known_to_the_command_that_serves_it():
    text = (FOLDER / "doctor.md").read_text("utf-8")
    assert all(name in AWKWARD for name in re.findall(r"--awkward ([\w-]+)", text))


# ------------------------------------------------------------------ quirks
def index() -> str:
    """The index of the quirks as it must be, made from the first lines of their pages."""
    lines = ["# Quirks of real meters", "One page each, made into this list by `tests/docs/test_dlms_pages.py`.", ""]
    for quirk in sorted(quirk.value for quirk in Quirk):
        title, *rest = (FOLDER / "quirks" / f"{quirk}.md").read_text("utf-8").splitlines()
        seen = next(line for line in rest if line.startswith("**Seen**: "))
        lines.append(f"- [{title.removeprefix('# ')}]({quirk}.md): {seen.removeprefix('**Seen**: ')}")
    return "\n".join(lines) + "\n"


def test_the_index_of_quirks_is_whole():
    assert (FOLDER / "quirks" / "README.md").read_text("utf-8") == index(), index()


@pytest.mark.parametrize("quirk", list(Quirk), ids=str)
def test_a_quirk_says_who_how_and_what_amity_does(quirk: Quirk):
    text = (FOLDER / "quirks" / f"{quirk.value}.md").read_text("utf-8")
    assert [head for head in ("**Seen**", "**On the wire**", "**Amity**", "**Tests**") if head not in text] == []
    assert NAMED.search(text)
