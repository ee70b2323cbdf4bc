"""The tables of the interface classes, read from the TOML files beside this module."""

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from amity.devices.interface_classes.model import AttributeSpec, InterfaceClass, MethodSpec, Right, Role
from amity.kernel.toml import parse_toml
from amity.protocols.dlms.data import Tag

_LOGICAL_NAME = AttributeSpec("logical_name", Tag.OCTET_STRING, dynamic=False, access=Right.READ)
_TAGS: dict[str, Tag | None] = {tag.label: tag for tag in Tag} | {"choice": None}
_RIGHTS = {"r": Right.READ, "w": Right.WRITE, "rw": Right.READ | Right.WRITE, "-": Right(0)}
_DYNAMIC = {"static": False, "dynamic": True}


def packaged_classes() -> dict[tuple[int, int], InterfaceClass]:
    """Every class that Amity knows, by class id and version; files in the order of their names."""
    files = sorted(resources.files(__package__).iterdir(), key=lambda file: file.name)
    tables = [file.read_text(encoding="utf-8") for file in files if file.name.endswith(".toml")]
    return {(known.class_id, known.version): known for text in tables for known in classes_in(text)}


def classes_in(text: str) -> Iterator[InterfaceClass]:
    """The classes of one TOML text; a table may extend another one of the same text that stands before it."""
    known: dict[str, InterfaceClass] = {}
    for key, table in parse_toml(text).items():
        known[key] = _class(table, known)
        yield known[key]


def _class(table: Mapping[str, Any], known: Mapping[str, InterfaceClass]) -> InterfaceClass:
    class_id, version, name = table["class"]
    attributes = tuple(_attribute(*row) for row in table.get("attributes", ()))
    methods = tuple(MethodSpec(method, Tag[_constant(label)]) for method, label in table.get("methods", ()))
    base = known[table["extends"]] if "extends" in table else None
    return InterfaceClass(
        class_id,
        version,
        name,
        (base.attributes if base else (_LOGICAL_NAME,)) + attributes,
        (base.methods if base else ()) + methods,
        Role(table["changed_by"]) if "changed_by" in table else (base.changed_by if base else Role.MANAGEMENT),
    )


def _attribute(name: str, type_name: str, dynamic: str, access: str) -> AttributeSpec:
    return AttributeSpec(name, _TAGS[type_name], _DYNAMIC[dynamic], _RIGHTS[access])


def _constant(label: str) -> str:
    return label.upper().replace("-", "_")
