"""A log that cannot be written is no reason to stop."""

import errno
import io

from amity.runtime.logs import LossyStream


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
