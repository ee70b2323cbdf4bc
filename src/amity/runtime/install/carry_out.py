"""Putting an installation down, and taking it away again without what an administrator or the service made."""

import grp
import json
import os
import pwd
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from amity.kernel.errors import ConfigurationError, StorageError
from amity.runtime.install.layout import Kind, Piece, Place, pieces
from amity.runtime.install.material import material
from amity.runtime.install.survey import MEMORY, Change, Verb, digest, read_memory
from amity.security.private_files import write_private

_ROOT_UID: Final = 0
_FOLDER_ON_THE_WAY: Final = 0o755


class Owner(NamedTuple):
    """Numbers of a user and a group."""

    uid: int
    gid: int


def may_install(place: Place) -> None:
    """Raise ConfigurationError when this user cannot install there."""
    if place.root == Path("/") and os.geteuid() != _ROOT_UID:
        raise ConfigurationError(
            "only root can install the service on this machine",
            next_step="sudo amity install; or amity install --root DIR to lay it down in a folder of your own",
        )


def owner_of(piece: Piece, place: Place) -> Owner | None:
    """The numbers of a piece's owner; None where they cannot be given: not as root, or in a tree without that user.

    Raise ConfigurationError when this machine itself has no such user.
    """
    if os.geteuid() != _ROOT_UID:
        return None
    try:
        return Owner(pwd.getpwnam(piece.owner).pw_uid, grp.getgrnam(piece.group).gr_gid)
    except KeyError as error:
        if place.root != Path("/"):
            return None
        raise ConfigurationError(
            f"there is no user {piece.owner} on this machine",
            next_step=f"useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {piece.owner}",
        ) from error


def put_down(place: Place, changes: Iterable[Change]) -> None:
    """Write what is missing or new; raise StorageError when the disk says no. What is there already keeps its mode."""
    memory = read_memory(place)
    for change in changes:
        if not change.done:
            _put(change, owner_of(change.piece, place))
        if change.piece.kind is Kind.TEXT and change.verb is not Verb.KEEP:
            memory[change.piece.path] = digest(change.piece.text)
    _remember(place, memory)


def take_away(place: Place) -> tuple[list[Path], list[Path]]:
    """Remove what `put_down` wrote and nobody edited, apart from what stays; what was removed and what was left.

    Key and request are left.
    """
    memory, removed, left = read_memory(place), [], [path for path in material(place) if path.exists()]
    for piece in pieces(place):
        path = place.at(piece.path)
        if not path.exists():
            continue
        if piece.stays or digest(path.read_text(encoding="utf-8", errors="replace")) != memory.get(piece.path):
            left.append(path)
            continue
        path.unlink()
        removed.append(path)
        memory.pop(piece.path)
    if removed:
        _remember(place, memory)
    return removed, left


def _put(change: Change, owner: Owner | None) -> None:
    try:
        if change.piece.kind is Kind.FOLDER:
            change.path.parent.mkdir(mode=_FOLDER_ON_THE_WAY, parents=True, exist_ok=True)
            change.path.mkdir(mode=change.piece.mode)
            _settle(change.path, change.piece.mode, owner)
        else:
            _write(change, owner)
    except OSError as error:
        raise StorageError(
            f"cannot write {change.path}", answer=error.strerror, next_step="mend that and run amity install again"
        ) from error


def _write(change: Change, owner: Owner | None) -> None:
    """Whole or not at all; private until owner and mode are right."""
    name = change.path.name + (".new" if change.verb is Verb.OFFER else "")
    path = change.path.with_name(name)
    path.parent.mkdir(mode=_FOLDER_ON_THE_WAY, parents=True, exist_ok=True)
    write_private(path, change.piece.text)
    _settle(path, change.piece.mode, owner)


def _settle(path: Path, mode: int, owner: Owner | None) -> None:
    if owner is not None:
        os.chown(path, *owner, follow_symlinks=False)
    path.chmod(mode)


def _remember(place: Place, memory: dict[str, str]) -> None:
    text = json.dumps(memory, indent=1, sort_keys=True)
    path = place.at(MEMORY)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_private(path, text)
