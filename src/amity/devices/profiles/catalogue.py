"""Where profiles come from: the files that ship with Amity, and a folder of the user's laid over them."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import resources

from amity.devices.profiles.loader import load_profile
from amity.devices.profiles.model import DeviceProfile
from amity.kernel.errors import ConfigurationError

_COMMON = ""  # files that only serve to be inherited from
_FICTIONAL = "fictional"
_FIELD = "field"


class Catalogue:
    """Profiles by name. `own` are the user's files (name without `.toml` to text); they go before Amity's.

    A file of the user's may inherit from any other, and replaces one of Amity's that has its name.
    """

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._own = own or {}
        self._known: dict[str, DeviceProfile] = {}

    def names(self) -> tuple[str, ...]:
        """The models that real meters may be: Amity's and the user's, by name."""
        return tuple(sorted({*field_keys(), *self._own}))

    def profiles(self) -> Iterable[DeviceProfile]:
        """All of them; raise ConfigurationError for a file of the user's that cannot be used."""
        return map(self.profile, self.names())

    def profile(self, key: str) -> DeviceProfile:
        """One model, fictional ones included; raise ConfigurationError when there is none or its file is wrong."""
        if key not in self._known:
            self._known[key] = load_profile(key, self.text)
        return self._known[key]

    def text(self, key: str) -> str:
        """The file of a profile as it is written."""
        if key in self._own:
            return self._own[key]
        return packaged_text(key, self._usable_names)

    def _usable_names(self) -> tuple[str, ...]:
        return tuple(name for name in self.names() if name not in self._own or self._is_usable(name))

    def _is_usable(self, name: str) -> bool:
        try:
            load_profile(name, self._file)
        except ConfigurationError:
            return False
        return True

    def _file(self, key: str) -> str:
        """Like `text`, but what is missing names no others: that would ask for usability again, without an end."""
        return self._own[key] if key in self._own else packaged_text(key)


@cache
def packaged_profile(key: str) -> DeviceProfile:
    """The profile that comes with Amity under this name; raise ConfigurationError when there is none."""
    return load_profile(key, packaged_text)


def field_keys() -> tuple[str, ...]:
    """The names of the models that real meters have."""
    return _keys(_FIELD)


def fictional_keys() -> tuple[str, ...]:
    """The names of the models that only the simulator builds."""
    return _keys(_FICTIONAL)


def packaged_keys() -> tuple[str, ...]:
    """The names of all models that come with Amity."""
    return (*fictional_keys(), *field_keys())


def packaged_text(key: str, known: Callable[[], tuple[str, ...]] = packaged_keys) -> str:
    """The file that comes with Amity under a name, those included that only serve to be inherited from.

    Raise ConfigurationError when there is none; it names those `known`.
    """
    if key.isidentifier():
        for folder in (_COMMON, _FIELD, _FICTIONAL):
            file = resources.files(__package__) / folder / f"{key}.toml"
            if file.is_file():
                return file.read_text(encoding="utf-8")
    raise ConfigurationError(
        f"there is no device profile named {key!r}",
        next_step=f"known profiles: {', '.join(known())}",
    )


@cache
def _keys(folder: str) -> tuple[str, ...]:
    names = (entry.name for entry in (resources.files(__package__) / folder).iterdir())
    return tuple(sorted(name[:-5] for name in names if name.endswith(".toml")))
