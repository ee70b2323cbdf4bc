"""The objects of a meter as a tree for people and as JSON for programs."""

from collections.abc import Iterator
from typing import Any

from rich.markup import escape

from amity.devices.interface_classes import Right
from amity.devices.object_tree import AttributeEntry, ObjectEntry, ObjectList

_SHOWN = {Right(0): "--", Right.READ: "r-", Right.WRITE: "-w", Right.READ | Right.WRITE: "rw"}
_UNNAMED = "(the maker's own)"


def lines(found: ObjectList, *, with_rights: bool) -> Iterator[str]:
    """Medium, class, object and, where wanted, attributes and methods: one a line, two spaces for each level."""
    for medium in found.tree():
        yield f"[bold]{escape(medium.name)}[/]"
        for branch in medium.classes:
            yield f"  {escape(branch.name)} (class {branch.class_id})"
            for entry in branch.objects:
                yield f"    {entry.obis}  {escape(entry.name or _UNNAMED)}{_changes(entry)}"
                yield from _rights(entry) if with_rights else ()
    if found.unreadable:
        yield f"{found.unreadable} entries of the list do not read"


def to_json(found: ObjectList) -> dict[str, Any]:
    """Every object with its class, name and rights."""
    return {"objects": [_object(entry) for entry in found.objects], "unreadable": found.unreadable}


def _changes(entry: ObjectEntry) -> str:
    """What can be changed or called, by name: the rest is only read."""
    written = [_name(attribute) for attribute in entry.attributes if Right.WRITE in attribute.rights]
    called = [f"{method.name or method.index}()" for method in entry.methods if method.callable]
    return f"  [dim]{escape(', '.join([*written, *called]))}[/]" if written or called else ""


def _rights(entry: ObjectEntry) -> Iterator[str]:
    for attribute in entry.attributes:
        yield f"      {_SHOWN[attribute.rights]} {attribute.index} {escape(_name(attribute))}"
    for method in entry.methods:
        yield f"      {'x' if method.callable else '-'}  {method.index} {escape(str(method.name or method.index))}()"


def _name(attribute: AttributeEntry) -> str:
    return attribute.name or f"attribute {attribute.index}"


def _object(entry: ObjectEntry) -> dict[str, Any]:
    return {
        "obis": str(entry.obis),
        "name": entry.name,
        "medium": entry.medium,
        "class_id": entry.class_id,
        "version": entry.version,
        "class": entry.class_name,
        "attributes": [
            {
                "index": attribute.index,
                "name": attribute.name,
                "access": _SHOWN[attribute.rights].replace("-", ""),
                "selectors": list(attribute.selectors),
            }
            for attribute in entry.attributes
        ],
        "methods": [
            {"index": method.index, "name": method.name, "callable": method.callable} for method in entry.methods
        ],
    }
