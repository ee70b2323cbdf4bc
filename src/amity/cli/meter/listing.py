"""`amity meter list`: every meter that the head-end knows, the way to it, and how it stands."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

import typer

from amity.cli.jobs import AsJson, Configuration, Directory
from amity.headend.jobs.ports import FleetPages, MeterStates
from amity.headend.ports import Endpoint, Standing
from amity.kernel.time import isoformat
from amity.runtime.databases import head_end_of

_PAGE: Final = 500
_SHOWN: Final = ("meter", "profile", "route", "collector", "management", "answered", "standing")


def list_meters(
    name: Annotated[str, typer.Option(help="Only these, with * and ? as in file names.")] = "*",
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Every meter that is known, by name: device profile, the way to it, when it last answered, how it stands."""
    with head_end_of(configuration, directory) as database:
        pages = _pages(database.fleet_pages, database.meter_states, name)
        if as_json:
            print(json.dumps([one for page in pages for one in page], ensure_ascii=False))
            return
        for number, page in enumerate(pages):
            _print(page, with_heading=number == 0)


def _pages(fleet: FleetPages, states: MeterStates, name: str) -> Iterator[list[dict[str, Any]]]:
    """Meters as JSON values, a page at a time: a fleet need not be in memory as a whole."""
    last = ""
    while members := fleet.page(last, _PAGE):
        last = members[-1].meter_id
        wanted = [member.meter_id for member in members if fnmatchcase(member.meter_id, name)]
        known = states.of(wanted)
        if known:
            yield [_document(*known[meter_id]) for meter_id in wanted if meter_id in known]


def _document(endpoint: Endpoint, standing: Standing) -> dict[str, Any]:
    return {
        "meter": endpoint.meter_id,
        "profile": endpoint.profile,
        "route": str(endpoint.route),
        "collector": endpoint.route.collector,
        "management": None if endpoint.management is None else endpoint.management.client,
        "answered": _answered(standing),
        "attempted": None if standing.attempted_at is None else isoformat(standing.attempted_at),
        "outcome": standing.outcome,
        "failures_in_a_row": standing.failures_in_a_row,
        "standing": _in_words(standing),
    }


def _answered(standing: Standing) -> str | None:
    """When it last answered: of one that failed since, the end of what it ever gave."""
    if standing.outcome is not None and standing.outcome.answered:
        last = standing.attempted_at
    else:
        given = standing.progress
        ends = (given.intervals_until, given.registers_until, given.events_until)
        last = max((end for end in ends if end is not None), default=None)
    return None if last is None else isoformat(last.replace(microsecond=0))


def _in_words(standing: Standing) -> str:
    if standing.outcome is None:
        return "never tried"
    failures = standing.failures_in_a_row
    return f"{standing.outcome}, {failures} times in a row" if failures > 1 else str(standing.outcome)


def _print(page: list[dict[str, Any]], *, with_heading: bool) -> None:
    rows = [tuple(str(one[key] or "") for key in _SHOWN) for one in page]
    widths = [max(map(len, column)) for column in zip(_SHOWN, *rows, strict=True)]
    for row in [*([_SHOWN] if with_heading else []), *rows]:
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())
