import hashlib
from collections.abc import Callable

import pytest

from amity.api.app import create_app
from amity.messaging.codec import ProtobufCodec
from amity.usecases.login import offer_link, open_api_access
from amity.usecases.services import Services
from tests.unit.api.caller import Caller
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import NOW, fill


def counting_octets() -> Callable[[int], bytes]:
    """Chance that is different each time and the same in each run."""
    state = iter(range(1 << 30))
    return lambda count: hashlib.shake_256(str(next(state)).encode()).digest(count)


@pytest.fixture(scope="session")
def filled_database() -> MemoryDatabase:
    database = MemoryDatabase()
    fill(database, ProtobufCodec())
    return database


@pytest.fixture
def services(filled_database: MemoryDatabase) -> Services:
    return Services(filled_database, MemoryLogins(), ProtobufCodec(), FixedClock(NOW), counting_octets())


@pytest.fixture
def nobody(services: Services) -> Caller:
    """A client without any identity."""
    return Caller(create_app(services))


@pytest.fixture
def client(nobody: Caller, services: Services) -> Caller:
    """A client with an API token."""
    nobody.headers["authorization"] = f"Bearer {open_api_access(services, offer_link(services, 'anna').secret).secret}"
    return nobody
