"""Device profiles in a folder of the user's, laid over those that come with Amity."""

from collections.abc import Callable, Mapping
from pathlib import Path

from amity.devices.profiles import Catalogue, DeviceProfile
from amity.kernel.errors import ConfigurationError

ProfileOf = Callable[[str], DeviceProfile]

_FILE_OCTETS_MAX = 256 << 10
_NONE: Mapping[str, str] = {}


def catalogue_of(folder: Path | None, more: Mapping[str, str] = _NONE) -> Catalogue:
    """Amity's profiles, `more` (name to text), and every `*.toml` of a folder when one is given.

    Raise ConfigurationError if it is no folder.
    """
    if folder is None:
        return Catalogue(more)
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder of device profiles", next_step="name a folder of *.toml files")
    return Catalogue({**more, **{file.stem: text_of(file) for file in sorted(folder.glob("*.toml"))}})


def text_of(file: Path) -> str:
    """The text of a profile file; raise ConfigurationError when it cannot be read or is no text."""
    try:
        octets = file.read_bytes()
        text = octets.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read as text: {error}", next_step="give a TOML file") from error
    if len(octets) > _FILE_OCTETS_MAX:
        raise ConfigurationError(f"{file} has {len(octets)} octets; a device profile is small")
    return text
