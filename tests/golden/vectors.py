"""Published frames and telegrams from `../shared/vectors/dlms`, read where they lie, never copied into the project."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "dlms"
needs_vectors = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared vectors are not beside this checkout")


@cache
def entries(name: str) -> tuple[dict[str, Any], ...]:
    path = FOLDER / f"{name}.json"
    return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else ()


def entry(file: str, name: str) -> dict[str, Any]:
    return next(one for one in entries(file) if one["name"] == name)


def each(*files: str, where: Callable[[dict[str, Any]], bool] = lambda _: True) -> pytest.MarkDecorator:
    """One test per entry of these files that the test is about; a single skipped one where the folder is missing."""
    found = [one for file in files for one in entries(file) if where(one)]
    return pytest.mark.parametrize("vector", found, ids=[one["name"] for one in found])
