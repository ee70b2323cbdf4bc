"""The key file: private, whole or not at all, and silent about its contents."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from amity.headend.ports import MeterSecrets
from amity.kernel.errors import ConfigurationError, StorageError
from amity.storage.ot.keys import KeyFile

KEYS = MeterSecrets(b"secret", bytes(range(16)), bytes(range(16, 32)))


def test_secrets_are_found_again_by_another_process(tmp_path: Path) -> None:
    KeyFile(tmp_path / "keys.json").put({"M1": KEYS, "M2": MeterSecrets()})
    KeyFile(tmp_path / "keys.json").put({"M2": KEYS})
    found = KeyFile(tmp_path / "keys.json")
    assert (found.secrets("M1"), found.secrets("M2")) == (KEYS, KEYS)
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


def test_a_meter_without_keys_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="meter M9"):
        KeyFile(tmp_path / "keys.json").secrets("M9")


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    KeyFile(tmp_path / "keys.json").put({"M1": KEYS})
    (tmp_path / "keys.json").chmod(0o640)
    with pytest.raises(ConfigurationError, match="can be read by others"):
        KeyFile(tmp_path / "keys.json")


def test_the_keys_of_a_management_association_stand_inside_the_meter_s(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    managed = replace(KEYS, management=MeterSecrets(guek=bytes([7]) * 16, gak=bytes([8]) * 16))
    KeyFile(path).put({"M1": managed, "M2": KEYS})
    found = KeyFile(path)
    assert (found.secrets("M1"), found.secrets("M2")) == (managed, KEYS)
    assert json.loads(path.read_text())["M1"]["management"]["guek"] == "07" * 16
    KeyFile(path).put({"M1": KEYS})
    assert "management" not in path.read_text(), "keys that are not used any more do not stay"
    assert "070707" not in repr(managed)


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '{"M1": {"guek": "c0ffee-not-hex"}}', '{"M1": 5}', '{"M1": {"gak": 5}}', '{"M1": {"management": 5}}'],
)
def test_a_damaged_file_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="not a key file") as caught:
        KeyFile(path)
    assert "c0ffee" not in str(caught.value.lines())
    assert caught.value.__cause__ is None


def test_a_disk_that_refuses_leaves_the_old_secrets_in_force(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    keys.put({"M1": KEYS})
    (tmp_path / "keys.json.unfinished").mkdir()
    with pytest.raises(StorageError, match=r"keys\.json"):
        keys.put({"M1": MeterSecrets()})
    assert keys.secrets("M1") == KEYS
    assert KeyFile(tmp_path / "keys.json").secrets("M1") == KEYS


def test_secrets_never_show() -> None:
    assert "000102" not in repr(KEYS)
    assert "secret" not in repr(KEYS).replace("MeterSecrets", "")


def test_a_meter_that_another_process_added_is_found_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    running = KeyFile(path)
    with pytest.raises(ConfigurationError, match="no keys for meter M1"):
        running.secrets("M1")
    KeyFile(path).put({"M1": KEYS})
    assert running.secrets("M1") == KEYS
    with pytest.raises(ConfigurationError, match="no keys for meter M2"):
        running.secrets("M2")
    KeyFile(path).put({"M2": MeterSecrets()})
    assert running.secrets("M2") == MeterSecrets()


def test_other_keys_that_another_process_gave_a_meter_are_in_force_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    KeyFile(path).put({"M1": MeterSecrets(guek=bytes(16))})
    running = KeyFile(path)
    KeyFile(path).put({"M1": MeterSecrets(guek=bytes([1]) * 16)})
    assert running.secrets("M1").guek == bytes([1]) * 16
    path.write_text("{")
    assert running.secrets("M1").guek == bytes([1]) * 16
