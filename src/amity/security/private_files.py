"""Files with secrets: written whole or not at all, readable by their owner only, refused when others can read them."""

import errno
import os
import shlex
import stat
from pathlib import Path

from amity.kernel.errors import ConfigurationError, StorageError

_OWNER_ONLY = 0o600
_OTHERS = 0o077


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old text or the new one. Raise StorageError naming the file."""
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}", next_step="free space on the disk or correct the folder's owner"
        ) from error


def read_private(path: Path, *, missing: str) -> str:
    """The text of a file with secrets; `missing` is the next step when it is not there.

    Raise ConfigurationError when it is missing, no regular file (a symbolic link is none: whoever owns the folder that
    it leads to could put another file there), or others can read it, with the command that mends it.
    """
    try:
        with open(path, encoding="utf-8", opener=_open) as file:
            _refuse_others(path, os.fstat(file.fileno()))
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            raise _link(path) from error
        raise ConfigurationError(f"cannot read {path}", answer=str(error), next_step=missing) from error


def check_private(path: Path, *, missing: str) -> None:
    """Look only, at what others will read; raise ConfigurationError as `read_private`, but follow symbolic links."""
    try:
        about = path.stat()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}", answer=str(error), next_step=missing) from error
    _refuse_others(path, about)


def _open(path: str, _flags: int) -> int:
    """The file itself; a named pipe opens at once, and is seen to be one."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _refuse_others(path: Path, about: os.stat_result) -> None:
    quoted = shlex.quote(str(path))
    if not stat.S_ISREG(about.st_mode):
        raise ConfigurationError(
            f"{path} is no regular file", next_step=f"look at it (ls -ld {quoted}), move it away and put the file back"
        )
    if about.st_mode & _OTHERS:
        raise ConfigurationError(f"{path} holds secrets and can be read by others", next_step=f"chmod 600 {quoted}")


def _link(path: Path) -> ConfigurationError:
    quoted = shlex.quote(str(path))
    return ConfigurationError(
        f"{path} is a symbolic link, and the file it leads to may be exchanged by others",
        next_step=f'put the file itself there: cp --remove-destination "$(readlink -f {quoted})" {quoted}',
    )
