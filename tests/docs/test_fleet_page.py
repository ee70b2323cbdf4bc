"""The page about the fleet document: its examples are fleets, and it names every member of a route."""

import json
import re
from pathlib import Path

from amity.devices.profiles import Catalogue
from amity.headend import route_document
from amity.headend.provisioning import read_fleet_document

PAGE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(encoding="utf-8")


def test_every_example_is_a_fleet() -> None:
    examples = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    fleets = [read_fleet_document(json.loads(example), Catalogue().profile).endpoints for example in examples]
    managed = [[endpoint.management is not None for endpoint in fleet] for fleet in fleets]
    assert managed == [[False], [False] * 3, [True]]


def test_every_member_of_a_route_stands_on_the_page() -> None:
    named = re.findall(r"^(\w[\w, ]*?)(?:  |$)", (route_document.__doc__ or "").partition("\n\n")[2], re.MULTILINE)
    members = {member for line in named for member in line.split(", ")}
    assert {"framing", "gateway", "line_address"} <= members
    assert [member for member in members if f"`{member}`" not in PAGE] == []
