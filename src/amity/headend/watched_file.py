"""A file that may be edited while the head-end runs: a bad edit is refused and changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from amity.headend.regular_file import read_regular
from amity.kernel.errors import AmityError, ConfigurationError, StorageError

Content = TypeVar("Content")

_LAST_GOOD: Final = ".last-good"
_OWNER_ONLY: Final = 0o600  # others may not read it, nor a copy of it

OCTETS_MAX: Final = 8 << 20
"""More than any person writes; a larger file would hold everything else up while it is parsed."""

_Stamp = tuple[int, ...]
_GONE: Final[_Stamp] = ()


class WatchedFile(Generic[Content]):
    """Holds what is in force of a file that is parsed as a whole.

    `content` is in force, `refusal` is why the file as it stands now is not (None when it is). The last good text is
    kept beside the file or where one is told, so that a restart during a bad edit goes on with it too.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[str, str], Content],
        packaged_text: Callable[[], str],
        last_good: Path | None = None,
    ) -> None:
        """Read the file with `parse(text, name)`; write it from the packaged text if there is none.

        `last_good` is where the last good text is kept, if not beside the file.
        Raise ConfigurationError when neither the file nor a last good copy is usable, StorageError when the disk fails.
        """
        self._path = path
        self._parse = parse
        self._good_path = last_good or path.with_suffix(_LAST_GOOD + path.suffix)
        if not path.exists():
            _write(path, packaged_text())
        self.refusal: AmityError | None = None
        self._stamp = _stamp(path)
        try:
            self.content = self._load()
        except ConfigurationError as refusal:
            if not self._good_path.exists():
                raise
            self.refusal = refusal
            self.content = parse(_read(self._good_path), self._good_path.name)

    @property
    def name(self) -> str:
        """What the file is called, without its folder."""
        return self._path.name

    def poll(self) -> bool:
        """Look whether the file changed; True when another content came into force."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        before = self.content
        try:
            self.content = self._load()
        except StorageError as refusal:
            self.refusal = refusal  # not the file's fault: the same edit is tried again
            return False
        except AmityError as refusal:
            self.refusal = refusal
        else:
            self.refusal = None
        self._stamp = stamp
        return self.content != before

    def _load(self) -> Content:
        text = _read(self._path)
        content = self._parse(text, self._path.name)
        _write(self._good_path, text)
        return content


def _stamp(path: Path) -> _Stamp:
    """What differs after any edit, also one of the same length within one tick of the disk's clock."""
    try:
        status = path.stat()
    except OSError:
        return _GONE
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _read(path: Path) -> str:
    try:
        return read_regular(path, OCTETS_MAX).decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path.name} is not UTF-8 text at octet {error.start}") from error
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} is gone", next_step="put the file back") from error
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror}", next_step="give this user the right to read it"
        ) from error


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(_OWNER_ONLY, exist_ok=False)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", next_step="free space on the disk") from error
