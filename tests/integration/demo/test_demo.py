"""`amity demo` as a person uses it: starts, shows, stops without a trace, goes on, says what is wrong."""

import json
import re
import socket
import sqlite3
import subprocess
import sys
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.demo.running_demo import RunningDemo, running_demo, wait_for

pytestmark = pytest.mark.slow
HANGS_AFTER_S = 600


def once(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "amity.cli", "demo", "--once", "--json", "--dir", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS_AFTER_S)  # noqa: S603 - our own interpreter


def logged_in(demo: RunningDemo, link: str) -> httpx.Client:
    client = httpx.Client(base_url=demo.document["console"], follow_redirects=True)
    token = urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)["token"][0]
    assert "Open Amity" in client.get("/login", params={"token": token}).text
    assert client.post("/login", data={"token": token}).status_code == 200
    return client


def rows(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "it" / "it.sqlite")) as database:
        return database.execute(query).fetchall()


def test_it_starts_shows_stops_without_a_trace_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running_demo(folder, "--meters", "12", "--seed", "5") as demo:
        parts = wait_for(lambda: parts if len(parts := demo.parts()) == 6 else None, "six processes")
        with closing(logged_in(demo, demo.document["login_links"][0])) as client:
            town = wait_for(lambda: _town_with_load(client), "the town to have load")
            assert town["name"] == demo.document["town"]
            assert demo.document["town"] in client.get("/").text
        assert httpx.post(f"{demo.document['console']}/login", data={"token": "spent"}).status_code == 401
        assert demo.stop() == 0
    assert not [pid for pid in parts.values() if Path(f"/proc/{pid}").exists()], "a process was left running"
    before = rows(folder, "select count(*) from delivery")[0][0]
    with running_demo(folder) as again:
        assert again.document["town"] == demo.document["town"]
        assert again.document["simulated_meters"] == 12
        wait_for(lambda: rows(folder, "select count(*) from delivery")[0][0] > before, "another round")
    assert rows(folder, "select count(*) from (select 1 from delivery group by message_id having count(*) > 1)") == [
        (0,)
    ]


def test_once_reads_everything_and_the_status_says_so(tmp_path: Path) -> None:
    result = once(tmp_path / "demo", "--meters", "20", "--seed", "3")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["ok"]
    assert summary["simulated"]
    assert summary["healthy_complete"] == summary["healthy"] > 10
    assert summary["incomplete"] == []
    quarter_hours = summary["expected"] // summary["healthy"]
    assert quarter_hours in {3 * 96 - 1, 3 * 96}  # a row is due five seconds after its interval
    assert summary["intervals"] >= summary["expected"]


def test_a_folder_holds_one_town(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    assert once(folder, "--meters", "3").returncode in {0, 1}
    other = once(folder, "--meters", "4")
    assert other.returncode == 2
    assert "--dir" in json.loads(other.stderr)["next"]


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with running_demo(tmp_path / "demo", "--meters", "2"):
        second = once(tmp_path / "demo")
    assert second.returncode == 2
    assert "already" in json.loads(second.stderr)["error"]


def test_a_port_that_somebody_holds_is_not_fought_over(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        (folder / "amity.toml").write_text(f"[web]\nport = {port}\n")
        with running_demo(folder, "--meters", "2") as demo:
            assert not demo.document["console"].endswith(f":{port}")
            assert urllib.request.urlopen(f"{demo.document['console']}/healthz", timeout=10).status == 200  # noqa: S310 - our own server


def test_a_wrong_setting_is_named_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "amity.toml").write_text("[headend]\nconcurency = 3\n")
    result = once(folder)
    assert result.returncode == 2
    assert "headend.concurency" in json.loads(result.stderr)["error"]


def test_no_secret_stands_in_a_log_or_in_a_process_list(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running_demo(folder, "--meters", "6") as demo:
        wait_for(lambda: rows(folder, "select 1 from collection_state limit 1"), "a first session")
        command_lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in demo.parts().values()]
    keys = json.loads((folder / "ot" / "keys.json").read_text())
    associations = [one for meter in keys.values() for one in (meter, meter.pop("management"))]
    secrets = {value for one in associations for value in one.values() if value}
    assert len(secrets) >= 6
    said = command_lines + [path.read_text(errors="replace") for path in (folder / "logs").iterdir()]
    assert not [secret for secret in secrets for text in said if secret in text]
    for private in (folder / "ot" / "keys.json", folder / "it" / "it.sqlite", folder / "ot" / "ot.sqlite"):
        assert private.stat().st_mode & 0o077 == 0


def _town_with_load(client: httpx.Client) -> dict[str, Any] | None:
    answer = client.get("/api/v1/town")
    town: dict[str, Any] = answer.json()
    return town if answer.status_code == 200 and re.search(r'"(measured|import\w*)"', answer.text) else None


def test_two_demos_that_start_at_once_have_meters_of_their_own(tmp_path: Path) -> None:
    """The second one once chose the ports of the first, and read its meters with counters that they had seen."""
    names = ("one", "other")
    with ThreadPoolExecutor(2) as both:
        ended = list(both.map(lambda name: once(tmp_path / name, "--meters", "12"), names))
    assert all(json.loads(one.stdout)["town"] for one in ended), [one.stderr for one in ended]
    assert len({json.loads((tmp_path / name / "demo.json").read_text())["port_base"] for name in names}) == 2
