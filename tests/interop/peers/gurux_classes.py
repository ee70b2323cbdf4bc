"""What gurux-dlms says of the interface classes it knows, by the public introspection of its object classes.

Prints one JSON list, an entry for each class and version: the names and types of its attributes from the logical name
on, and the names of its methods. Reads `[[class, version], …]` from standard input; `newest` is the version that a new
object of the peer has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from gurux_dlms import objects
from gurux_dlms.objects import GXDLMSObject


def _kinds() -> dict[int, type[GXDLMSObject]]:
    """The peer's object classes by class id; its twisted pair setup (class 24) says 23 and would hide the HDLC one."""
    named = (getattr(objects, name) for name in dir(objects) if name.startswith("GXDLMS"))
    kinds = [kind for kind in named if isinstance(kind, type) and issubclass(kind, GXDLMSObject)]
    found: dict[int, type[GXDLMSObject]] = {}
    for kind in kinds:
        if kind is not GXDLMSObject:
            found.setdefault(int(kind().objectType), kind)
    return found


def _described(kind: type[GXDLMSObject], version: int) -> dict[str, Any]:
    instance = kind()
    instance.version = version
    count = instance.getAttributeCount()
    return {
        "class": int(instance.objectType),
        "version": version,
        "newest": kind().version,
        "attributes": count,
        "names": list(instance.getNames()),
        "types": [_type_of(instance, index) for index in range(1, count + 1)],
        "methods": instance.getMethodCount(),
        "method_names": list(instance.getMethodNames() or ()),
    }


def _type_of(instance: GXDLMSObject, index: int) -> int | None:
    """The number of a COSEM data type; None where the peer has no answer."""
    try:
        return int(instance.getDataType(index))
    except (ValueError, TypeError):
        return None


def _answers(wanted: list[list[int]]) -> Iterator[dict[str, Any]]:
    kinds = _kinds()
    for class_id, version in wanted:
        if class_id in kinds:
            yield _described(kinds[class_id], version)


if __name__ == "__main__":
    json.dump(list(_answers(json.load(sys.stdin))), sys.stdout)
