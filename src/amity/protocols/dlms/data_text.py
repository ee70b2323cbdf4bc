"""Data as plain Python values and as JSON with the type names of the standard."""

import math
from typing import Any

from amity.protocols.dlms.data_types import BitString, CompactArray, Data, Tag, TypeDescription


def natural(data: Data) -> Any:
    """Python natives: None, bool, int, float, str, bytes, list; a bit string becomes `"1101"`."""
    value = data.value
    if isinstance(value, BitString):
        return str(value)
    return [natural(item) for item in data.items] if data.is_sequence else value


def to_json(data: Data) -> dict[str, Any]:
    """`{"double-long-unsigned": 280}`, `{"structure": [...]}`; octets as hex, a not-a-number as text."""
    return {data.tag.label: _json_value(data)}


def _json_value(data: Data) -> Any:
    match data.value:
        case CompactArray(description, _, items):
            return {"type": _description(description), "items": [to_json(item) for item in items]}
        case BitString() as bits:
            return str(bits)
        case tuple(items):
            return [to_json(item) for item in items]
        case bytes(octets):
            return octets.hex()
        case str(text):  # a broken UTF-8 octet is shown as an escape: JSON text has no place for it
            return text.encode("utf-8", "backslashreplace").decode()
        case value:
            return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _description(description: TypeDescription) -> Any:
    if description.tag is Tag.ARRAY:
        return {"array": _description(description.elements[0]), "count": description.element_count}
    if description.tag is Tag.STRUCTURE:
        return {"structure": [_description(element) for element in description.elements]}
    return description.tag.label
