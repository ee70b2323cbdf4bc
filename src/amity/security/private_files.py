"""Files with secrets: written whole or not at all, readable by their owner only, refused when others can read them."""

import os
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

    Raise ConfigurationError when it is missing or others can read it, with the command that mends the latter.
    """
    check_private(path, missing=missing)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}", answer=str(error), next_step=missing) from error


def check_private(path: Path, *, missing: str) -> None:
    """Look at the mode only; raise ConfigurationError as `read_private`."""
    try:
        open_to_others = path.stat().st_mode & _OTHERS
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}", answer=str(error), next_step=missing) from error
    if open_to_others:
        raise ConfigurationError(f"{path} holds secrets and can be read by others", next_step=f"chmod 600 {path}")
