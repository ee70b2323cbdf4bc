"""`amity fleet import`: a head-end is told of its meters, and of nothing when one of them is wrong."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.routes import over_tcp
from amity.kernel.errors import ConfigurationError
from amity.runtime.folder import Folder
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry
from amity.storage.ot.database import open_database
from amity.storage.ot.keys import KeyFile

METER: dict[str, Any] = {
    "logical_device_name": "CQX0001", "profile": "castellan_c3", "host": "192.0.2.7", "port": 4059,
    "client": 1, "server": 1, "auth": "hls-gmac", "guek": "00" * 16, "gak": "11" * 16,
}  # fmt: skip
OTHER = METER | {"logical_device_name": "CQX0002", "guek": "22" * 16}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "utility")


def imported(folder: Folder, document: Any, *options: str) -> str:
    file = folder.root.parent / "fleet.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    words = ["fleet", "import", str(file), "--dir", str(folder.root), *options]
    return CliRunner().invoke(app, words, catch_exceptions=False).stdout


def endpoints(folder: Folder) -> list[Endpoint]:
    with closing(open_database(folder.ot_database)) as database:
        return list(database.endpoints.all())


def test_meters_are_added_then_replaced_with_their_keys(folder: Folder) -> None:
    assert "1 meters added, 0 replaced" in imported(folder, [METER])
    moved = json.loads(imported(folder, [METER | {"port": 4060}, OTHER], "--json"))
    assert (moved["added"], moved["replaced"], moved["dry_run"]) == (["CQX0002"], ["CQX0001"], False)
    assert [(one.meter_id, one.route) for one in endpoints(folder)] == [
        ("CQX0001", over_tcp("192.0.2.7", 4060)),
        ("CQX0002", over_tcp("192.0.2.7", 4059)),
    ]
    assert KeyFile(folder.keys).secrets("CQX0002") == MeterSecrets(guek=b"\x22" * 16, gak=b"\x11" * 16)


def test_no_key_that_controls_a_meter_or_makes_new_keys_is_stored_anywhere(folder: Folder) -> None:
    fleet = build_fleet(FleetSettings(meters=1, seed=5, anchor=datetime(2026, 11, 20, tzinfo=UTC), auth="hls-gmac"))
    entry = document_entry(fleet.meters[0], "192.0.2.7", 4059)
    imported(folder, [entry])
    management, control = entry["associations"]
    (known,) = endpoints(folder)
    assert known.management is not None
    assert known.management.client == management["client"]
    held = b"".join(path.read_bytes() for path in folder.root.rglob("*") if path.is_file())
    assert management["guek"].encode() in held, "the canary sings"
    forbidden = [control["guek"], control["gak"], entry["kek"], management["kek"], control["kek"]]
    assert [one for one in forbidden if one.encode() in held or bytes.fromhex(one) in held] == []


def test_a_dry_run_changes_nothing(folder: Folder) -> None:
    assert "1 meters would be added, 0 would be replaced" in imported(folder, [METER], "--dry-run")
    assert not folder.root.exists()
    imported(folder, [METER])
    assert "0 meters would be added, 1 would be replaced" in imported(folder, [METER | {"port": 1}], "--dry-run")
    assert endpoints(folder)[0].route == over_tcp("192.0.2.7", 4059)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([METER, OTHER | {"gatway": {}}], "meter CQX0002: gatway is not a member"),
        ([METER, OTHER | {"profile": "nosuch"}], "meter CQX0002: profile cannot be used"),
        ("[" * 100_000, "fleet.json is no JSON"),
        ("{", "fleet.json is no JSON"),
        ("\udcff".encode("utf-8", "surrogatepass").decode("latin-1"), "fleet.json is no JSON"),
        ({}, "a fleet document is a list"),
    ],
)
def test_one_wrong_meter_keeps_all_out(folder: Folder, document: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        imported(folder, document)
    assert not folder.root.exists()


def test_a_file_that_is_not_there_is_named(folder: Folder) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        CliRunner().invoke(app, ["fleet", "import", "/no/such/file", "--dir", str(folder.root)], catch_exceptions=False)


def test_a_model_of_the_utility_s_own_may_be_named(folder: Folder) -> None:
    folder.profiles.mkdir(parents=True)
    (folder.profiles / "ours.toml").write_text('inherit = "castellan_c3"\n', encoding="utf-8")
    imported(folder, [METER | {"profile": "ours"}])
    assert endpoints(folder)[0].profile == "ours"
