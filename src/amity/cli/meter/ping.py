"""`amity meter ping`: one session with one known meter, now, through the head-end as it is configured."""

import json
import os
from getpass import getuser
from pathlib import Path
from typing import Annotated

import structlog
import typer

from amity.cli.ending import run_until_told
from amity.domain.collection import Delivery
from amity.headend.jobs.on_demand import Asker
from amity.headend.outcomes import read_told
from amity.kernel.time import isoformat
from amity.runtime.folder import Folder
from amity.runtime.installation import find_installation
from amity.runtime.logs.lines import CORRELATION, configure_logs, harmless
from amity.runtime.logs.remedies import remedy_for
from amity.runtime.roles.headend import ping_meter

_CORRELATION_OCTETS = 6
_NO_ANSWER_STATUS = 3


def ping(
    meter: Annotated[str, typer.Argument(metavar="METER", help="The meter's name, as `amity meter add` was told.")],
    configuration: Annotated[Path | None, typer.Option("--config", help="Default: /etc/ami-gateway.")] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="An installation in one folder.")] = None,
    correlation: Annotated[str | None, typer.Option(help="A word of your own for the log lines.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Ask a meter now for its name, its clock and 1.0.1.8.0, by one job; ingest.log has the correlation id printed.

    What it brings is kept and delivered like that of every other session, and what is due for the meter is done along
    with it. While the running head-end reads the meter it is waited for: a meter has one association. A ping that fails
    makes no dead letter. Exit status 3: the meter gave no readings.
    """
    folder, settings = find_installation(configuration, directory)
    configure_logs(quiet=True)
    word = correlation or os.urandom(_CORRELATION_OCTETS).hex()
    structlog.contextvars.bind_contextvars(**{CORRELATION: word})
    asker = Asker(getuser(), f"ping/{os.urandom(_CORRELATION_OCTETS).hex()}", word)
    delivery = run_until_told(ping_meter(folder, settings, meter, asker))
    in_words = harmless("\n".join(_lines(delivery, word, folder)))
    print(json.dumps(_document(delivery, word), indent=2) if as_json else in_words)
    if not delivery.outcome.answered:
        raise typer.Exit(_NO_ANSWER_STATUS)


def _document(delivery: Delivery, word: str) -> dict[str, object]:
    return {
        CORRELATION: word,
        "meter": delivery.meter_id,
        "session": delivery.session_id,
        "outcome": str(delivery.outcome),
        "duration_ms": delivery.duration_ms,
        "detail": list(delivery.detail),
        "registers": [
            {
                "obis": str(one.reading_type.obis),
                "value": str(one.quantity()),
                "unit": one.reading_type.unit.symbol,
                "at": isoformat(one.at),
            }
            for one in delivery.registers
        ],
        "clock_offset_s": delivery.clock_offset_s,
        "intervals": sum(len(series.starts) for series in delivery.intervals),
    }


def _took(delivery: Delivery) -> str:
    """Of several attempts only the last is in the delivery."""
    if delivery.attempts == 1:
        return f"in {delivery.duration_ms} ms"
    return f"after {delivery.attempts} attempts, the last of {delivery.duration_ms} ms"


def _lines(delivery: Delivery, word: str, folder: Folder) -> list[str]:
    head = [f"meter {delivery.meter_id}: {delivery.outcome} {_took(delivery)}, correlation {word}"]
    if not delivery.outcome.answered:
        failure = read_told(delivery.detail)
        remedy = remedy_for(delivery, folder)
        return [*head, failure.what, f"cause: {remedy.cause}", f"next: {remedy.step}"]
    newest = {one.reading_type.obis: one for one in sorted(delivery.registers, key=lambda one: one.at)}
    registers = [
        f"OBIS Code {obis}  {one.quantity()} {one.reading_type.unit.symbol}  {isoformat(one.at)}"
        for obis, one in newest.items()
    ]
    return [*head, *_clock(delivery), *registers, *_came_along(delivery), *delivery.detail]


def _clock(delivery: Delivery) -> list[str]:
    offset_s = delivery.clock_offset_s
    return [] if offset_s is None else [f"its clock is {offset_s:+} s from ours"]


def _came_along(delivery: Delivery) -> list[str]:
    """What other jobs that were due have brought."""
    intervals, events = sum(len(series.starts) for series in delivery.intervals), len(delivery.events)
    return [f"{intervals} intervals, {events} events"] if intervals or events else []
