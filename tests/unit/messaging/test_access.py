"""The broker's users: random secrets per installation, private files, and only the subjects of their zone."""

import json
from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError, StorageError
from amity.messaging import access


def test_secrets_are_made_once_random_and_private(tmp_path: Path) -> None:
    first = access.load_or_create_passwords(tmp_path)
    assert access.load_or_create_passwords(tmp_path) == first
    assert len(set(first.values())) == 3
    assert all(len(password) >= 43 for password in first.values())
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    (tmp_path / "other").mkdir()
    assert access.load_or_create_passwords(tmp_path / "other") != first


def test_a_secret_that_others_can_read_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    access.load_or_create_passwords(tmp_path)
    (tmp_path / "ot.secret").chmod(0o644)
    with pytest.raises(ConfigurationError) as caught:
        access.load_access(tmp_path, access.OT, "nats://127.0.0.1:1")
    assert caught.value.next_step == f"chmod 600 {tmp_path / 'ot.secret'}"


def test_a_folder_without_secrets_says_what_to_start_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"it\.secret"):
        access.load_access(tmp_path, access.IT, "nats://127.0.0.1:1")


def test_a_folder_that_takes_no_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        access.load_or_create_passwords(tmp_path / "nowhere")


def test_the_password_never_shows(tmp_path: Path) -> None:
    password = access.load_or_create_passwords(tmp_path)["ot"]
    shown = repr(access.load_access(tmp_path, access.OT, "nats://127.0.0.1:1"))
    assert password not in shown
    assert "ot" in shown


def test_each_zone_has_its_own_subjects_and_no_wildcard_of_the_other() -> None:
    accounts = json.loads(access.server_accounts({"ot": "a", "it": "b", "setup": "c"}))
    users = {user["user"]: user["permissions"] for user in accounts["AMITY"]["users"]}
    assert users["ot"]["publish"] == ["amity.ot.deliveries", "amity.ot.deliveries.alarms"]
    assert users["ot"]["subscribe"] == ["_INBOX_ot.>"]
    assert users["it"]["subscribe"] == ["_INBOX_it.>"]
    assert all(subject.startswith(("$JS.API.CONSUMER.MSG.NEXT.", "$JS.ACK.")) for subject in users["it"]["publish"])
