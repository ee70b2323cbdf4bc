"""Device profiles from TOML: `inherit` merges table by table, then every key is checked."""

from collections.abc import Callable
from typing import Any, TypeVar

from amity.devices.profiles.model import (
    CLOCK_COLUMN,
    AssociationRules,
    Basis,
    ClockEncoding,
    ClockRules,
    DailyProfileRules,
    Deviation,
    DeviceProfile,
    EventLogRules,
    Form,
    Framing,
    LinkRules,
    LoadProfileRules,
    MeasuredObject,
    Quantity,
    Quirk,
    RangeDeviation,
    Recognition,
    Selector,
    SignOn,
    Stamp,
    StatusBits,
)
from amity.devices.profiles.table import ProfileError, Table
from amity.devices.settings import PDU_OCTETS_MAX, Authentication, Ciphering, Protection
from amity.kernel.errors import ConfigurationError
from amity.kernel.toml import TomlError, parse_toml
from amity.kernel.units import Unit
from amity.protocols.dlms.data import Tag

TextOf = Callable[[str], str]
"""The text of a profile file by its name; raises ConfigurationError when there is none."""

_Found = TypeVar("_Found")
NO_MAKER = "XXX"
"""The flag of a profile that no single maker's meters have; such a model is known by its objects only."""

_FLAG_LETTERS = 3
_INHERITANCE_DEPTH_MAX = 8
_PDU_OCTETS_MIN = 128
_BIT_MAX = 7
_HDLC_PART_MAX = 0x3FFF
_HDLC_ADDRESS_OCTETS = (0, 1, 2, 4)
_VALUE_TAGS = {
    tag.label: tag
    for tag in (
        Tag.UNSIGNED, Tag.LONG_UNSIGNED, Tag.DOUBLE_LONG_UNSIGNED, Tag.LONG64_UNSIGNED,
        Tag.INTEGER, Tag.LONG, Tag.DOUBLE_LONG, Tag.LONG64,
    )
}  # fmt: skip
_UNITS = {unit.symbol: unit for unit in Unit if unit.symbol}


def load_profile(key: str, text_of: TextOf) -> DeviceProfile:
    """Build the profile `key` from TOML texts; `text_of(key)` gives the text of one file by its name.

    Raises ConfigurationError that names file, key and reason for anything not usable as written.
    """
    return profile_from(key, merged(key, text_of))


def merged(key: str, text_of: TextOf, depth: int = _INHERITANCE_DEPTH_MAX) -> dict[str, Any]:
    """The content of a profile's file over that of the files it inherits from."""
    content = content_of(key, text_of(key))
    parent = content.pop("inherit", None)
    if parent is None:
        return content
    if depth == 0 or not isinstance(parent, str):
        raise ProfileError(f"{key}.toml", "inherit", f"{parent!r} does not lead to a file without `inherit`")
    return overlaid(_inherited(key, parent, text_of, depth), content)


def _inherited(key: str, parent: str, text_of: TextOf, depth: int) -> dict[str, Any]:
    """What a file inherits; a parent that is not there, or cannot be read, is a mistake of the line that names it."""
    try:
        return merged(parent, text_of, depth - 1)
    except ProfileError:
        raise
    except ConfigurationError as error:
        raise ProfileError(f"{key}.toml", "inherit", error.what, error.next_step) from error


def content_of(key: str, text: str) -> dict[str, Any]:
    """One file's own content; raise ProfileError with the line where it is no TOML."""
    try:
        return parse_toml(text)
    except TomlError as error:
        line = error.line or max(len(text.splitlines()), 1)
        raise ProfileError(f"{key}.toml", "", str(error), "correct the line the message names", line=line) from error


def overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """One content over another, table by table."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = overlaid(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def profile_from(key: str, content: dict[str, Any]) -> DeviceProfile:
    """The profile that merged content describes; raise ProfileError for the first key that cannot be used."""
    profile = parsed(key, content)
    _check_columns(profile)
    return profile


def parsed(key: str, content: dict[str, Any]) -> DeviceProfile:
    """The same key by key; whether columns and objects go together is not looked at."""
    root = Table(f"{key}.toml", "", content)
    flag = root.text("flag")
    if len(flag) != _FLAG_LETTERS or not flag.isascii() or not flag.isupper():
        raise root.refusal("flag", f"must be {_FLAG_LETTERS} capital letters, not {flag!r}")
    profile = DeviceProfile(
        key=key,
        manufacturer=root.text("manufacturer"),
        flag=flag,
        model=root.text("model"),
        basis=root.choice("basis", Basis),
        quirks=root.choices("quirks", Quirk),
        recognised_by=_recognition(root.table("recognised_by"), flag),
        link=_link(root.table("link")),
        association=_association(root.table("association")),
        clock=_clock(root.table("clock")),
        load_profile=_load_profile(root.table("load_profile")),
        daily_profile=_daily_profile(root.table("daily_profile")),
        event_log=_event_log(root.table("event_log")),
        objects=_objects(root.table("objects")),
    )
    root.finish()
    return profile


def _recognition(table: Table, flag: str) -> Recognition:
    by_flag = () if flag == NO_MAKER else (flag,)
    rules = Recognition(names=table.words("names") or by_flag, objects=table.obis_list("objects"))
    table.finish()
    return rules


def _link(table: Table) -> LinkRules:
    rules = LinkRules(
        framing=table.choice("framing", Framing),
        physical=table.integer("physical", 0, _HDLC_PART_MAX),
        address_octets=table.integer("address_octets", 0, 4),
        baud=table.integer("baud", 300, 4_000_000),
        sign_on=table.choice("sign_on", SignOn),
    )
    if rules.address_octets not in _HDLC_ADDRESS_OCTETS:
        raise table.refusal("address_octets", "an HDLC address has 1, 2 or 4 octets; 0 takes the shortest that fits")
    table.finish()
    return rules


def _association(table: Table) -> AssociationRules:
    rules = AssociationRules(
        client=table.integer("client", 1, 0xFFFF),
        public_client=table.integer("public_client", 1, 0xFFFF),
        server=table.integer("server", 1, 0xFFFF),
        invocation_counter=table.obis("invocation_counter"),
        suite=table.integer("suite", 0, 2),
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
        range_deviation=table.choice("range_deviation", RangeDeviation),
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
        others=table.obis_list("others"),
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


def _check_columns(profile: DeviceProfile) -> None:
    columns, root = profile.load_profile.columns, Table(f"{profile.key}.toml", "", {})
    if CLOCK_COLUMN not in columns:
        raise root.refusal("load_profile.columns", f"has no {CLOCK_COLUMN!r}: a row without time cannot be placed")
    names = {measured.name for measured in profile.objects}
    for column in columns:
        if column != CLOCK_COLUMN and column not in names:
            raise root.refusal("load_profile.columns", f"{column!r} is not one of the objects: {', '.join(names)}")
