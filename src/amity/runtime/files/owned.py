"""Files that only their owner may read or write: what is otherwise is refused with the command that mends it.

A symbolic link is refused too: whoever owns the folder that it leads to could put another file there.
"""

import errno
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
_OCTETS_MAX: Final = 16 << 20


def read_owned(path: Path, *, owner: int | None = None, octets_max: int = _OCTETS_MAX) -> str:
    """The text of a file that is this user's (or `owner`'s, or root's) and nobody else's.

    Raise ConfigurationError with the command that mends it otherwise, also when it is longer than `octets_max`.
    """
    check_owned(path, owner=owner)
    octets = _octets(path, _wanted(owner), octets_max)
    if len(octets) > octets_max:
        raise ConfigurationError(f"{path} is longer than {octets_max} octets", next_step="see what it really is")
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text at octet {error.start}", next_step="correct it") from error


def check_owned(path: Path, *, owner: int | None = None) -> None:
    """Look at mode and owner only, of the file and of the folder it is in; raise ConfigurationError as `read_owned`."""
    wanted = _wanted(owner)
    try:
        about, around = path.lstat(), path.parent.stat()
    except PermissionError as error:
        raise ConfigurationError(
            f"{user_name(os.geteuid())} may not look into {path.parent}", next_step="run the command with sudo"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"cannot look at {path}", answer=error.strerror, next_step="amity install writes it where it is missing"
        ) from error
    _refuse_open(path, about, wanted)
    _refuse_owner(path.parent, around, wanted)
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


def _octets(path: Path, wanted: int, octets_max: int) -> bytes:
    """Read one octet more than is allowed; the file that is open is looked at again, for it may be another one now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            _refuse_open(path, os.fstat(descriptor), wanted)
            return file.read(octets_max + 1)
    except PermissionError as error:
        raise ConfigurationError(
            f"{path} may not be read by {user_name(os.geteuid())}", next_step=_chown(path, os.geteuid())
        ) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise symbolic_link(path) from error
        raise ConfigurationError(
            f"cannot read {path}", answer=error.strerror, next_step=f"look at it: ls -l {shlex.quote(str(path))}"
        ) from error


def _refuse_open(path: Path, about: os.stat_result, wanted: int) -> None:
    """Refuse what is no plain file, or not this user's alone."""
    if stat.S_ISLNK(about.st_mode):
        raise symbolic_link(path)
    if not stat.S_ISREG(about.st_mode):
        raise ConfigurationError(f"{path} is no plain file", next_step="move it away and run amity install again")
    if about.st_mode & _OTHERS:
        raise ConfigurationError(
            f"{path} can be read or written by others (mode {stat.S_IMODE(about.st_mode):04o})",
            next_step=f"chmod 600 {shlex.quote(str(path))}",
        )
    _refuse_owner(path, about, wanted)


def _refuse_owner(path: Path, about: os.stat_result, wanted: int) -> None:
    if about.st_uid not in {wanted, _ROOT}:
        raise ConfigurationError(
            f"{path} belongs to {user_name(about.st_uid)}, not to {user_name(wanted)}", next_step=_chown(path, wanted)
        )


def symbolic_link(path: Path) -> ConfigurationError:
    """The refusal of a link, with the command that puts the file itself in its place."""
    quoted = shlex.quote(str(path))
    return ConfigurationError(
        f"{path} is a symbolic link, and the file it leads to may be exchanged by others",
        next_step=f'put the file itself there: cp --remove-destination "$(readlink -f {quoted})" {quoted}',
    )


def _wanted(owner: int | None) -> int:
    return os.geteuid() if owner is None else owner


def _chown(path: Path, uid: int) -> str:
    return f"chown {user_name(uid)}: {shlex.quote(str(path))}"
