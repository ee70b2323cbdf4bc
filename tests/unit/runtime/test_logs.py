"""A log that cannot be written is no reason to stop."""

import errno
import io

import pytest
import structlog

from amity.cli.errors import report
from amity.kernel.errors import RemoteProtocolError
from amity.runtime.logs.lines import LossyStream, configure_logs, logfmt

HOSTILE = "M1\nlevel=info event=forged\r\x1b[2J\x1b]0;owned\x07 \u202eevil\u2028\x85\x9b31m"
"""A name that a meter might give itself."""


class Disk(io.StringIO):
    """A stream on a disk that may be full."""

    full = False

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_drops_lines_and_says_so_when_it_is_over() -> None:
    disk = Disk()
    stream = LossyStream(disk)
    stream.write("a\n")
    disk.full = True
    for line in ("b\n", "c\n"):
        stream.write(line)
    assert stream.held_up == 2
    disk.full = False
    stream.write("d\n")
    lines = disk.getvalue().splitlines()
    assert (lines[0], lines[-1]) == ("a", "d")
    assert lines[-2].startswith("timestamp=")
    assert lines[-2].endswith("count=2")
    assert stream.held_up == 0


def test_a_closed_stream_is_no_error() -> None:
    disk = Disk()
    disk.close()
    stream = LossyStream(disk)
    stream.write("a\n")
    assert stream.held_up == 1


def assert_harmless(line: str) -> None:
    assert len(line.splitlines()) == 1
    assert "\\nlevel=info" in line
    assert not {character for character in line if not character.isprintable() and character != "\n"}


def test_what_a_meter_says_neither_ends_a_line_nor_moves_a_terminal() -> None:
    assert_harmless(logfmt({"event": "session complete", "meter": HOSTILE, "detail": [HOSTILE]}))


def test_nor_does_it_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    try:
        structlog.get_logger("x").info("meter", meter=HOSTILE)
    finally:
        structlog.reset_defaults()
    assert_harmless(capsys.readouterr().err.rstrip("\n"))


def test_nor_does_it_in_an_error_at_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    report(RemoteProtocolError("the meter said", answer=HOSTILE), as_json=False)
    said = capsys.readouterr().err
    assert "evil" in said
    assert not {character for character in said if not character.isprintable() and character != "\n"}
