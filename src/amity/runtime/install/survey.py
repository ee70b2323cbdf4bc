"""What of an installation is there, and what would be done: a second run has nothing to do, and no edit is ever lost.

What was written is remembered by its hash. A file that still has it is ours and may be brought up to date; any other
was edited and stays, with the new text beside it as FILE.new when there is one.
"""

import difflib
import hashlib
import json
import shlex
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from amity.kernel.errors import ConfigurationError
from amity.runtime.files.owned import symbolic_link
from amity.runtime.install.layout import Kind, Piece, Place

MEMORY: Final = "/etc/ami-gateway/.installed.json"


class Verb(StrEnum):
    """What happens to a piece."""

    CREATE = "create"
    UPDATE = "update"  # nobody has edited it
    OFFER = "offer"  # somebody has: the new text goes beside it
    KEEP = "keep"  # somebody has, and there is nothing new
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Change:
    """One piece, what is done with it, and, where its mode is too wide, the command that mends it."""

    piece: Piece
    path: Path
    verb: Verb
    difference: tuple[str, ...] = ()
    mend: str = ""

    @property
    def done(self) -> bool:
        """True when nothing has to be written."""
        return self.verb in {Verb.SAME, Verb.KEEP}


def survey(place: Place, wanted: Iterable[Piece], memory: Mapping[str, str]) -> list[Change]:
    """Look at each piece; raise ConfigurationError where something else is in its place or may not be read."""
    return [_looked_at(piece, place.at(piece.path), memory.get(piece.path, "")) for piece in wanted]


def digest(text: str) -> str:
    """The hash by which a text is remembered."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_memory(place: Place) -> dict[str, str]:
    """What was written at the last run, by path; empty when there was none or nobody can say."""
    try:
        kept = json.loads(place.at(MEMORY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return {}  # every file then counts as edited, which is the safe side
    return {str(path): str(hashed) for path, hashed in kept.items()} if isinstance(kept, dict) else {}


def _looked_at(piece: Piece, path: Path, remembered: str) -> Change:
    try:
        about = path.lstat()
    except FileNotFoundError:
        return Change(piece, path, Verb.CREATE)
    except OSError as error:
        raise ConfigurationError(f"cannot look at {path}", answer=error.strerror, next_step="run it as root") from error
    _refuse_another_kind(piece, path, about.st_mode)
    too_wide = stat.S_IMODE(about.st_mode) & ~piece.mode
    mend = f"chmod {piece.mode:o} {path}" if too_wide else ""
    if piece.kind is not Kind.TEXT:
        return Change(piece, path, Verb.SAME, mend=mend)
    verb, difference = _compared(piece, path, remembered)
    return Change(piece, path, verb, difference, mend)


def _refuse_another_kind(piece: Piece, path: Path, mode: int) -> None:
    folder = piece.kind is Kind.FOLDER
    if stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode):
        return
    if stat.S_ISLNK(mode) and not folder:
        raise symbolic_link(path)
    away = f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}"
    raise ConfigurationError(
        f"{path} is there and is no {'folder' if folder else 'plain file'}",
        next_step=f"{away}; then amity install again",
    )


def _compared(piece: Piece, path: Path, remembered: str) -> tuple[Verb, tuple[str, ...]]:
    try:
        there = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}", answer=str(error), next_step="run it as root") from error
    if there == piece.text:
        return Verb.SAME, ()
    lines = difflib.unified_diff(
        there.splitlines(), piece.text.splitlines(), str(path), "what Amity would write", lineterm="", n=1
    )
    if digest(there) == remembered:
        return Verb.UPDATE, tuple(lines)
    offered = path.with_name(path.name + ".new")
    nothing_new = remembered == digest(piece.text) or (
        offered.exists() and offered.read_text(encoding="utf-8", errors="replace") == piece.text
    )
    return (Verb.KEEP, ()) if nothing_new else (Verb.OFFER, tuple(lines))
