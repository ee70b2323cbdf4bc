"""What an OBIS code names, as far as the standard says it: patterns and, for electricity, quantity and processing."""

from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from amity.kernel.obis import Obis
from amity.kernel.toml import parse_toml

_ELECTRICITY = 1
_PHASES = {0: "", 20: " L1", 40: " L2", 60: " L3"}  # what value group C adds for a phase
_PHASE_STEP = 20
_NEUTRAL = {91: "Neutral current", 92: "Neutral voltage"}
_CURRENT_VALUE = 255
_ANY = range(256)


class _Pattern(NamedTuple):
    """Which numbers each group may have, and which group the name's `{n}` stands for."""

    groups: tuple[range, ...]
    counted: int | None
    name: str

    def fits(self, obis: Obis) -> bool:
        return all(number in allowed for number, allowed in zip(obis, self.groups, strict=True))

    def name_of(self, obis: Obis) -> str:
        if self.counted is None:
            return self.name
        number = obis[self.counted]
        return self.name.replace("{n+1}", str(number + 1)).replace("{n}", str(number))


def name_of(obis: Obis) -> str | None:
    """What a code names, None for one that the tables do not have (most of them the maker's own)."""
    found = next((pattern.name_of(obis) for pattern in _patterns() if pattern.fits(obis)), None)
    return found or (_electricity(obis) if obis[0] == _ELECTRICITY else None)


def medium_of(obis: Obis) -> str:
    """What is measured, from value group A."""
    return str(_tables()["media"].get(str(obis[0]), f"Medium {obis[0]}"))


def _electricity(obis: Obis) -> str | None:
    """`Active energy import L1, total, tariff 2, billing period 3` from the groups C to F."""
    _, _, quantity, processing, tariff, period = obis
    known = _tables()["electricity"]["processing"].get(str(processing))
    base = quantity % _PHASE_STEP if quantity - quantity % _PHASE_STEP in _PHASES else quantity
    names = _tables()["electricity"]["quantities"].get(str(base))
    if known is None or (names is None and quantity not in _NEUTRAL):
        return None
    how, integrated = known
    what = _NEUTRAL.get(quantity) or names[integrated] + _PHASES[quantity - base]
    parts = [what, how, f"tariff {tariff}" if tariff else ""]
    parts.append("" if period == _CURRENT_VALUE else f"billing period {period}")
    return ", ".join(part for part in parts if part)


@cache
def _tables() -> dict[str, Any]:
    file = resources.files("amity.devices") / "obis_names.toml"
    return parse_toml(file.read_text(encoding="utf-8"))


@cache
def _patterns() -> tuple[_Pattern, ...]:
    return tuple(_pattern(text, name) for text, name in _tables()["patterns"].items())


def _pattern(text: str, name: str) -> _Pattern:
    groups = text.split(".")
    counted = groups.index("n") if "n" in groups else None
    return _Pattern(tuple(map(_allowed, groups)), counted, name)


def _allowed(group: str) -> range:
    if group in {"*", "n"}:
        return _ANY
    first, _, last = group.partition("-")
    return range(int(first), int(last or first) + 1)
