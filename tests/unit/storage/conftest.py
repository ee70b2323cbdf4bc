from collections.abc import Iterator
from pathlib import Path

import pytest

from amity.domain.blocks import Channel
from amity.storage.it.database import ItDatabase
from tests.unit.storage.databases import DATABASES, IMPORT


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ItDatabase]:
    opened = DATABASES[request.param](tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def channel(database: ItDatabase) -> Channel:
    return database.blocks.channel("M1", IMPORT)
