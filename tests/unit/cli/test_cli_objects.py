"""`amity meter objects` against a simulated meter on a real socket."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from amity.cli.main import app
from amity.devices.settings import Authentication
from amity.runtime.system import SystemClock
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet


@pytest.fixture(scope="module")
def entry() -> Iterator[dict[str, Any]]:
    """A meter in a thread of its own, with its papers."""
    loop, ready, papers = asyncio.new_event_loop(), threading.Event(), {}
    stop = asyncio.Event()

    async def serve() -> None:
        fleet = build_fleet(FleetSettings(meters=1, seed=5, anchor=datetime.now(UTC), auth=Authentication.LLS))
        async with serve_fleet(fleet, clock=SystemClock(), host="127.0.0.1", port_base=0) as document:
            papers.update(document[0])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield papers
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def run(entry: dict[str, Any], *argv: str) -> Result:
    command = ["meter", "objects", f"{entry['host']}:{entry['port']}", *argv]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def as_role(entry: dict[str, Any], role: str) -> list[str]:
    found = next(one for one in entry["associations"] if one["role"] == role)
    keys = ["--key", found["guek"], "--auth-key", found["gak"]]
    return ["--client", str(found["client"]), "--auth", "hls-gmac", *keys]


def as_reader(entry: dict[str, Any]) -> list[str]:
    return ["--client", str(entry["client"]), "--auth", entry["auth"], "--password", entry["password"]]


def test_the_tree_names_media_classes_and_objects(entry: dict[str, Any]):
    result = run(entry, *as_reader(entry))
    assert result.exit_code == 0, result.output
    lines = [line.strip() for line in result.stdout.splitlines()]
    for line in ("General", "Electricity", "Register (class 3)", "Clock (class 8)"):
        assert line in lines
    assert any(line.startswith("1.0.1.8.0.255  Active energy import, total") for line in lines)


def test_each_role_is_shown_what_it_may_change(entry: dict[str, Any]):
    assert "shift_time()" not in run(entry, *as_reader(entry)).stdout
    management = run(entry, *as_role(entry, "management")).stdout
    assert "shift_time()" in management
    assert "remote_disconnect()" not in management
    control = run(entry, *as_role(entry, "control")).stdout
    assert "remote_disconnect()" in control
    assert "shift_time()" not in control


def test_rights_are_shown_attribute_by_attribute(entry: dict[str, Any]):
    shown = run(entry, *as_role(entry, "control"), "--rights").stdout
    assert "rw 4 control_mode" in shown
    assert "r- 3 control_state" in shown
    assert "x  2 remote_reconnect()" in shown


def test_as_json_everything_is_said(entry: dict[str, Any]):
    result = run(entry, *as_role(entry, "control"), "--json")
    listed = json.loads(result.stdout)
    relay = next(one for one in listed["objects"] if one["obis"] == "0.0.96.3.10.255")
    assert (relay["class"], relay["version"], relay["name"], relay["medium"]) == (
        "Disconnect control", 0, "Disconnect control", "General",
    )  # fmt: skip
    assert relay["attributes"][3] == {"index": 4, "name": "control_mode", "access": "rw", "selectors": []}
    assert relay["methods"][0] == {"index": 1, "name": "remote_disconnect", "callable": True}
    assert listed["unreadable"] == 0


def test_the_public_client_needs_no_words(entry: dict[str, Any]):
    result = run(entry)
    assert result.exit_code == 0
    assert "Logical device name" in result.stdout
    assert "Disconnect control" not in result.stdout
