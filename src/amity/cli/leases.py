"""`amity jobs leases` and `release`: which workers hold meters, and how a person takes them from one that is gone."""

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from amity.domain.jobs import Lease
from amity.kernel.errors import ConfigurationError, NotFoundError
from amity.kernel.time import isoformat
from amity.runtime.databases import head_end_of

Configuration = Annotated[Path | None, typer.Option("--config", help="Default: /etc/ami-gateway.")]
Directory = Annotated[Path | None, typer.Option("--dir", help="An installation in one folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def leases(configuration: Configuration = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """The workers that hold meters, and for how long they were not heard of."""
    with head_end_of(configuration, directory) as database:
        found = [_document(worker, held) for worker, held in _by_worker(database.jobs.leases()).items()]
    if as_json:
        print(json.dumps(found))
        return
    for one in found:
        print(
            f"{one['worker']}: {len(one['meters'])} meters, renewed until {one['renewed_until']},"
            f" silent for {one['silent_s']} of {one['lasts_s']} s"
        )
    if not found:
        print("no worker holds a meter")


def release(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="As `amity jobs leases` names it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Free them without a question.")] = False,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Free the meters of a worker that is gone, now; one that lives loses its sessions, and nothing is stored twice."""
    if as_json and not yes:
        raise ConfigurationError("with --json nobody is asked", next_step="add --yes if the worker is gone")
    with head_end_of(configuration, directory) as database:
        held = _by_worker(database.jobs.leases()).get(worker)
        if held is None:
            raise NotFoundError(f"no worker {worker!r} holds a meter", next_step="see `amity jobs leases`")
        if not yes:
            typer.confirm(f"free {len(held)} meters of {worker}? Make sure that its process is gone", abort=True)
        freed = database.jobs.revoke(held)
    print(json.dumps({"freed": sorted(one.meter_id for one in freed)}) if as_json else f"{len(freed)} meters are free")


def _by_worker(held: Collection[Lease]) -> Mapping[str, Sequence[Lease]]:
    ordered = sorted(held, key=lambda one: (one.worker, one.meter_id))
    return {worker: list(of_worker) for worker, of_worker in groupby(ordered, key=lambda one: one.worker)}


def _document(worker: str, held: Sequence[Lease]) -> dict[str, Any]:
    return {
        "worker": worker,
        "meters": [one.meter_id for one in held],
        "renewed_until": isoformat(max(one.until for one in held)),
        "silent_s": int(max(one.silent for one in held).total_seconds()),
        "lasts_s": int(max(one.lasts for one in held).total_seconds()),
    }
