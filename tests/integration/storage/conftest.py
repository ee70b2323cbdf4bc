from collections.abc import Iterator
from pathlib import Path

import pytest

from amity.storage.it.database import ItDatabase
from tests.unit.storage.databases import DATABASES


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ItDatabase]:
    opened = DATABASES[request.param](tmp_path)
    yield opened
    opened.close()
