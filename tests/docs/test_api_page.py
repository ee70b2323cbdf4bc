import re
from pathlib import Path

import pytest

from amity.api.app import create_app
from amity.api.problems import STATUS_OF
from amity.messaging.codec import ProtobufCodec
from amity.usecases.login import offer_link, open_api_access
from amity.usecases.services import Services
from tests.unit.api.caller import Caller
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import NOW, fill, meter_name

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
EXAMPLES = re.findall(r"^GET (\S+)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def client() -> Caller:
    database = MemoryDatabase()
    fill(database, ProtobufCodec(), meters=60)
    services = Services(database, MemoryLogins(), ProtobufCodec(), FixedClock(NOW), bytes)
    caller = Caller(create_app(services))
    token = open_api_access(services, offer_link(services, "reader").secret)
    caller.headers["authorization"] = f"Bearer {token.secret}"
    return caller


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_on_the_page_answers(client: Caller, example: str):
    assert client.get(example.replace("$METER", meter_name(12))).status_code == 200


def test_every_endpoint_and_every_parameter_stands_on_the_page(client: Caller):
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    missing = [path for path in paths if path not in PAGE]
    missing += [
        f"{path}: {parameter['name']}"
        for path, methods in paths.items()
        for method in methods.values()
        for parameter in method.get("parameters", [])
        if parameter["in"] == "query" and f"`{parameter['name']}`" not in PAGE
    ]
    assert missing == []


def test_every_status_that_an_error_can_have_stands_on_the_page():
    shown = set(
        map(int, re.findall(r"\b[45]\d\d\b", "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))))
    )
    assert set(STATUS_OF.values()) - shown == {500}  # 500 is our own mistake and promises nothing
