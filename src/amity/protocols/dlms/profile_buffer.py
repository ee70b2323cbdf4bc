"""The buffer of a profile generic object (IEC 62056-6-2, 4.3.6, attribute 2) as columns, fast where rows look alike."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms import profile_rows, profile_runs, profile_template
from amity.protocols.dlms.data import Tag, encode_length
from amity.protocols.dlms.profile_columns import EMPTY, ClockReading, Column, ProfileColumns
from amity.protocols.dlms.profile_template import Template, buffer_span, compile_template

__all__ = [
    "ClockReading",
    "JoinedProfiles",
    "ProfileColumns",
    "TemplateCache",
    "column_octets",
    "compile_template",
    "decode_columns",
]

_TEMPLATES_MAX = 4096
_DEFAULT_CLOCK = ClockReading()


class JoinedProfiles(NamedTuple):
    """Many buffers in one set of columns; buffer i holds rows `starts[i]` to `starts[i + 1]`.

    A buffer that does not decode has no rows and its error in `failures` under its number.
    """

    columns: ProfileColumns
    starts: NDArray[np.int64]
    failures: dict[int, RemoteProtocolError]


def decode_columns(
    raw: bytes,
    clock: ClockReading = _DEFAULT_CLOCK,
    *,
    template: Template | None = None,
    null_repeats: bool = False,
) -> ProfileColumns:
    """Decode one buffer: by template where the rows share one shape but for null-data, else row by row.

    Args:
        raw: the A-XDR octets of the buffer attribute.
        clock: how the clock column is to be read.
        template: of an earlier buffer of the same model; None compiles one from this buffer.
        null_repeats: null-data in a value column means "as in the row before".

    Raises:
        RemoteProtocolError: (mostly its subclass DecodeError) the octets are no profile buffer.
    """
    shape = template or compile_template(raw, clock.column)
    fast = None if shape is None else _by_template(shape, raw, clock, null_repeats=null_repeats)
    return fast if fast is not None else profile_rows.read_rows(raw, clock, null_repeats=null_repeats)


def _by_template(template: Template, raw: bytes, clock: ClockReading, *, null_repeats: bool) -> ProfileColumns | None:
    span = buffer_span(raw)
    if span is None:
        return None
    if len(raw) - span.start == span.rows * template.row_octets:
        return profile_template.read_rows(template, raw, span.start, span.rows, clock)
    return profile_runs.read_rows(template, raw, span, clock, null_repeats=null_repeats)


def column_octets(raw: bytes, number: int, template: Template | None = None) -> bytes:
    """One column of a buffer as the A-XDR octets of an array of its cells, just as they came.

    `template` is that of an earlier buffer of the same model; None compiles one from this buffer.

    Raises:
        RemoteProtocolError: the octets are no profile buffer, or its rows have no such column.
    """
    shape, span = template or compile_template(raw), buffer_span(raw)
    if shape is not None and span is not None and number < len(shape.cells):
        cells = profile_template.cells(shape, raw, span, number)
        if cells is not None:
            return bytes([Tag.ARRAY]) + encode_length(span.rows) + cells
    return profile_rows.column_octets(raw, number)


class TemplateCache:
    """The last templates by meter model (any text that stands for one shape of one profile)."""

    __slots__ = ("_templates",)

    def __init__(self) -> None:
        self._templates: OrderedDict[str, Template] = OrderedDict()

    def of(self, model: str) -> Template | None:
        """The last template of this model."""
        return self._templates.get(model)

    def decode(
        self, model: str, raw: bytes, clock: ClockReading = _DEFAULT_CLOCK, *, null_repeats: bool = False
    ) -> ProfileColumns:
        """Like `decode_columns`, with the template of this model; a changed shape replaces the template."""
        template = self._templates.get(model)
        fast = None if template is None else _by_template(template, raw, clock, null_repeats=null_repeats)
        if fast is not None:
            return fast
        fresh = self._remember(model, raw, clock)
        return decode_columns(raw, clock, template=fresh, null_repeats=null_repeats)

    def decode_joined(
        self, model: str, raws: Sequence[bytes], clock: ClockReading = _DEFAULT_CLOCK, *, null_repeats: bool = False
    ) -> JoinedProfiles:
        """Decode the buffers of many meters of one model in one go; one bad buffer does not spoil the others."""
        template = self._templates.get(model) or (self._remember(model, raws[0], clock) if raws else None)
        joined = None if template is None else _joined_by_template(template, raws, clock)
        return joined if joined is not None else self._joined_one_by_one(model, raws, clock, null_repeats=null_repeats)

    def _remember(self, model: str, raw: bytes, clock: ClockReading) -> Template | None:
        template = compile_template(raw, clock.column)
        if template is not None:
            self._templates[model] = template
            self._templates.move_to_end(model)
            if len(self._templates) > _TEMPLATES_MAX:
                self._templates.popitem(last=False)
        return template

    def _joined_one_by_one(
        self, model: str, raws: Sequence[bytes], clock: ClockReading, *, null_repeats: bool
    ) -> JoinedProfiles:
        parts: list[ProfileColumns] = []
        failures: dict[int, RemoteProtocolError] = {}
        for number, raw in enumerate(raws):
            try:
                parts.append(self.decode(model, raw, clock, null_repeats=null_repeats))
            except RemoteProtocolError as error:
                failures[number] = error
                parts.append(EMPTY)
        parts = _of_one_shape(parts, failures)
        starts = np.concatenate([[0], np.cumsum([part.rows for part in parts], dtype=np.int64)])
        return JoinedProfiles(_concatenated([part for part in parts if part.rows]), starts, failures)


def _joined_by_template(template: Template, raws: Sequence[bytes], clock: ClockReading) -> JoinedProfiles | None:
    spans = [buffer_span(raw) for raw in raws]
    counts: list[int] = []
    pieces: list[bytes] = []
    for raw, span in zip(raws, spans, strict=True):
        if span is None or len(raw) - span.start != span.rows * template.row_octets:
            return None
        counts.append(span.rows)
        pieces.append(raw[span.start :])
    columns = profile_template.read_rows(template, b"".join(pieces), 0, sum(counts), clock)
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    return None if columns is None else JoinedProfiles(columns, starts, {})


def _of_one_shape(parts: list[ProfileColumns], failures: dict[int, RemoteProtocolError]) -> list[ProfileColumns]:
    """Take out buffers whose columns are not those of the first: they are not of this model."""
    first = next((part for part in parts if part.rows), EMPTY)
    kept: list[ProfileColumns] = []
    for number, part in enumerate(parts):
        if part.rows and len(part.columns) != len(first.columns):
            failures[number] = RemoteProtocolError(
                f"the buffer has {len(part.columns)} columns; others of this model have {len(first.columns)}"
            )
            kept.append(EMPTY)
        else:
            kept.append(part)
    return kept


def _concatenated(parts: list[ProfileColumns]) -> ProfileColumns:
    if not parts:
        return EMPTY
    places = range(len(parts[0].columns))
    return ProfileColumns(
        rows=sum(part.rows for part in parts),
        timestamps_s=np.concatenate([part.timestamps_s for part in parts]),
        clock_status=np.concatenate([part.clock_status for part in parts]),
        columns=tuple(_joined_column([part.columns[place] for part in parts]) for place in places),
        tags=parts[0].tags,
        missing=tuple(_joined_mask(parts, place) for place in places),
    )


def _joined_column(columns: list[Column]) -> Column:
    arrays = [column for column in columns if isinstance(column, np.ndarray)]
    if len(arrays) == len(columns) and len({array.dtype for array in arrays}) == 1:
        return cast("Column", np.concatenate(arrays))
    return [value for column in columns for value in (column.tolist() if isinstance(column, np.ndarray) else column)]


def _joined_mask(parts: list[ProfileColumns], place: int) -> NDArray[np.bool_] | None:
    if all(part.missing[place] is None for part in parts):
        return None
    masks = [part.missing[place] for part in parts]
    return np.concatenate(
        [np.zeros(part.rows, np.bool_) if mask is None else mask for part, mask in zip(parts, masks, strict=True)]
    )
