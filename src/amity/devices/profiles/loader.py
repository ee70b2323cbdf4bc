"""Device profiles from TOML: `inherit` merges table by table, then every key is checked."""

import tomllib
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from amity.devices.profiles.model import (
    CLOCK_COLUMN,
    AssociationRules,
    ClockEncoding,
    ClockRules,
    DailyProfileRules,
    Deviation,
    DeviceProfile,
    EventLogRules,
    Form,
    LoadProfileRules,
    MeasuredObject,
    Quantity,
    Selector,
    Stamp,
    StatusBits,
)
from amity.devices.profiles.table import Table
from amity.devices.settings import PDU_OCTETS_MAX, Authentication, Ciphering, Protection
from amity.kernel.errors import ConfigurationError
from amity.kernel.units import Unit
from amity.protocols.dlms.data import Tag

_Found = TypeVar("_Found")
_FLAG_LETTERS = 3
_INHERITANCE_DEPTH_MAX = 8
_PDU_OCTETS_MIN = 128
_BIT_MAX = 7
_VALUE_TAGS = {
    tag.label: tag
    for tag in (
        Tag.UNSIGNED, Tag.LONG_UNSIGNED, Tag.DOUBLE_LONG_UNSIGNED, Tag.LONG64_UNSIGNED,
        Tag.INTEGER, Tag.LONG, Tag.DOUBLE_LONG, Tag.LONG64,
    )
}  # fmt: skip
_UNITS = {unit.symbol: unit for unit in Unit if unit.symbol}


@cache
def packaged_profile(key: str) -> DeviceProfile:
    """The profile that comes with Amity under this name; raise ConfigurationError when there is none."""
    return load_profile(key, _packaged_text)


def packaged_keys() -> tuple[str, ...]:
    """The names of all meter models that come with Amity, without the files that others only inherit from."""
    names = (entry.name for entry in resources.files(__package__).iterdir())
    return tuple(sorted(name[:-5] for name in names if name.endswith(".toml") and not name.startswith("base")))


def load_profile(key: str, text_of: Callable[[str], str]) -> DeviceProfile:
    """Build the profile `key` from TOML texts; `text_of(key)` gives the text of one file by its name.

    Raises ConfigurationError that names file, key and reason for anything not usable as written.
    """
    return _profile(key, Table(f"{key}.toml", "", _merged(key, text_of, _INHERITANCE_DEPTH_MAX)))


def _packaged_text(key: str) -> str:
    file = resources.files(__package__) / f"{key}.toml"
    if not key.isidentifier() or not file.is_file():
        raise ConfigurationError(
            f"there is no device profile named {key!r}", next_step=f"known profiles: {', '.join(packaged_keys())}"
        )
    return file.read_text(encoding="utf-8")


def _merged(key: str, text_of: Callable[[str], str], depth: int) -> dict[str, Any]:
    try:
        content = tomllib.loads(text_of(key))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{key}.toml: {error}", next_step="correct the line the message names") from error
    parent = content.pop("inherit", None)
    if parent is None:
        return content
    if depth == 0 or not isinstance(parent, str):
        raise ConfigurationError(f"{key}.toml: inherit: {parent!r} does not lead to a file without `inherit`")
    return _overlay(_merged(parent, text_of, depth - 1), content)


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _overlay(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _profile(key: str, root: Table) -> DeviceProfile:
    flag = root.text("flag")
    if len(flag) != _FLAG_LETTERS or not flag.isascii() or not flag.isupper():
        raise root.refusal("flag", f"must be {_FLAG_LETTERS} capital letters, not {flag!r}")
    profile = DeviceProfile(
        key=key,
        manufacturer=root.text("manufacturer"),
        flag=flag,
        model=root.text("model"),
        association=_association(root.table("association")),
        clock=_clock(root.table("clock")),
        load_profile=_load_profile(root.table("load_profile")),
        daily_profile=_daily_profile(root.table("daily_profile")),
        event_log=_event_log(root.table("event_log")),
        objects=_objects(root.table("objects")),
    )
    root.finish()
    _check_columns(profile, root)
    return profile


def _association(table: Table) -> AssociationRules:
    rules = AssociationRules(
        client=table.integer("client", 1, 0xFFFF),
        server=table.integer("server", 1, 0xFFFF),
        authentication=table.choice("authentication", Authentication),
        ciphering=table.choice("ciphering", Ciphering),
        protection=table.choice("protection", Protection),
        max_pdu_octets=table.integer("max_pdu_octets", _PDU_OCTETS_MIN, PDU_OCTETS_MAX),
        with_list=table.flag("with_list"),
        answers_release=table.flag("answers_release"),
    )
    if (rules.ciphering is Ciphering.NONE) != (rules.protection is Protection.NONE):
        raise table.refusal("protection", f"{rules.protection} does not go with ciphering {rules.ciphering}")
    table.finish()
    return rules


def _clock(table: Table) -> ClockRules:
    rules = ClockRules(
        encoding=table.choice("encoding", ClockEncoding),
        deviation=table.choice("deviation", Deviation),
        standard_offset_min=table.integer("standard_offset_min", -720, 840),
        deviation_inverted=table.flag("deviation_inverted"),
    )
    table.finish()
    return rules


def _load_profile(table: Table) -> LoadProfileRules:
    rules = LoadProfileRules(
        obis=table.obis("obis"),
        capture_period_s=table.integer("capture_period_s", 60, 86_400),
        entries_max=table.integer("entries_max", 1, 1_000_000),
        stamp=table.choice("stamp", Stamp),
        null_timestamps=table.flag("null_timestamps"),
        access=table.choices("access", Selector),
        columns=table.words("columns"),
        status_bits=_status_bits(table.table("status_bits")),
    )
    table.finish()
    return rules


def _status_bits(table: Table) -> StatusBits:
    bits = StatusBits(
        clock_invalid=table.integer("clock_invalid", 0, _BIT_MAX),
        clock_adjusted=table.integer("clock_adjusted", 0, _BIT_MAX),
        power_down=table.integer("power_down", 0, _BIT_MAX),
    )
    table.finish()
    return bits


def _daily_profile(table: Table) -> DailyProfileRules:
    rules = DailyProfileRules(obis=table.obis("obis"), entries_max=table.integer("entries_max", 1, 1_000_000))
    table.finish()
    return rules


def _event_log(table: Table) -> EventLogRules:
    rules = EventLogRules(
        obis=table.obis("obis"),
        entries_max=table.integer("entries_max", 1, 1_000_000),
        codes=_event_codes(table.table("codes")),
    )
    table.finish()
    return rules


def _event_codes(table: Table) -> tuple[tuple[int, str], ...]:
    codes = []
    for code in table.names():
        if not code.isdecimal() or int(code) > 0xFFFF:  # noqa: PLR2004 - codes are long-unsigned
            raise table.refusal(code, "must be a number from 0 to 65535")
        codes.append((int(code), table.text(code)))
    return tuple(codes)


def _objects(table: Table) -> tuple[MeasuredObject, ...]:
    return tuple(_measured(name, table.table(name)) for name in table.names())


def _measured(name: str, table: Table) -> MeasuredObject:
    measured = MeasuredObject(
        name=name,
        class_id=table.integer("class_id", 1, 4),
        obis=table.obis("obis"),
        quantity=table.choice("quantity", Quantity),
        form=table.choice("form", Form),
        tag=_looked_up(table, "type", _VALUE_TAGS),
        scaler=table.integer("scaler", -9, 9, default=0),
        unit=_looked_up(table, "unit", _UNITS) if "unit" in table.names() else Unit.COUNT,
    )
    table.finish()
    return measured


def _looked_up(table: Table, key: str, known: dict[str, _Found]) -> _Found:
    word = table.text(key)
    if word not in known:
        raise table.refusal(key, f"must be one of {', '.join(known)}, not {word!r}")
    return known[word]


def _check_columns(profile: DeviceProfile, root: Table) -> None:
    columns = profile.load_profile.columns
    if CLOCK_COLUMN not in columns:
        raise root.refusal("load_profile.columns", f"has no {CLOCK_COLUMN!r}: a row without time cannot be placed")
    names = {measured.name for measured in profile.objects}
    for column in columns:
        if column != CLOCK_COLUMN and column not in names:
            raise root.refusal("load_profile.columns", f"{column!r} is not one of the objects: {', '.join(names)}")
