"""Logs survive whoever rotates, truncates or deletes them, and a full disk."""

import os
from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError
from amity.runtime.logs.files import LogFile
from amity.runtime.logs.lines import logfmt


def test_lines_follow_the_path_when_the_file_is_renamed_deleted_or_truncated(tmp_path: Path):
    path = tmp_path / "x.log"
    log = LogFile(path)
    log.write("one")
    path.rename(tmp_path / "x.log.1")
    log.write("two")
    assert (tmp_path / "x.log.1").read_text() == "one\n"
    assert path.read_text() == "two\n"
    path.unlink()
    log.write("three")
    os.truncate(path, 0)
    log.write("four")
    assert path.read_text() == "four\n"


def test_two_processes_may_append_to_one_file(tmp_path: Path):
    one, other = LogFile(tmp_path / "x.log"), LogFile(tmp_path / "x.log")
    one.write("a")
    other.write("b")
    one.write("c")
    assert (tmp_path / "x.log").read_text() == "a\nb\nc\n"


def test_others_cannot_read_a_log(tmp_path: Path):
    LogFile(tmp_path / "x.log")
    assert (tmp_path / "x.log").stat().st_mode & 0o027 == 0


def test_a_full_disk_drops_lines_and_says_how_many_when_it_is_over(tmp_path: Path):
    path = tmp_path / "x.log"
    path.symlink_to("/dev/full")
    log = LogFile(path)
    log.write("lost")
    log.write("lost too")
    assert log.held_up == 2
    path.unlink()
    log.write("kept")
    told, kept = path.read_text().splitlines()
    assert told.endswith("count=2")
    assert kept == "kept"


def test_half_a_line_on_a_full_disk_does_not_swallow_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = LogFile(tmp_path / "x.log")
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, octets: whole(descriptor, octets[:3]))
    log.write("abcdef")
    monkeypatch.setattr(os, "write", whole)
    log.write("next")
    lines = (tmp_path / "x.log").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("abc", "next")


def test_a_folder_that_is_missing_is_said_at_the_start(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be written") as caught:
        LogFile(tmp_path / "nowhere" / "x.log")
    assert "amity install" in (caught.value.next_step or "")


def test_nothing_that_a_meter_says_can_break_a_line_or_move_a_terminal():
    line = logfmt({"event": "a\n\x1b[2Jb\r\x07\u2028c", "n": 1})
    assert line.splitlines() == [line]
    assert not any(ord(letter) < 0x20 for letter in line)
