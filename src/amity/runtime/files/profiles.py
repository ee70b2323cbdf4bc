"""Device profiles in a folder of the user's, laid over those that come with Amity."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from amity.devices.profiles import Catalogue, DeviceProfile
from amity.headend.regular_file import read_regular
from amity.kernel.errors import ConfigurationError

ProfileOf = Callable[[str], DeviceProfile]

_FILE_OCTETS_MAX = 256 << 10
ENDING = ".toml"
"""How the name of a profile file ends."""


class _Texts(Mapping[str, str]):
    """The texts of files by the names of their profiles."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> str:
        return text_of(self._files[name])

    def __contains__(self, name: object) -> bool:
        return name in self._files  # without reading it, which may fail

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def catalogue_of(folder: Path | None) -> Catalogue:
    """Amity's profiles, and every `*.toml` of a folder when one is given.

    Raise ConfigurationError if it is no folder. A file is read when its profile is asked for: one that cannot be read
    spoils no other.
    """
    if folder is None:
        return Catalogue()
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder of device profiles", next_step="name a folder of *.toml files")
    return Catalogue(_Texts({file.stem: file for file in sorted(folder.glob(f"*{ENDING}"))}))


def text_of(file: Path) -> str:
    """The text of a profile file; raise ConfigurationError when it cannot be read or is no text."""
    try:
        return read_regular(file, _FILE_OCTETS_MAX).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read as text: {error}", next_step="give a TOML file") from error
