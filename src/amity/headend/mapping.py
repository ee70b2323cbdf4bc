"""`mapping.json`: which reading type each object of a meter is, so that a new maker is a line of data."""

import hashlib
import json
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib import resources
from typing import Final

from amity.domain.events import EventKind
from amity.headend.located_json import Located, parse
from amity.kernel.errors import AmityError, ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit

UNITS: Final = {unit.symbol: unit for unit in Unit if unit.symbol} | {"count": Unit.COUNT}
_OCTET_MAX: Final = 0xFF
_ANY: Final = "*"
_HASH_DIGITS: Final = 8


class Kind(StrEnum):
    """What a rule makes of an object; it applies only where that makes sense (`Place`)."""

    REGISTER = "register"  # the value at one instant
    INTERVAL = "interval"  # the amount of each interval
    CUMULATIVE_INTERVAL = "cumulative-interval"  # a running total captured each interval: differenced
    EVENT = "event"  # the code of an event
    IGNORE = "ignore"  # known and not wanted


class Place(StrEnum):
    """Where the object was met: read by itself, or captured by a profile."""

    REGISTER = "register"
    BILLING_PROFILE = "billing-profile"
    LOAD_PROFILE = "load-profile"
    EVENT_LOG = "event-log"


_KINDS: Final[Dictionary[Place, frozenset[Kind]]] = {
    Place.REGISTER: frozenset({Kind.REGISTER, Kind.IGNORE}),
    Place.BILLING_PROFILE: frozenset({Kind.REGISTER, Kind.IGNORE}),
    Place.LOAD_PROFILE: frozenset({Kind.INTERVAL, Kind.CUMULATIVE_INTERVAL, Kind.IGNORE}),
    Place.EVENT_LOG: frozenset({Kind.EVENT, Kind.IGNORE}),
}


@dataclass(frozen=True, slots=True)
class CosemObject:
    """A vendor object: class, logical name and attribute; class 0 where a push names the object without its class."""

    class_id: int
    obis: Obis
    attribute: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the mapping.

    `profile` is a pattern for the device profile's name (`*` any text), `obis` six groups of which each may be `*`.
    `reading` is None where the object's own OBIS is the reading's. `unit` and `scaler` are None where the meter's own
    scaler_unit holds. `rollover` is the number at which a running total starts again from 0, in the meter's own steps,
    None where that is the range of its data type. `codes` name the maker's event codes beyond those of its profile.
    """

    line: int
    kind: Kind
    profile: str
    class_id: int
    obis: tuple[int | None, ...]
    attribute: int
    reading: Obis | None = None
    unit: Unit | None = None
    scaler: int | None = None
    rollover: int | None = None
    codes: Dictionary[int, EventKind] = field(default_factory=dict)

    def matches(self, profile: str, place: Place, met: CosemObject) -> bool:
        """True when the rule speaks of this object of this model, met in this place."""
        return (
            self.kind in _KINDS[place]
            and met.class_id in {0, self.class_id}
            and met.attribute == self.attribute
            and all(group is None or group == octet for group, octet in zip(self.obis, met.obis, strict=True))
            and fnmatchcase(profile, self.profile)
        )

    def reading_obis(self, met: CosemObject) -> Obis:
        """The OBIS of the reading type."""
        return self.reading or met.obis


class Mapping:
    """The rules of one version; the first that matches an object decides.

    `version` names the content: what the file calls itself, `+`, and the start of a hash over its rules, for people
    forget to count a version up.
    """

    def __init__(self, version: str, rules: tuple[Rule, ...]) -> None:
        self.version = version
        self.rules = rules
        self._found: dict[tuple[str, Place, CosemObject], Rule | None] = {}

    def rule_for(self, profile: str, place: Place, met: CosemObject) -> Rule | None:
        """The rule for an object of a model, None when no rule names it."""
        key = (profile, place, met)
        if key not in self._found:
            self._found[key] = next((rule for rule in self.rules if rule.matches(profile, place, met)), None)
        return self._found[key]


def parse_mapping(text: str, source: str) -> Mapping:
    """Read a mapping; raise ConfigurationError with file, line and reason for anything not usable as written."""
    try:
        return _parsed(text, source)
    except RecursionError:
        raise ConfigurationError(f"{source} is nested too deeply") from None


def _parsed(text: str, source: str) -> Mapping:
    document = parse(text, source)
    members = document.members()
    _refuse_unknown(members, {"version", "rules"}, "mapping")
    version = _text(_needed(document, members, "version"))
    written = _needed(document, members, "rules")
    rules = tuple(map(_rule, written.items()))
    if not rules:
        raise written.refusal("there is no rule: with this mapping no object would have a meaning")
    return Mapping(f"{version}+{_content_hash(written)}", rules)


def _content_hash(rules: Located) -> str:
    """Blanks and the order of keys change nothing; the order of the rules does, as the first that fits decides."""
    canonical = json.dumps(rules.value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_HASH_DIGITS]


def packaged_text() -> str:
    """The mapping that comes with Amity."""
    return (resources.files(__package__) / "mapping.default.json").read_text(encoding="utf-8")


def packaged_mapping() -> Mapping:
    """The mapping that comes with Amity, read."""
    return parse_mapping(packaged_text(), "mapping.default.json")


# ------------------------------------------------------------------ one rule

_RULE_KEYS: Final = frozenset(
    {"kind", "profile", "class", "obis", "attribute", "reading", "unit", "scaler", "rollover", "codes", "note"}
)


def _rule(written: Located) -> Rule:
    members = written.members()
    _refuse_unknown(members, _RULE_KEYS, "rule")
    kind = _kind(_needed(written, members, "kind"))
    _refuse_misplaced(members, kind)
    return Rule(
        line=written.line,
        kind=kind,
        profile=_text(members["profile"]) if "profile" in members else _ANY,
        class_id=_integer(_needed(written, members, "class"), 1, 0xFFFF),
        obis=_pattern(_needed(written, members, "obis")),
        attribute=_integer(members["attribute"], 1, 127) if "attribute" in members else 2,
        reading=_obis(members["reading"]) if "reading" in members else None,
        unit=_unit(members["unit"]) if "unit" in members else None,
        scaler=_integer(members["scaler"], -9, 9) if "scaler" in members else None,
        rollover=_integer(members["rollover"], 1, 2**64) if "rollover" in members else None,
        codes=_codes(members["codes"]) if "codes" in members else {},
    )


_MEANT_FOR: Final[Dictionary[str, frozenset[Kind]]] = {
    "reading": frozenset({Kind.REGISTER, Kind.INTERVAL, Kind.CUMULATIVE_INTERVAL}),
    "unit": frozenset({Kind.REGISTER, Kind.INTERVAL, Kind.CUMULATIVE_INTERVAL}),
    "scaler": frozenset({Kind.REGISTER, Kind.INTERVAL, Kind.CUMULATIVE_INTERVAL}),
    "rollover": frozenset({Kind.CUMULATIVE_INTERVAL}),
    "codes": frozenset({Kind.EVENT}),
}


def _refuse_misplaced(members: Dictionary[str, Located], kind: Kind) -> None:
    for key, kinds in _MEANT_FOR.items():
        if key in members and kind not in kinds:
            raise members[key].refusal(f"{key!r} means nothing in a rule of kind {kind.value!r}")
    if kind is Kind.CUMULATIVE_INTERVAL and "reading" not in members:
        raise next(iter(members.values())).refusal(
            "a rule of kind 'cumulative-interval' needs 'reading': the differences are another quantity than the total"
        )


def _refuse_unknown(members: Dictionary[str, Located], known: frozenset[str] | set[str], what: str) -> None:
    for key, value in members.items():
        if key not in known:
            raise value.refusal(f"{key!r} is no key of a {what}; known: {', '.join(sorted(known))}")


def _needed(holder: Located, members: Dictionary[str, Located], key: str) -> Located:
    if key not in members:
        raise holder.refusal(f"the key {key!r} is missing")
    return members[key]


def _text(written: Located) -> str:
    if not isinstance(written.value, str) or not written.value or not written.value.isprintable():
        raise written.refusal("a text of printable characters is needed here")
    return written.value


def _integer(written: Located, low: int, high: int) -> int:
    value = written.value
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise written.refusal(f"a whole number from {low} to {high} is needed here, not {value!r}")
    return value


def _kind(written: Located) -> Kind:
    if written.value not in list(Kind):
        raise written.refusal(f"the kind is one of {', '.join(Kind)}, not {written.value!r}")
    return Kind(written.value)


def _unit(written: Located) -> Unit:
    symbol = _text(written)
    if symbol not in UNITS:
        raise written.refusal(f"{symbol!r} is no unit known here; known: {', '.join(UNITS)}")
    return UNITS[symbol]


def _obis(written: Located) -> Obis:
    try:
        return Obis.parse(_text(written))
    except AmityError as error:
        raise written.refusal(error.what) from error


def _pattern(written: Located) -> tuple[int | None, ...]:
    groups = _text(written).split(".")
    if len(groups) != len(Obis(bytes(6))) or not all(map(_is_group, groups)):
        raise written.refusal(f"{written.value!r} is not six numbers from 0 to 255 or '*' with dots between")
    return tuple(None if group == _ANY else int(group) for group in groups)


def _is_group(group: str) -> bool:
    return group == _ANY or (group.isascii() and group.isdecimal() and len(group) <= 3 and int(group) <= _OCTET_MAX)  # noqa: PLR2004 - digits of an octet


def _codes(written: Located) -> dict[int, EventKind]:
    codes: dict[int, EventKind] = {}
    for code, kind in written.members().items():
        if not (code.isascii() and code.isdecimal()):
            raise kind.refusal(f"an event code is a whole number, not {code!r}")
        if kind.value not in list(EventKind):
            raise kind.refusal(f"an event is one of {', '.join(EventKind)}, not {kind.value!r}")
        codes[int(code)] = EventKind(kind.value)
    return codes
