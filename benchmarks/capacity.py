"""`python -m benchmarks.capacity`: what a session and a push cost, written where `amity capacity` reads it.

* A session by `benchmarks.meter_day`, with one channel and with four: the line through both gives the fixed part and
  the one for each thousand values. One broker; a plan multiplies it.
* What PostgreSQL does for it by `benchmarks.cluster` with two workers, and its log by how far that has moved.
* A push by a cluster of real programs (`tests.services.cluster`) with meters that call its one node, confirmed.
* Memory: of those programs; of a meter by `benchmarks.memory`, of an association by `benchmarks.associations`.
* Leases a second by `benchmarks.jobs`.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from amity.messaging.codec import ProtobufCodec
from amity.storage.ot.database import open_shared_database
from amity.usecases.capacity import parse_costs
from benchmarks import associations, cluster, jobs, memory, meter_day, workload
from benchmarks.processes import children, cpu_s, cpu_s_with_children, memory_octets
from tests.services import cluster as services
from tests.services import postgres
from tests.services.callers import Callers

_FEW, _MANY = 1, 4
_CONCURRENCY = 64
_CALLERS = 12  # one address may have only so many calls open that nobody has believed yet
_PUSHES_EACH = range(96)
_MEGA = 1_000_000
_FLEETS = (20_000, 60_000)
_ASSOCIATIONS, _THINKS_S = 500, 4.0
_LEASE_WORKERS = 4


class Session(NamedTuple):
    """A meter-day with so many values."""

    values: int
    costs: Mapping[str, float]


def session(channels: int, count: int, days: int) -> Session:
    """Medians of the days."""
    rounds, octets = meter_day.measure(count, days, _CONCURRENCY, channels=channels)
    costs = {
        f"{role}_cpu_ms": statistics.median(getattr(one, f"{role}_ms") for one in rounds)
        for role in ("headend", "broker", "mdm")
    }
    kept = {"message_octets": octets.message, "database_octets": octets.ot_disk, "mdm_octets": octets.it_disk}
    return Session(workload.ROWS * channels, {**costs, **kept, "wire_octets": octets.wire})


def line_through(few: Session, many: Session) -> dict[str, tuple[float, float]]:
    """Fixed part and that for each thousand values; where noise would make one of them negative, it is none."""
    lines = {}
    for name, most in many.costs.items():
        slope = max(0.0, most - few.costs[name]) / (many.values - few.values) * 1000
        fixed = max(0.0, most - slope * many.values / 1000)
        lines[name] = (fixed, (most - fixed) / many.values * 1000)
    return lines


@dataclass(frozen=True, slots=True)
class InDatabase:
    """What PostgreSQL did for a session, and how many segments it was on the line."""

    cpu_ms: float
    wal_octets: float
    segments: float


def in_database(count: int) -> InDatabase:
    """Two workers and simulated meters."""
    with postgres.server() as server, cluster.simulated(count) as (document, pid):
        setting = cluster.Setting(server.url, document, 0.0, _CONCURRENCY)
        with closing(open_shared_database(server.url)) as database:
            before = _log_position(database)
            row = cluster.measure(2, count, setting, server, pid)
            wal = (_log_position(database) - before) / count
            bodies = [one.body for one in database.collection.queued(100)]
        exchanges = statistics.mean(len(ProtobufCodec().decode(body).exchanges) for body in bodies)
    return InDatabase(row.database_ms, wal, 2 * exchanges)


def _log_position(database: cluster.OtDatabase) -> int:
    with database._engine.connect() as connection:  # noqa: SLF001 - of the server, not of our tables
        return int(connection.execute(text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")).scalar_one())


def pushes(count: int) -> tuple[dict[str, float], dict[str, float]]:
    """What a push costs, and what the programs hold in memory after all of them."""
    shape = services.Shape(meters=1, slow=0.0, nodes=("node1",), tapped=False)
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres.server() as server,
        redirect_stdout(StringIO()),
        services.running(Path(folder), server.url, shape) as stands,
    ):
        callers = Callers(count)
        stands.know(callers.provision)
        before, log = _spent(stands, server), _log_position(stands.ot)
        asyncio.run(callers.push(stands.ports["meters-bind"], _PUSHES_EACH, lambda _count: None))
        services.until(lambda: not stands.unsent(), "the outbox is empty", limit_s=300)
        services.until(lambda: len(stands.stored()) >= callers.confirmed, "the MDM side has all", limit_s=300)
        made, after = callers.confirmed, _spent(stands, server)
        costs = {name: 1000 * (after[name] - before[name]) / made for name in after}
        costs["wal_octets"] = (_log_position(stands.ot) - log) / made
        costs |= _octets_of_pushes(stands, made)
        held = {
            "headend_mb": memory_octets(stands.pid("node1")) / _MEGA,
            "mdm_mb": memory_octets(stands.pid("mdm")) / _MEGA,
            "broker_mb": max(_broker_octets(stands, name) for name in services.BROKERS) / _MEGA,
        }
    return costs, held


def _spent(stands: services.Cluster, server: postgres.Server) -> dict[str, float]:
    brokers = [cpu_s(pid) for name in services.BROKERS for pid in _with_children(stands.pid(name))]
    return {
        "headend_cpu_ms": cpu_s(stands.pid("node1")), "mdm_cpu_ms": cpu_s(stands.pid("mdm")),
        "broker_cpu_ms": sum(brokers) / len(services.BROKERS), "database_cpu_ms": cpu_s_with_children(server.pid),
    }  # fmt: skip


def _broker_octets(stands: services.Cluster, name: str) -> int:
    return sum(map(memory_octets, _with_children(stands.pid(name))))


def _with_children(pid: int) -> list[int]:
    return [pid, *children(pid)]


def _octets_of_pushes(stands: services.Cluster, made: int) -> dict[str, float]:
    """A push is one request and one confirmation; what is kept is its row, its message, and its share of indexes."""
    with stands.ot._engine.connect() as connection:  # noqa: SLF001 - sizes of tables
        message = connection.execute(text("SELECT avg(length(body)) FROM delivery WHERE outcome = 'pushed'"))
        kept = connection.execute(text("SELECT pg_total_relation_size('delivery')")).scalar_one() / made
        newest = connection.execute(text("SELECT body FROM delivery WHERE outcome = 'pushed' LIMIT 100")).scalars()
        exchanges = [ProtobufCodec().decode(bytes(body)).exchanges for body in newest]
        octets = float(message.scalar_one())
    with stands.it._engine.connect() as connection:  # noqa: SLF001 - as above
        pages = connection.exec_driver_sql(
            "SELECT p.page_count * s.page_size FROM pragma_page_count AS p, pragma_page_size AS s"
        )
        mdm = pages.scalar_one() / made
    wire = statistics.mean(len(one.request) + len(one.response) for found in exchanges for one in found)
    return {"message_octets": octets, "database_octets": kept, "mdm_octets": mdm, "wire_octets": wire, "segments": 2}


def meter_octets() -> float:
    """For each meter more that a head-end knows, once pushes made it look them up."""
    few, many = (memory.measure(count).after_a_push for count in _FLEETS)
    return (many - few) / (_FLEETS[1] - _FLEETS[0])


def association_octets() -> float:
    """For each that is open, at the highest."""
    made = associations.measure(_ASSOCIATIONS, _THINKS_S)
    return made.grown_octets / made.open_at_once


def leases_per_s(meters: int) -> float:
    """Meters a second that one PostgreSQL leases out and takes back, in large batches."""
    with postgres.server() as server:
        return meters / jobs.measure(server.url, _LEASE_WORKERS, meters).took_s


# ------------------------------------------------------------------ the document
def document(few: Session, many: Session, count: int, days: int) -> str:
    """As TOML."""
    lines, stored, (push, held) = line_through(few, many), in_database(count), pushes(_CALLERS)
    lines["database_cpu_ms"] = (stored.cpu_ms, 0.0)
    lines["wal_octets"] = (stored.wal_octets, 0.0)
    lines["segments"] = (stored.segments, 0.0)
    held |= {"meter_octets": meter_octets(), "association_octets": association_octets()}
    return "\n".join(
        [
            "# Measured. `python -m benchmarks.capacity` writes it; what it means: usecases/capacity.py.",
            f'measured_on = "{datetime.now(UTC).date().isoformat()}"',
            f'machine = "{os.cpu_count()} shared {platform.machine()} cores, Python {platform.python_version()}"',
            f'how = "python -m benchmarks.capacity --meters {count} --days {days}, load {os.getloadavg()[1]:.0f}"',
            f"values_measured = [{few.values}, {many.values}]",
            "",
            "[session]",
            *(
                f"{name} = {{ fixed = {fixed:.4g}, per_kilovalue = {slope:.4g} }}"
                for name, (fixed, slope) in sorted(lines.items())
            ),
            "",
            "[push]",
            *(f"{name} = {cost:.4g}" for name, cost in sorted(push.items())),
            "",
            "[memory]",
            *(f"{name} = {size:.4g}" for name, size in sorted(held.items())),
            "",
            "[limits]",
            f"leases_per_s = {leases_per_s(10_000):.4g}",
            "",
        ]
    )


def main() -> None:
    """Measure; write, or with `--print` only show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--meters", type=int, default=300)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--print", action="store_true", dest="only_print")
    options = parser.parse_args()
    few, many = (session(channels, options.meters, options.days) for channels in (_FEW, _MANY))
    made = document(few, many, options.meters, options.days)
    parse_costs(made)
    if options.only_print:
        sys.stdout.write(made)
    else:
        Path(str(files("amity.usecases") / "capacity_costs.toml")).write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
