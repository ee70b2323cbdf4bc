"""Title and counters live and die together: no nonce is used twice, whatever is deleted or put back."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError, StorageError
from amity.runtime.roles import system_title
from amity.runtime.roles.headend import renew_mark_for_ever
from amity.runtime.roles.system_title import Claimed, ExchangedError, claim_title, leave_mark
from amity.security.private_files import write_private
from amity.storage.ot.database import open_database

OLD = b"AMI12345"


def start(zone: Path, *, spend: int = 1) -> tuple[Claimed, int]:
    """One start that uses some counters and a clean stop: the title and the first counter used under it."""
    database = open_database(zone / "ot.sqlite")
    try:
        claimed = claim_title(database, zone)
        first = database.counters.reserve("M1", spend)
        leave_mark(database, zone)
        return claimed, first
    finally:
        database.close()


def test_a_restart_keeps_the_title_and_goes_on_counting(tmp_path: Path) -> None:
    first, second = start(tmp_path, spend=10), start(tmp_path)
    assert second == (Claimed(first[0].title), 11)
    assert len(first[0].title) == 8
    assert first[0].because is not None


def test_a_deleted_database_means_a_new_title(tmp_path: Path) -> None:
    before, _ = start(tmp_path)
    for file in tmp_path.glob("ot.sqlite*"):
        file.unlink()
    after, counter = start(tmp_path)
    assert (counter, after.title != before.title) == (1, True)


def test_an_older_copy_that_is_put_back_means_a_new_title(tmp_path: Path) -> None:
    before, _ = start(tmp_path)
    shutil.copy(tmp_path / "ot.sqlite", tmp_path / "copy")
    start(tmp_path, spend=100)
    shutil.copy(tmp_path / "copy", tmp_path / "ot.sqlite")
    after, _ = start(tmp_path)
    assert after.title != before.title
    assert "not the one of the last start" in str(after.because)
    assert start(tmp_path)[0] == Claimed(after.title)


def test_a_whole_folder_that_is_put_back_means_a_new_title(tmp_path: Path) -> None:
    zone, backup = tmp_path / "ot", tmp_path / "backup"
    zone.mkdir()
    before, _ = start(zone)
    shutil.copytree(zone, backup)
    start(zone, spend=100)
    shutil.rmtree(zone)
    shutil.copytree(backup, zone)
    after, _ = start(zone)
    assert after.title != before.title
    assert start(zone)[0] == Claimed(after.title)


def test_a_folder_that_moves_on_its_disk_keeps_its_title(tmp_path: Path) -> None:
    (tmp_path / "ot").mkdir()
    before, _ = start(tmp_path / "ot")
    (tmp_path / "ot").rename(tmp_path / "elsewhere")
    assert start(tmp_path / "elsewhere")[0] == Claimed(before.title)


def test_a_missing_mark_means_a_new_title(tmp_path: Path) -> None:
    before, _ = start(tmp_path)
    (tmp_path / "last-start").unlink()
    assert start(tmp_path)[0].title != before.title


def test_the_title_file_of_an_old_installation_counts_once_and_only_with_its_counters(tmp_path: Path) -> None:
    write_private(tmp_path / "system-title", OLD.hex())
    database = open_database(tmp_path / "ot.sqlite")
    database.counters.reserve("M1", 5)
    database.close()
    assert start(tmp_path) == (Claimed(OLD), 6)
    assert not (tmp_path / "system-title").exists()
    write_private(tmp_path / "system-title", OLD.hex())
    for file in tmp_path.glob("ot.sqlite*"):
        file.unlink()
    assert start(tmp_path)[0].title != OLD


@pytest.mark.parametrize("text", ["", "zz", "00"])
def test_a_damaged_title_file_is_named(tmp_path: Path, text: str) -> None:
    write_private(tmp_path / "system-title", text)
    database = open_database(tmp_path / "ot.sqlite")
    database.counters.reserve("M1", 1)
    with pytest.raises(ConfigurationError, match="system-title"):
        claim_title(database, tmp_path)
    database.close()


def test_a_damaged_title_in_the_database_is_a_typed_error_with_a_way_out(tmp_path: Path) -> None:
    start(tmp_path)
    database = open_database(tmp_path / "ot.sqlite")
    database.identity.change(b"short")
    with pytest.raises(ConfigurationError, match="5 octets") as caught:
        claim_title(database, tmp_path)
    assert "last-start" in str(caught.value.next_step)
    (tmp_path / "last-start").unlink()
    assert len(claim_title(database, tmp_path).title) == 8
    database.close()


def test_nodes_that_share_a_database_share_its_title_and_restart_without_a_new_one(tmp_path: Path) -> None:
    """They share its counters too, so no nonce is used twice."""
    database = open_database(tmp_path / "ot.sqlite")
    zones = [tmp_path / name for name in ("one", "two")]
    for zone in zones:
        zone.mkdir()
    (title,) = {claim_title(database, zone, shared=True).title for zone in zones}
    for zone in (*zones, *reversed(zones)):
        assert claim_title(database, zone, shared=True) == Claimed(title)
    database.close()


def test_an_older_copy_of_a_shared_database_means_a_new_title_for_each_node_that_had_started_since(
    tmp_path: Path,
) -> None:
    zones = [tmp_path / name for name in ("one", "two")]
    for zone in zones:
        zone.mkdir()
    first = [shared_start(tmp_path, zone) for zone in zones]
    shutil.copy(tmp_path / "ot.sqlite", tmp_path / "copy")
    assert [shared_start(tmp_path, zone) for zone in zones] == [Claimed(first[0].title)] * 2
    shutil.copy(tmp_path / "copy", tmp_path / "ot.sqlite")
    after = [shared_start(tmp_path, zone) for zone in zones]
    assert all(one.because for one in after)
    assert len({first[0].title, *(one.title for one in after)}) == 3


def shared_start(folder: Path, zone: Path) -> Claimed:
    database = open_database(folder / "ot.sqlite")
    try:
        return claim_title(database, zone, shared=True)
    finally:
        database.close()


def test_a_copy_made_while_it_ran_and_put_back_after_a_kill_means_a_new_title(tmp_path: Path) -> None:
    database = open_database(tmp_path / "ot.sqlite")
    before = claim_title(database, tmp_path)
    with sqlite3.connect(tmp_path / "ot.sqlite") as source, sqlite3.connect(tmp_path / "copy") as copy:
        source.backup(copy)
    leave_mark(database, tmp_path)  # as a head-end that runs does it all the time
    database.counters.reserve("M1", 1000)
    database.close()  # killed: no mark is left at the end
    for file in tmp_path.glob("ot.sqlite*"):
        file.unlink()
    shutil.copy(tmp_path / "copy", tmp_path / "ot.sqlite")
    after, counter = start(tmp_path)
    assert (counter, after.title != before.title) == (1, True)


async def test_a_head_end_ends_once_its_database_is_exchanged_under_it_and_starts_under_a_new_title(
    tmp_path: Path,
) -> None:
    """As when a PostgreSQL server is put back from a dump while nodes run."""
    database = open_database(tmp_path / "ot.sqlite")
    before = claim_title(database, tmp_path, shared=True)
    with sqlite3.connect(tmp_path / "ot.sqlite") as source, sqlite3.connect(tmp_path / "copy") as copy:
        source.backup(copy)
    leave_mark(database, tmp_path)
    with sqlite3.connect(tmp_path / "copy") as source, sqlite3.connect(tmp_path / "ot.sqlite") as running:
        source.backup(running)
    with pytest.raises(ExchangedError, match="exchanged"):
        await renew_mark_for_ever(database, tmp_path, every_s=0)
    with pytest.raises(ExchangedError):  # nor does its end hide what happened
        leave_mark(database, tmp_path)
    assert claim_title(database, tmp_path, shared=True).title != before.title
    leave_mark(database, tmp_path)
    database.close()


def test_a_disk_that_does_not_take_the_mark_is_not_taken_for_an_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(tmp_path / "ot.sqlite")
    claim_title(database, tmp_path)

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(system_title, "write_private", full)
        with pytest.raises(StorageError, match="full"):
            leave_mark(database, tmp_path)
    leave_mark(database, tmp_path)
    database.close()
