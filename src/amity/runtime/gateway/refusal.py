"""What somebody is told who wrote something else into dlms_config.yaml: line, key, and what may stand there."""

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic_core import ErrorDetails

from amity.kernel.errors import ConfigurationError
from amity.runtime.doors.shared_ports import Wanted
from amity.runtime.gateway.file import GatewayFile
from amity.runtime.gateway.yaml_lines import KeyPath, Read


def refusal(name: str, read: Read, first: ErrorDetails) -> ConfigurationError:
    """The first thing that pydantic found wrong in a document, in words; `name` is that of the file."""
    path: KeyPath = first["loc"]
    line = read.line_of(path)
    if first["type"] == "extra_forbidden":
        return _unknown_key(name, line, path)
    if first["type"] == "missing":
        return ConfigurationError(
            f"{name}, line {line}: {_in_words(path[:-1])} has no {path[-1]}",
            next_step=f"give {path[-1]}, {_described(path)}",
        )
    key, allowed = _in_words(path), _described(path)
    return ConfigurationError(
        f"{name}, line {line}: {key} is {_shown(first['input'])}: {_reason(first)}",
        next_step=f"give {key} {allowed}" if allowed else f"correct {key}",
    )


def shared_port(name: str, read: Read, one: Wanted, other: Wanted) -> ConfigurationError:
    """Two keys ask for one port; the later one in the file is the one to correct."""
    lines = {key: read.lines.get(tuple(key.split("."))) for key in (one.key, other.key)}
    key = max(lines, key=lambda key: lines[key] or 0)
    return ConfigurationError(
        f"{name}, line {lines[key] or 1}: {one.key} and {other.key} are both {one.port}",
        next_step=f"give {key} a port of its own",
    )


def unknown_profile(name: str, read: Read, profile: str, known: Sequence[str]) -> ConfigurationError:
    """`device_profile` names a profile that is not there."""
    likely = difflib.get_close_matches(profile, known, n=1)
    hint = f"did you mean {likely[0]}? " if likely else ""
    return ConfigurationError(
        f"{name}, line {read.line_of(('device_profile',))}: device_profile is {profile!r}: there is no such profile",
        next_step=f"{hint}known profiles: {', '.join(known)} (amity profile list)",
    )


def _unknown_key(name: str, line: int, path: KeyPath) -> ConfigurationError:
    around, known = path[:-1], sorted(_part_at(path[:-1]).get("properties", {}))
    likely = difflib.get_close_matches(str(path[-1]), known, n=1)
    hint = f"did you mean {_in_words((*around, likely[0]))}? " if likely else ""
    return ConfigurationError(
        f"{name}, line {line}: there is no key {_in_words(path)}", next_step=f"{hint}known keys: {', '.join(known)}"
    )


def _in_words(path: KeyPath) -> str:
    return ".".join(map(str, path)) or "the document"


def _reason(first: ErrorDetails) -> str:
    if first["type"] == "model_type":
        return "it should be keys with their values"
    return first["msg"].removeprefix("Value error, ").replace("Input should", "it should")


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    return repr(value) if isinstance(value, str | int | float | bool) else f"a {type(value).__name__}"


# ------------------------------------------------------------------ what the schema says of a place
def _described(path: KeyPath) -> str:
    part = _part_at(path)
    properties = part.get("properties")
    return f"the keys {', '.join(properties)}" if properties else str(part.get("description", ""))


def _part_at(path: KeyPath) -> dict[str, Any]:
    """The part of the schema that describes a path; empty where there is none."""
    schema = GatewayFile.model_json_schema()
    here: dict[str, Any] = schema
    for step in path:
        here = _resolved(here, schema)
        here = here.get("items", {}) if isinstance(step, int) else here.get("properties", {}).get(step, {})
    described = here.get("description")
    found = _resolved(here, schema)
    return {**found, "description": described} if described else found


def _resolved(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = here.get("$ref", "")
    resolved: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]] if reference else here
    return resolved
