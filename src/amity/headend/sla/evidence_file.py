"""Evidence as CSV (RFC 4180): one line for each meter and day, or job, that a measure is about.

Whoever doubts a figure can compute it again: its share is the lines `met` by those `met` or `missed`, of the measure
and of the group that stands among `groups`; a percentile is by nearest rank over `took_s`, which is from `asked` to
`done`.
"""

import csv
from datetime import datetime
from typing import Final, TextIO

from amity.headend.sla.report import Evidence
from amity.kernel.time import isoformat

COLUMNS: Final = ("measure", "groups", "day", "meter", "verdict", "asked", "due", "done", "took_s", "by", "why")
BETWEEN_GROUPS: Final = ";"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class EvidenceFile:
    """Writes line after line; what a spreadsheet would take for a formula is quoted."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file)
        self._writer.writerow(COLUMNS)

    def write(self, one: Evidence) -> None:
        """One line; raise OSError when the disk does not take it."""
        self._writer.writerow([
            _plain(one.measure),
            _plain(BETWEEN_GROUPS.join(one.groups)),
            one.day.isoformat(),
            _plain(one.meter_id),
            one.verdict,
            _instant(one.asked),
            _instant(one.due),
            _instant(one.done),
            "" if one.took is None else one.took.total_seconds(),
            one.by,
            _plain(one.why),
        ])  # fmt: skip


def _instant(at: datetime | None) -> str:
    return "" if at is None else isoformat(at)


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
