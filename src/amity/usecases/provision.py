"""Put a town into the registry: what has to be known before the first reading."""

from collections.abc import Iterable

from amity.domain.registry import Town
from amity.kernel.errors import ConfigurationError
from amity.usecases.ports import Database


def provision(town: Town, database: Database) -> None:
    """Insert or update the whole town; idempotent.

    Raise ConfigurationError, and change nothing, when an id comes twice or an entry points to one that is not there.
    """
    _unique("transformer", [entry.transformer_id for entry in town.transformers])
    _unique("usage point", [entry.usage_point_id for entry in town.usage_points])
    _unique("meter", [entry.meter_id for entry in town.meters])
    transformers = {entry.transformer_id for entry in town.transformers}
    points = {entry.usage_point_id for entry in town.usage_points}
    _known(
        "usage point", "transformer", [(e.usage_point_id, e.transformer_id) for e in town.usage_points], transformers
    )
    _known("meter", "usage point", [(e.meter_id, e.usage_point_id) for e in town.meters], points)
    database.registry.provision(town)


def _unique(kind: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(
            f"the town document names {kind} {twice!r} more than once",
            next_step="give each one an id of its own, or remove the second entry",
        )


def _known(kind: str, target: str, links: Iterable[tuple[str, str]], known: set[str]) -> None:
    for name, pointed_to in links:
        if pointed_to not in known:
            raise ConfigurationError(
                f"{kind} {name!r} of the town document hangs on {target} {pointed_to!r}, which is not in it",
                next_step=f"add that {target}, or correct the id",
            )
