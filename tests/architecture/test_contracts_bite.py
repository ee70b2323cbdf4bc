"""The import contracts are worth something only if they bite: each planted violation must be found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# file that gets the line, the line, the contract that must break
VIOLATIONS = [
    ("kernel/units.py", "import amity.domain.readings", "Imports point down"),
    ("api/__init__.py", "import amity.web", "Imports point down"),
    ("protocols/dlms/data.py", "import amity.protocols.hdlc", "Each wire protocol stands alone"),
    ("protocols/gateway/prefix.py", "import amity.protocols.wrapper", "Each wire protocol stands alone"),
    ("protocols/iec62056_21/sign_on.py", "import amity.protocols.hdlc", "Each wire protocol stands alone"),
    ("protocols/dlms/data.py", "import asyncio", "do no I/O"),
    ("domain/readings.py", "import random", "do no I/O"),
    ("mdm/vee/__init__.py", "import time", "do no I/O"),
    ("mdm/vee/__init__.py", "import amity.devices", "knows no wire"),
    ("api/__init__.py", "import amity.storage", "through use cases only"),
    ("devices/__init__.py", "import amity.domain", "stands alone as a library"),
    ("cli/jobs.py", "import amity.storage.ot.database", "Commands reach data"),
    ("headend/__init__.py", "import sqlalchemy", "databases"),
    ("usecases/__init__.py", "import nats", "messaging"),
    ("security/__init__.py", "import fastapi", "the web"),
    ("collector/__init__.py", "import amity.headend", "Imports point down"),
    ("collector/urgency.py", "import amity.protocols.dlms.key_ring", "A collector holds no key"),
    ("devices/__init__.py", "import gurux_dlms", "Test peers are never imported"),
]


def lint(source: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    command = f"""
import sys
sys.path.insert(0, {str(source)!r})
from importlinter.cli import lint_imports
sys.exit(lint_imports(config_filename={str(ROOT / "pyproject.toml")!r}, cache_dir={str(cache)!r}))
"""
    return subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, cwd=source, check=False)  # noqa: S603 - our own interpreter and text


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("planted") / "src"
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for file, line, _ in VIOLATIONS:
        path = copy / "amity" / file
        path.write_text(path.read_text() + f"\n{line}\n")
    return copy


@pytest.fixture(scope="module")
def report(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    found = lint(planted, tmp_path_factory.mktemp("cache"))
    assert found.returncode == 1, found.stdout + found.stderr
    return found.stdout


@pytest.mark.parametrize(("file", "line", "contract"), VIOLATIONS)
def test_a_planted_import_breaks_its_contract(report: str, file: str, line: str, contract: str) -> None:
    importer = "amity." + file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    imported = line.removeprefix("import ")
    sections = [part for part in report.split("\n\n\n") if contract in part or f"{importer} -> {imported}" in part]
    broken = [row for row in report.splitlines() if contract in row and "BROKEN" in row]
    assert broken, f"{contract} was not reported as broken"
    assert any(f"{importer} -> {imported}" in part for part in sections), report


def test_the_tree_as_it_is_keeps_every_contract(tmp_path: Path) -> None:
    kept = lint(ROOT / "src", tmp_path)
    assert kept.returncode == 0, kept.stdout + kept.stderr


def test_a_new_top_level_package_must_be_given_a_layer(tmp_path: Path) -> None:
    copy = tmp_path / "src"
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (copy / "amity" / "helpers").mkdir()
    (copy / "amity" / "helpers" / "__init__.py").write_text('"""A drawer."""\n')
    assert lint(copy, tmp_path / "cache").returncode == 1
