"""Every mistake of a profile file with its line, not just the first (`amity profile check`)."""

from collections.abc import Callable
from typing import Any, NamedTuple

from amity.devices.profiles.catalogue import Catalogue
from amity.devices.profiles.loader import content_of, merged, overlaid, parsed, profile_from
from amity.devices.profiles.model import DeviceProfile
from amity.devices.profiles.table import ProfileError
from amity.kernel.errors import ConfigurationError
from amity.kernel.toml import TomlError, parse_toml

_MISTAKES_MAX = 100
_ROOT = "base"

Build = Callable[[str, dict[str, Any]], DeviceProfile]


class Mistake(NamedTuple):
    """What is wrong in one line of a file; `line` counts from 1 and is None where something is missing."""

    file: str
    line: int | None
    key: str
    reason: str
    next_step: str | None

    def __str__(self) -> str:
        """`mine.toml:12: association.client: must be …`, as compilers write it."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        advice = f"; {self.next_step}" if self.next_step else ""
        return f"{where}: {self.key}: {self.reason}{advice}" if self.key else f"{where}: {self.reason}{advice}"


def mistakes_of(key: str, catalogue: Catalogue) -> list[Mistake]:
    """All that is wrong with a profile, in the order of its lines; empty when it can be used."""
    try:
        content = merged(key, catalogue.text)
        healthy = merged(_parent(key, catalogue), catalogue.text)
    except ConfigurationError as error:
        return [_of_chain(key, catalogue, error), *_without_parent(key, catalogue)]
    return _mistakes(key, catalogue, content, healthy, profile_from)


def _without_parent(key: str, catalogue: Catalogue) -> list[Mistake]:
    """What is wrong in the file itself, whatever it would inherit; nothing where it is no TOML."""
    try:
        own = content_of(key, catalogue.text(key))
    except ConfigurationError:
        return []
    own.pop("inherit", None)
    healthy = merged(_ROOT, catalogue.text)
    found = _mistakes(key, catalogue, overlaid(healthy, own), healthy, parsed)
    return [mistake for mistake in found if mistake.line is not None and mistake.file == f"{key}.toml"]


def _mistakes(
    key: str, catalogue: Catalogue, content: dict[str, Any], healthy: dict[str, Any], build: Build
) -> list[Mistake]:
    """Build, note what is refused, mend it by what is inherited, and build again."""
    found: list[Mistake] = []
    while len(found) < _MISTAKES_MAX:
        try:
            build(key, content)
        except ProfileError as error:
            file, line = _place(key, catalogue, error.path)
            found.append(Mistake(f"{file}.toml", line, error.path, error.reason, error.next_step))
            if not _mend(content, healthy, error.path):
                break
        else:
            break
    return sorted(found, key=lambda mistake: (mistake.file != f"{key}.toml", mistake.line or 0))


def line_of(text: str, path: str) -> int | None:
    """The line (from 1) on which a key of a TOML text begins; None when the text does not have it.

    The first beginning of the text that is whole TOML and has the key ends with the statement that gives it.
    """
    lines = text.splitlines(keepends=True)
    after = 0  # the line up to which everything was whole before
    for count in range(1, len(lines) + 1):
        try:
            content = parse_toml("".join(lines[:count]))
        except TomlError:
            continue
        if _has(content, path.split(".")):
            return after + 1
        after = count
    return None


def _of_chain(key: str, catalogue: Catalogue, error: ConfigurationError) -> Mistake:
    """The files do not even come together: one is no TOML, or inherits from nothing."""
    if not isinstance(error, ProfileError):
        return Mistake(f"{key}.toml", None, "", error.what, error.next_step)
    line = error.line or line_of(catalogue.text(error.file.removesuffix(".toml")), error.path)
    return Mistake(error.file, line, error.path, error.reason, error.next_step)


def _parent(key: str, catalogue: Catalogue) -> str:
    return str(content_of(key, catalogue.text(key)).get("inherit", _ROOT))


def _place(key: str, catalogue: Catalogue, path: str) -> tuple[str, int | None]:
    """The file and line that give a key its value: the profile's own, or the nearest it inherits from."""
    file: object = key
    passed: set[str] = set()
    while isinstance(file, str) and file not in passed:
        passed.add(file)
        try:
            text = catalogue.text(file)
            above = content_of(file, text).get("inherit")
        except ConfigurationError:
            break  # where the chain breaks is told elsewhere
        if line := line_of(text, path):
            return file, line
        file = above
    return key, None


def _has(content: Any, names: list[str]) -> bool:
    for name in names:
        if not isinstance(content, dict) or name not in content:
            return False
        content = content[name]
    return True


def _mend(content: dict[str, Any], healthy: dict[str, Any], path: str) -> bool:
    """Give a wrong key the value it inherits, or none, so that the next mistake shows; False if that does not help."""
    *tables, last = path.split(".")
    table: Any = content
    for name in tables:
        table, healthy = table.get(name), healthy.get(name, {})
        if not isinstance(table, dict):
            return False
    if table.get(last) == healthy.get(last):
        return False
    table.pop(last, None)
    if last in healthy:
        table[last] = healthy[last]
    return True
