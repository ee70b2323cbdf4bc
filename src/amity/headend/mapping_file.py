"""The mapping in a file that may be edited while the head-end runs."""

from pathlib import Path
from typing import Final

from amity.headend.mapping import Mapping, packaged_text, parse_mapping
from amity.kernel.errors import AmityError, ConfigurationError, StorageError

_LAST_GOOD: Final = ".last-good"

_Stamp = tuple[int, ...]
_GONE: Final[_Stamp] = ()


class MappingFile:
    """Holds the mapping in force; a bad edit is refused and changes nothing.

    `mapping` is in force, `refusal` is why the file as it stands now is not (None when it is). The last good text is
    kept beside the file, so that a restart during a bad edit goes on with it too.
    """

    def __init__(self, path: Path) -> None:
        """Read the file, written from the packaged mapping if there is none.

        Raise ConfigurationError when neither the file nor a last good copy is usable, StorageError when the disk fails.
        """
        self._path = path
        self._good_path = path.with_suffix(_LAST_GOOD + path.suffix)
        if not path.exists():
            _write(path, packaged_text())
        self.refusal: AmityError | None = None
        self._stamp = _stamp(path)
        try:
            self.mapping = self._load()
        except ConfigurationError as refusal:
            if not self._good_path.exists():
                raise
            self.refusal = refusal
            self.mapping = parse_mapping(_read(self._good_path), self._good_path.name)

    def poll(self) -> bool:
        """Look whether the file changed; True when another mapping came into force."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        before = self.mapping.version
        try:
            self.mapping = self._load()
        except StorageError as refusal:
            self.refusal = refusal  # not the file's fault: the same edit is tried again
            return False
        except AmityError as refusal:
            self.refusal = refusal
        else:
            self.refusal = None
        self._stamp = stamp
        return self.mapping.version != before

    def _load(self) -> Mapping:
        text = _read(self._path)
        mapping = parse_mapping(text, self._path.name)
        _write(self._good_path, text)
        return mapping


def _stamp(path: Path) -> _Stamp:
    """What differs after any edit, also one of the same length within one tick of the disk's clock."""
    try:
        status = path.stat()
    except OSError:
        return _GONE
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
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
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", next_step="free space on the disk") from error
