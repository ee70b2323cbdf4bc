"""Our tables of the interface classes beside those of a foreign implementation, for every version that both know.

What differs is named here with its reason; a difference that is gone makes the test fail as well as a new one.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from amity.devices.interface_classes import INTERFACE_CLASSES, InterfaceClass
from tests.interop import ledger
from tests.interop.foreign import ANSWER_TIMEOUT_S, interpreter_of

PEER = "gurux-dlms"
DIFFERENCES = {
    (4, 0, "type of 3"): "scal_unit_type is a structure; the peer says array",
    (4, 0, "methods"): "a register has reset; the peer names none",
    (5, 0, "type of 4"): "scal_unit_type is a structure; the peer says array",
    (7, 0, "type of 6"): "a capture object definition is a structure; the peer says array",
    (7, 1, "type of 6"): "a capture object definition is a structure; the peer says array",
    (7, 0, "methods"): "version 0 has get_buffer_by_range and get_buffer_by_index; the peer has them in no version",
    (21, 0, "type of 2"): "thresholds are an array; the peer says null",
    (21, 0, "type of 3"): "a value definition is a structure; the peer says array",
    (22, 0, "type of 2"): "a script reference is a structure; the peer says array",
    (41, 0, "name of 4"): "mss is the maximum segment size",
    (123, 0, "name of method 1"): "retrieve_number_of_entries is called Amount",
}
NAMES_BROKEN = {
    (15, 0): "names the methods of version 2",
    (15, 1): "names the methods of version 2",
    (64, 0): "names the methods of a clock",
    (64, 1): "names the methods of a clock",
    (124, 0): "names its one method by letters",
}
"""Where the peer's names of methods are not those of the class; how many there are is compared all the same."""


def test_attributes_types_and_methods_are_those_of_another_implementation():
    told = _asked_of_the_peer()
    both = [entry for entry in told if entry["version"] <= entry["newest"]]
    found = {difference for entry in both for difference in _differences(entry)}
    ledger.compared(_table(told, found))
    ledger.ran(PEER, role="tables", framing="-", auth="-", services=f"{len(both)} interface classes and versions")
    assert found == set(DIFFERENCES)
    assert len(both) >= len(INTERFACE_CLASSES) * 3 // 4


def _asked_of_the_peer() -> list[dict[str, Any]]:
    script = Path(__file__).parent / "peers" / "gurux_classes.py"
    finished = subprocess.run(  # noqa: S603 - our own script
        [interpreter_of(PEER), script], input=json.dumps(list(INTERFACE_CLASSES)), capture_output=True, text=True,
        timeout=ANSWER_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    answer: list[dict[str, Any]] = json.loads(finished.stdout.splitlines()[-1])
    return answer


def _differences(entry: dict[str, Any]) -> Iterator[tuple[int, int, str]]:
    key = entry["class"], entry["version"]
    ours = INTERFACE_CLASSES[key]
    if entry["attributes"] != len(ours.attributes):
        yield *key, "attributes"
    for index, (spec, tag) in enumerate(zip(ours.attributes, entry["types"], strict=False), 1):
        if spec.tag is not None and spec.tag != tag:
            yield *key, f"type of {index}"
    for index, (spec, name) in enumerate(zip(ours.attributes, entry["names"], strict=False), 1):
        if not _alike(spec.name, name):
            yield *key, f"name of {index}"
    yield from _different_methods(key, ours, entry)


def _different_methods(
    key: tuple[int, int], ours: InterfaceClass, entry: dict[str, Any]
) -> Iterator[tuple[int, int, str]]:
    if entry["methods"] != len(ours.methods):
        yield *key, "methods"
    elif key not in NAMES_BROKEN:
        for index, (spec, name) in enumerate(zip(ours.methods, entry["method_names"], strict=True), 1):
            if not _alike(spec.name, name):
                yield *key, f"name of method {index}"


def _alike(ours: str, theirs: str) -> bool:
    """True when the names share a word, or the beginning of one."""
    return any(
        one.startswith(other) or other.startswith(one)
        for one in ours.split("_")
        for other in theirs.lower().split()
        if min(len(one), len(other)) > 1
    )


def _table(told: list[dict[str, Any]], found: set[tuple[int, int, str]]) -> list[str]:
    """A line for each version of a class: what was compared, or why it could not be."""
    known = {(entry["class"], entry["version"]): entry for entry in told}
    lines = []
    for key, ours in sorted(INTERFACE_CLASSES.items()):
        entry = known.get(key)
        if entry is None or entry["version"] > entry["newest"]:
            result = "the peer does not know it"
        else:
            reasons = [f"{what}: {DIFFERENCES.get((*key, what), 'DIFFERS')}" for *at, what in found if tuple(at) == key]
            broken = [f"peer defect: {NAMES_BROKEN[key]}"] if key in NAMES_BROKEN else []
            result = "; ".join([*sorted(reasons), *broken]) or "same"
        size = f"{len(ours.attributes):2} attributes, {len(ours.methods)} methods"
        lines.append(f"{key[0]:3} v{key[1]}  {ours.name:30}  {size}  {result}")
    return lines
