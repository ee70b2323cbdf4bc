"""A fresh OT database in a file of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from amity.storage.ot.database import OtDatabase, open_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[OtDatabase]:
    opened = open_database(tmp_path / "ot.sqlite")
    yield opened
    opened.close()
