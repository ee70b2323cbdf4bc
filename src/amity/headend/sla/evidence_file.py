"""Evidence as CSV (RFC 4180): one line for each meter and day, or job, that counts against a measure."""

import csv
from collections.abc import Iterable
from typing import Final, TextIO

from amity.headend.sla.report import Evidence
from amity.kernel.time import isoformat

COLUMNS: Final = ("measure", "groups", "day", "meter", "due", "done", "job", "why")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_evidence(evidence: Iterable[Evidence], file: TextIO) -> None:
    """Write all of it, with a line of headings; what a spreadsheet would take for a formula is quoted."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for one in evidence:
        writer.writerow([
            _plain(one.measure),
            _plain(" ".join(one.groups)),
            one.day.isoformat(),
            _plain(one.meter_id),
            isoformat(one.due) if one.due else "",
            isoformat(one.done) if one.done else "",
            one.job_id,
            _plain(one.why),
        ])  # fmt: skip


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
