"""Root becomes the user that an installation belongs to, so that no file is made that the service cannot open."""

import os
import pwd
from pathlib import Path
from typing import Final

from amity.kernel.errors import ConfigurationError

_ROOT: Final = 0


def become_owner_of(configuration: Path, state: Path) -> None:
    """As root: go on, for good, as the service's user and with that user's groups. Else do nothing.

    That is the owner of the configuration, for root must not do what somebody else wrote; where root wrote it, the
    owner of the state. Raise ConfigurationError when one of them is not there.
    """
    if os.geteuid() != _ROOT:
        return
    for path in (configuration, state):
        owner = _status(path)
        if owner.st_uid != _ROOT:
            _supplementary_groups(owner.st_uid, owner.st_gid)
            os.setgid(owner.st_gid)
            os.setuid(owner.st_uid)
            return


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise ConfigurationError(
            f"there is no installation at {path}", answer=error.strerror, next_step="sudo amity install"
        ) from error


def _supplementary_groups(uid: int, gid: int) -> None:
    try:
        os.initgroups(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:  # a number without a name, as in a container
        os.setgroups([gid])
