"""The pages about the DLMS library: their examples run, the tests they name exist, the index of quirks is whole."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from amity.cli.main import app
from amity.devices.profiles import Framing, Quirk
from amity.devices.settings import Authentication
from amity.simulation.awkward import AWKWARD, serve_awkward
from amity.simulation.carriers import Carried
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from tests.unit.cli.in_a_thread import serving

TESTS = Path(__file__).resolve().parents[1]
FOLDER = TESTS.parent / "docs" / "dlms"
PAGES = sorted(FOLDER.rglob("*.md"))
GUIDES = ("drive_it_yourself", "async_client", "typed_helpers", "simulated_meter", "profiles", "security")
_OPEN, _KEYED = Authentication.NONE, Authentication.HLS_GMAC
NAMED = re.compile(r"`(?:tests/)?([\w/]+\.py)::(\w+)`")
MUST = {
    "transport", "authentication", "suites", "ciphered services", "services", "data", "interface classes", "both sides",
}  # fmt: skip


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    """What the examples are given: a meter open to the public client, one with keys, one in HDLC, one on a line."""
    clock = Clock()
    fleets = {auth: build_fleet(FleetSettings(1, 3, clock.now(), auth=auth)) for auth in (_OPEN, _KEYED)}
    with (
        serving(lambda: serve_fleet(fleets[_OPEN], clock=clock)) as (public,),
        serving(lambda: serve_fleet(fleets[_KEYED], clock=clock)) as (keyed,),
        serving(lambda: serve_fleet(fleets[_OPEN], clock=clock, carried=Carried(Framing.HDLC))) as (hdlc,),
        serving(lambda: serve_awkward("serial-sign-on", clock=clock)) as (line,),
    ):
        yield {
            "HOST": public["host"], "PORT": public["port"], "PAPERS": keyed, "HDLC_PORT": hdlc["port"],
            "DEVICE": line["device"],
        }  # fmt: skip


@pytest.mark.parametrize("page", GUIDES)
def test_every_example_runs(page: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    text = (FOLDER / f"{page}.md").read_text("utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert examples
    scope = {**names, "__name__": page}
    for example in examples:
        exec(compile(example, page, "exec"), scope)  # noqa: S102 - our own page
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


def shell_lines() -> list[tuple[str, list[str]]]:
    """Every `amity` command of the pages: those in blocks, and those in running text."""
    blocks = [
        (page.name, line.removeprefix("$ "))
        for page in PAGES
        for block in re.findall(r"^```\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    spans = [(page.name, span) for page in PAGES for span in re.findall(r"`(amity [^`]+)`", page.read_text("utf-8"))]
    return [(name, text.partition("#")[0].split()) for name, text in (*blocks, *spans) if text.startswith("amity ")]


def missing_of(words: list[str]) -> list[str]:
    """What the command line does not know of one command."""
    command: Any = get_command(app)
    rest = words[1:]
    while rest and hasattr(command, "commands"):
        name, *rest = rest
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in rest if word.startswith("--") and word not in known]


def test_every_command_that_is_shown_exists_with_its_options():
    lines = shell_lines()
    assert len(lines) > 10
    assert [(name, missing_of(words)) for name, words in lines if missing_of(words)] == []


def same_whoever(text: str) -> str:
    """Without what differs from run to run: ports and how many messages were counted."""
    text = re.sub(r"127\.0\.0\.1:\d+", "HOST:PORT", text)
    return re.sub(r"(--counter|at|from) 30000000\d\d", r"\1 30000000NN", text)


def test_the_doctor_says_what_its_page_shows():
    text = (FOLDER / "doctor.md").read_text("utf-8")
    (block,) = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    shown = [line for line in block.splitlines() if line != "…" and not line.startswith("$")]
    with serving(lambda: serve_awkward("counter-ahead", clock=Clock())) as (papers,):
        keys = ["--key", papers["guek"], "--auth-key", papers["gak"]]
        result = CliRunner().invoke(app, ["meter", "probe", papers["meter"], *keys, "--pause", "0"])
    told = same_whoever(result.stdout).splitlines()
    assert [line for line in shown if same_whoever(line) not in told] == []


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
