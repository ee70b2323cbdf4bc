"""Two doors of one installation on one port: the second to open would fail, so it is refused before any does."""

from collections.abc import Iterable
from itertools import combinations
from typing import Final, NamedTuple

_ANYWHERE: Final = {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound


class Wanted(NamedTuple):
    """A port as somebody set it, by its key; None or 0 where that door stays shut."""

    key: str
    host: str
    port: int | None


def first_shared(wanted: Iterable[Wanted]) -> tuple[Wanted, Wanted] | None:
    """The first two that cannot both be listened on; None when all can."""
    return next((pair for pair in combinations(wanted, 2) if _collide(*pair)), None)


def _collide(one: Wanted, other: Wanted) -> bool:
    hosts = {one.host, other.host}
    return bool(one.port) and one.port == other.port and (len(hosts) == 1 or bool(hosts & _ANYWHERE))
