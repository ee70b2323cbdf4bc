"""How much the parts of a process hold in memory: elements of all containers that they reach, counted without names.

A bound on the whole finds the leak that nobody thought of; which container it is, `largest` says.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

_OURS: Final = (
    "amity.headend.", "amity.messaging.broker", "amity.collector.", "amity.transports.", "amity.protocols.relay."
)  # fmt: skip
_SKIPPED: Final = ("amity.headend.event_catalogue", "amity.headend.mapping")  # what was read from files once
_CONTAINERS: Final = (dict, OrderedDict, list, set, frozenset, deque, tuple)


def held(roots: Iterable[object]) -> tuple[int, str]:
    """Elements held in all, and the container that holds most of them."""
    total, most, where = 0, 0, ""
    for path, container in _containers(roots):
        total += len(container)
        if len(container) > most:
            most, where = len(container), f"{path} with {len(container)}"
    return total, where


def sizes(roots: Iterable[object]) -> Counter[str]:
    """Elements of the containers by their path, but for those that lie in another container."""
    found: Counter[str] = Counter()
    for path, container in _containers(roots):
        if not path.endswith("[]"):
            found[path] += len(container)
    return found


def _containers(roots: Iterable[object]) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [(type(root).__name__, root) for root in roots]
    while waiting:
        path, thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, _CONTAINERS):
            yield path, thing
            inner = thing.values() if isinstance(thing, dict) else thing
            waiting += [(f"{path}[]", one) for one in inner if _is_looked_into(one)]
        else:
            waiting += [(f"{path}.{name}", one) for name, one in _parts(thing) if _is_looked_into(one)]


def _is_looked_into(thing: object) -> bool:
    if isinstance(thing, _CONTAINERS):
        return True
    module = type(thing).__module__
    return (module.startswith(_OURS) and not module.startswith(_SKIPPED)) or isinstance(thing, asyncio.Queue)


def _parts(thing: object) -> Iterator[tuple[str, object]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            found = getattr(thing, name, None)
            if found is not None:
                yield name, found
