"""Files that only their owner may read or write: what is otherwise is refused with the command that mends it."""

import os
import pwd
import shlex
import stat
from pathlib import Path
from typing import Final

from amity.kernel.errors import ConfigurationError

_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022
_ROOT: Final = 0


def read_owned(path: Path, *, owner: int | None = None) -> str:
    """The text of a file that is this user's (or `owner`'s, or root's) and nobody else's.

    Raise ConfigurationError with the command that mends it otherwise.
    """
    check_owned(path, owner=owner)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text at octet {error.start}", next_step="correct it") from error
    except PermissionError as error:
        raise ConfigurationError(
            f"{path} may not be read by {user_name(os.geteuid())}", next_step=_chown(path, os.geteuid())
        ) from error
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}", answer=error.strerror, next_step="amity install") from error


def check_owned(path: Path, *, owner: int | None = None) -> None:
    """Look at mode and owner only, of the file and of the folder it is in; raise ConfigurationError as `read_owned`."""
    wanted = os.geteuid() if owner is None else owner
    about, around = _status(path), _status(path.parent)
    if about.st_mode & _OTHERS:
        raise ConfigurationError(
            f"{path} can be read or written by others (mode {stat.S_IMODE(about.st_mode):04o})",
            next_step=f"chmod 600 {shlex.quote(str(path))}",
        )
    for one, what in ((about, path), (around, path.parent)):
        if one.st_uid not in {wanted, _ROOT}:
            raise ConfigurationError(
                f"{what} belongs to {user_name(one.st_uid)}, not to {user_name(wanted)}",
                next_step=_chown(what, wanted),
            )
    if around.st_mode & _OTHERS_WRITE and not around.st_mode & stat.S_ISVTX:
        raise ConfigurationError(
            f"others may replace files in {path.parent}", next_step=f"chmod go-w {shlex.quote(str(path.parent))}"
        )


def user_name(uid: int) -> str:
    """The name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise ConfigurationError(
            f"cannot look at {path}", answer=error.strerror, next_step="amity install writes it where it is missing"
        ) from error


def _chown(path: Path, uid: int) -> str:
    return f"chown {user_name(uid)}: {shlex.quote(str(path))}"
