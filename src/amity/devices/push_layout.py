"""What is known about pushed lists that do not say it themselves, read from `push_layouts/*.toml`."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from amity.devices.push_reading import Scaling
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.toml import parse_toml
from amity.kernel.units import Unit
from amity.protocols.dlms.data import Data, Tag

_FOLDER = "push_layouts"


@dataclass(frozen=True, slots=True)
class LayoutElement:
    """What stands at one place of a list without names."""

    obis: Obis
    scaling: Scaling | None


@dataclass(frozen=True, slots=True)
class Layout:
    """A list without names: known by its types and, where it has one, the text it begins with."""

    list_id: str | None
    tags: tuple[Tag, ...]
    elements: tuple[LayoutElement, ...]
    manufacturer: str

    def fits(self, items: tuple[Data, ...]) -> bool:
        """True when this is the layout of such a list."""
        if tuple(item.tag for item in items) != self.tags:
            return False
        return self.list_id is None or list_id_of(items).startswith(self.list_id)


@dataclass(frozen=True, slots=True)
class Assumption:
    """Scaler and unit of the values of one maker's list, by value groups C and D of their names."""

    list_id: str | None
    system_title: str | None
    scalings: dict[tuple[int, int], Scaling]

    def applies(self, list_id: str, system_title: bytes) -> bool:
        """True for a list that starts with this text or comes from a meter of this maker."""
        if self.list_id is not None:
            return list_id.startswith(self.list_id)
        return self.system_title is not None and system_title.startswith(self.system_title.encode())


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything in the folder."""

    layouts: tuple[Layout, ...]
    assumptions: tuple[Assumption, ...]
    manufacturers: dict[str, str]

    def layout_of(self, items: tuple[Data, ...]) -> Layout | None:
        """The layout of a list without names, None when it is not known."""
        return next((layout for layout in self.layouts if layout.fits(items)), None)

    def assumed(self, obis: Obis, list_id: str, system_title: bytes) -> Scaling | None:
        """Scaler and unit of a value whose telegram leaves them out, None when nothing is known."""
        for assumption in self.assumptions:
            if assumption.applies(list_id, system_title):
                return assumption.scalings.get((obis[2], obis[3]))
        return None

    def manufacturer(self, list_id: str, system_title: bytes) -> str | None:
        """Who made the meter, by the text its list starts with or the first letters of its system title."""
        title = system_title[:3].decode("ascii", "replace")
        return next((maker for start, maker in self.manufacturers.items() if list_id.startswith(start)), None) or (
            self.manufacturers.get(title)
        )


def list_id_of(items: tuple[Data, ...]) -> str:
    """The text that a list begins with, empty when it does not."""
    if not items:
        return ""
    value = items[0].value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=1)
def knowledge() -> Knowledge:
    """The packaged layouts, read once."""
    folder = files("amity.devices") / _FOLDER
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda one: one.name)
    return knowledge_from([(entry.name, entry.read_text(encoding="utf-8")) for entry in entries])


def knowledge_from(texts: list[tuple[str, str]]) -> Knowledge:
    """Layouts from TOML texts with their file names; raise ConfigurationError that names the file."""
    layouts: list[Layout] = []
    assumptions: list[Assumption] = []
    manufacturers: dict[str, str] = {}
    for name, text in texts:
        try:
            document = parse_toml(text)
            layouts += [_layout(entry) for entry in document.get("layout", [])]
            assumptions += [_assumption(entry) for entry in document.get("assumption", [])]
            manufacturers |= document.get("manufacturer", {})
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigurationError(f"push layout {name} cannot be used: {error}") from error
    return Knowledge(tuple(layouts), tuple(assumptions), manufacturers)


def _layout(entry: dict[str, Any]) -> Layout:
    elements = entry["elements"]
    return Layout(
        list_id=entry.get("list_id"),
        tags=tuple(Tag[element["type"].upper().replace("-", "_")] for element in elements),
        elements=tuple(LayoutElement(Obis.parse(element["obis"]), _scaling(element)) for element in elements),
        manufacturer=entry["manufacturer"],
    )


def _assumption(entry: dict[str, Any]) -> Assumption:
    scalings = {
        (quantity, group["d"]): Scaling(group["scaler"], Unit[group["unit"].upper()])
        for group in entry["values"]
        for quantity in group["c"]
    }
    return Assumption(entry.get("list_id"), entry.get("system_title"), scalings)


def _scaling(element: dict[str, Any]) -> Scaling | None:
    return Scaling(element["scaler"], Unit[element["unit"].upper()]) if "unit" in element else None
