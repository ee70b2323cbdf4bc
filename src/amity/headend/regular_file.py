"""Files that are read while others wait: never anything on which reading could wait for ever, or without end."""

import errno
import os
import shlex
import stat
from pathlib import Path
from typing import Final

from amity.kernel.errors import ConfigurationError

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a named pipe opens at once, and is seen to be one


def read_regular(path: Path, octets_max: int) -> bytes:
    """The octets of a file; raise ConfigurationError for what is none or has more of them, OSError as `open` does."""
    try:
        with open(path, "rb", opener=_open) as file:
            _refuse_others(path, os.fstat(file.fileno()))
            octets = file.read(octets_max + 1)
    except OSError as error:
        if error.errno in {errno.ENXIO, errno.EISDIR}:  # a socket, a device without a driver, a folder
            raise _no_file(path) from error
        raise
    if len(octets) > octets_max:
        raise ConfigurationError(f"{path.name} is longer than {octets_max} octets", next_step="make it smaller")
    return octets


def check_regular(path: Path) -> None:
    """Look only, for what others will read; raise ConfigurationError as `read_regular`, OSError as `stat` does."""
    _refuse_others(path, path.stat())


def _open(path: str, _flags: int) -> int:
    return os.open(path, _FLAGS)


def _refuse_others(path: Path, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise _no_file(path)


def _no_file(path: Path) -> ConfigurationError:
    quoted = shlex.quote(str(path))
    return ConfigurationError(
        f"{path} is no regular file but a pipe, a device or a folder",
        next_step=f"look at it (ls -ld {quoted}), move it away and put the file back",
    )
