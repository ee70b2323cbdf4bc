"""Service levels for Prometheus: a file for the textfile collector of node_exporter, written with each report.

A report walks the job log of a fleet: it is made on a timer (`amity sla report … --metrics FILE` from cron), not at
each scrape. Labels are the measures and groups that the operator named: as many series as the report has lines.
"""

from datetime import UTC, datetime, time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from amity.headend.sla.report import ServiceReport
from amity.kernel.errors import StorageError
from amity.kernel.time import epoch_s

_LABELS = ("level", "measure", "group")


def write_sla_metrics(made: ServiceReport, path: Path) -> None:
    """Replace the file at once, so that no half of it is scraped; raise StorageError when the disk does not take it."""
    registry = CollectorRegistry()
    share = Gauge("amity_sla_share_ratio", "Of what is decided, what was met.", _LABELS, registry=registry)
    target = Gauge("amity_sla_target_ratio", "What was promised.", _LABELS, registry=registry)
    open_ = Gauge("amity_sla_open", "Meters or jobs that may still be met.", _LABELS, registry=registry)
    counted = Gauge("amity_sla_counted", "Meters or jobs that the measure is about.", _LABELS, registry=registry)
    day = Gauge("amity_sla_day_timestamp_seconds", "Noon UTC of the day judged.", ("level",), registry=registry)
    for one in made.results:
        labels = (made.level.name, one.measure.name, one.group)
        open_.labels(*labels).set(one.open_)
        counted.labels(*labels).set(one.counted)
        if one.share is not None:
            share.labels(*labels).set(one.share)
        if one.measure.target is not None:
            target.labels(*labels).set(one.measure.target)
    day.labels(made.level.name).set(_noon_s(made))
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}", next_step="name another file") from error


def _noon_s(made: ServiceReport) -> int:
    return epoch_s(datetime.combine(made.day, time(12), UTC))
