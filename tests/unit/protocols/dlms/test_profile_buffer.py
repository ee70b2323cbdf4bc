from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.kernel.errors import RemoteProtocolError
from amity.kernel.time import epoch_s
from amity.protocols.dlms import data, profile_rows
from amity.protocols.dlms.data import Data, Tag, TypeDescription
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.profile_buffer import (
    ClockReading,
    TemplateCache,
    column_octets,
    compile_template,
    decode_columns,
)
from amity.protocols.dlms.profile_rows import read_rows

FIRST = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # the night the clocks go forward
QUARTER = timedelta(minutes=15)
ROWS = 96
CLOCK = ClockReading(capture_period_s=900)


def clock(row: int, deviation_min: int | None = -60, tag: Tag = Tag.OCTET_STRING) -> Data:
    return Data(tag, CosemDateTime.from_utc(FIRST + row * QUARTER, deviation_min).to_octets())


def day(rows: int = ROWS, tag: Tag = Tag.OCTET_STRING, start: int = 0) -> list[Data]:
    return [
        data.structure(
            clock(row, tag=tag), data.unsigned(row % 9), data.double_long_unsigned(1000 * row), data.long(-row),
            data.long64_unsigned(row << 40), Data(Tag.FLOAT32, row / 4),
        )
        for row in range(start, start + rows)
    ]  # fmt: skip


def encoded(rows: list[Data]) -> bytes:
    return data.encode(data.array(rows))


def instants(rows: int = ROWS) -> list[int]:
    return [epoch_s(FIRST + row * QUARTER) for row in range(rows)]


def with_cell(rows: list[Data], row: int, column: int, cell: Data) -> list[Data]:
    items = list(rows[row].items)
    items[column] = cell
    return [*rows[:row], data.structure(*items), *rows[row + 1 :]]


@pytest.mark.parametrize("tag", [Tag.OCTET_STRING, Tag.DATE_TIME])
def test_a_day_of_quarter_hours(tag: Tag):
    columns = decode_columns(encoded(day(tag=tag)))
    assert columns.rows == ROWS
    assert columns.timestamps_s.tolist() == instants()
    assert [column.dtype for column in columns.columns] == [np.int64] * 5 + [np.float64]
    assert columns.columns[2].tolist() == [1000 * row for row in range(ROWS)]
    assert columns.columns[3].tolist() == [-row for row in range(ROWS)]
    assert columns.columns[4].tolist() == [row << 40 for row in range(ROWS)]
    assert columns.tags[0] is tag
    assert columns.missing == (None,) * 6


def test_template_is_used_for_the_day_and_gives_what_the_slow_way_gives():
    raw = encoded(day())
    template = compile_template(raw)
    assert template is not None
    fast, slow = decode_columns(raw, template=template), decode_columns(encoded([*day(), *day(1, start=ROWS)]))
    assert fast.columns[4].tolist() == slow.columns[4].tolist()[:ROWS]


@pytest.mark.parametrize("row", [0, 1, 57, ROWS - 1])
def test_a_corrupted_tag_in_any_row_is_never_misread(row: int):
    raw = bytearray(encoded(day()))
    row_octets = (len(raw) - 2) // ROWS
    cache = TemplateCache()
    cache.decode("model", bytes(raw), CLOCK)
    for at in fixed_places(bytes(raw), row_octets):
        altered = bytearray(raw)
        altered[2 + row * row_octets + at] ^= 0x40
        with pytest.raises(RemoteProtocolError):
            cache.decode("model", bytes(altered), CLOCK)


def fixed_places(raw: bytes, row_octets: int) -> list[int]:
    """Where a row has tags and lengths: found by walking it, not by asking the code under test."""
    sizes = {9: 12, 17: 1, 6: 4, 16: 2, 21: 8, 23: 4}
    places, at = [0, 1], 2
    while at < row_octets:
        tag = raw[2 + at]
        places += [at, at + 1] if tag == 9 else [at]
        at += (2 if tag == 9 else 1) + sizes[tag]
    return places


def test_two_types_of_one_size_are_told_apart():
    """A signed number where the others are unsigned has the same length: the template must see its tag."""
    rows = with_cell(day(), 57, 2, data.double_long(-1))
    columns = decode_columns(encoded(rows), template=compile_template(encoded(day())))
    assert columns.columns[2][57] == -1


def test_null_cells_keep_their_column():
    rows = with_cell(with_cell(day(), 3, 2, data.null()), 5, 4, data.null())
    columns = decode_columns(encoded(rows), CLOCK)
    assert columns.columns[3].tolist() == [-row for row in range(ROWS)]
    assert columns.columns[2][4] == 4000
    assert columns.missing[2] is not None
    assert np.flatnonzero(columns.missing[2]).tolist() == [3]
    assert columns.columns[2][3] == 0
    assert columns.missing[3] is None


def test_null_can_mean_the_value_of_the_row_before():
    rows = with_cell(day(), 3, 2, data.null())
    columns = decode_columns(encoded(rows), CLOCK, null_repeats=True)
    assert columns.columns[2][3] == 2000
    assert columns.missing[2] is None


def test_null_times_count_on_from_the_row_before():
    rows = day()
    for row in (1, 2, 3, 50):
        rows = with_cell(rows, row, 0, data.null())
    columns = decode_columns(encoded(rows), CLOCK)
    assert columns.timestamps_s.tolist() == instants()
    assert columns.clock_status[[1, 4]].tolist() == [0xFF, 0]


def test_null_times_without_a_period_or_a_first_time_are_refused():
    with pytest.raises(RemoteProtocolError, match="row 1 leaves its time out") as caught:
        decode_columns(encoded(with_cell(day(), 1, 0, data.null())))
    assert "capture period" in str(caught.value.next_step)
    with pytest.raises(RemoteProtocolError, match="row 0"):
        decode_columns(encoded(with_cell(day(), 0, 0, data.null())), CLOCK)


def shaped(pattern: list[tuple[int, ...]], rows: list[Data] | None = None) -> bytes:
    """A day in which row i leaves out the cells of pattern i."""
    cells = [list(row.items) for row in rows or day(len(pattern))]
    for row, gone in zip(cells, pattern, strict=True):
        for place in gone:
            row[place] = data.null()
    return encoded([data.structure(*row) for row in cells])


def same(raw: bytes, clock_reading: ClockReading, *, null_repeats: bool) -> None:
    """By template and row by row the same comes out, or the same kind of error."""
    cache = TemplateCache()
    cache.decode("model", encoded(day(2)), CLOCK)
    try:
        slow = read_rows(raw, clock_reading, null_repeats=null_repeats)
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            cache.decode("model", raw, clock_reading, null_repeats=null_repeats)
        return
    fast = cache.decode("model", raw, clock_reading, null_repeats=null_repeats)
    assert (fast.rows, fast.tags) == (slow.rows, slow.tags)
    assert fast.timestamps_s.tolist() == slow.timestamps_s.tolist()
    assert fast.clock_status.tolist() == slow.clock_status.tolist()
    for column, expected in zip(fast.columns, slow.columns, strict=True):
        assert type(column) is type(expected)
        assert list(column) == list(expected)
    for mask, expected_mask in zip(fast.missing, slow.missing, strict=True):
        assert (mask is None) == (expected_mask is None)
        assert mask is None or mask.tolist() == expected_mask.tolist()


@given(
    st.lists(st.sets(st.integers(0, 5)).map(lambda gone: tuple(sorted(gone))), min_size=1, max_size=40),
    st.booleans(),
    st.sampled_from([CLOCK, ClockReading()]),
)
def test_rows_with_cells_left_out_read_the_same_in_both_ways(
    pattern: list[tuple[int, ...]], null_repeats: bool, clock_reading: ClockReading
):
    same(shaped(pattern), clock_reading, null_repeats=null_repeats)


@pytest.mark.parametrize("said", [1, 24, 96])
def test_a_compressed_day_is_read_by_template(said: int, monkeypatch: pytest.MonkeyPatch):
    """The time stands in every `said`-th row, the status in the first and where it changes."""
    pattern = [(() if row % said == 0 else (0,)) + ((1,) if 0 < row < 60 else ()) for row in range(ROWS)]
    raw = shaped(pattern)
    monkeypatch.setattr(profile_rows, "read_rows", None)
    columns = decode_columns(raw, CLOCK, null_repeats=True)
    assert columns.timestamps_s.tolist() == instants()
    assert columns.columns[1].tolist() == [0] * 60 + [row % 9 for row in range(60, ROWS)]
    assert columns.columns[5].tolist() == [row / 4 for row in range(ROWS)]
    assert columns.missing == (None,) * 6
    assert [status == 0xFF for status in columns.clock_status] == [row % said != 0 for row in range(ROWS)]


def test_texts_left_out():
    rows = [
        data.structure(
            clock(row), data.visible_string(f"{row:02}"), data.octet_string(bytes([row, 0])), data.unsigned(1)
        )
        for row in range(10)
    ]
    raw = shaped([() if row in {0, 5} else (0, 2) for row in range(10)], rows)
    cache = TemplateCache()
    columns = cache.decode("texts", raw, CLOCK)
    assert columns.columns[1] == [f"{row:02}" for row in range(10)]
    assert columns.columns[2] == [bytes([row, 0]) if row in {0, 5} else None for row in range(10)]
    assert columns.missing[2].tolist() == [row not in {0, 5} for row in range(10)]
    repeated = cache.decode("texts", raw, CLOCK, null_repeats=True)
    assert repeated.columns[2] == [bytes([5 if row >= 5 else 0, 0]) for row in range(10)]


@pytest.mark.parametrize("row", [0, 1, 50])
def test_a_corrupted_tag_in_a_compressed_row_is_never_misread(row: int):
    raw = shaped([() if number == 0 else (0,) for number in range(ROWS)])
    full, short = 2, len(encoded(day(1)))
    row_octets = (len(raw) - short) // (ROWS - 1)
    start = full if row == 0 else short + (row - 1) * row_octets
    head = raw[start : start + 3]
    for at in range(3):
        altered = raw[: start + at] + bytes([head[at] ^ 0x41]) + raw[start + at + 1 :]
        with pytest.raises(RemoteProtocolError):
            decode_columns(altered, CLOCK)


def test_delta_values_are_added_up():
    rows = [data.structure(clock(0), data.double_long_unsigned(1000))]
    rows += [data.structure(clock(row), Data(Tag.DELTA_UNSIGNED, row)) for row in (1, 2)]
    rows += [data.structure(clock(3), Data(Tag.DELTA_LONG, -3))]
    columns = decode_columns(encoded(rows), CLOCK)
    assert columns.columns[1].tolist() == [1000, 1001, 1003, 1000]
    assert columns.tags[1] is Tag.DOUBLE_LONG_UNSIGNED
    with pytest.raises(RemoteProtocolError, match="no value stands before"):
        decode_columns(encoded(rows[1:]), CLOCK)


DELTAS = [Tag.DELTA_INTEGER, Tag.DELTA_LONG, Tag.DELTA_DOUBLE_LONG, Tag.DELTA_UNSIGNED, Tag.DELTA_LONG_UNSIGNED,
          Tag.DELTA_DOUBLE_LONG_UNSIGNED]  # fmt: skip
CELLS = st.one_of(
    st.just(data.null()), st.builds(Data, st.sampled_from(DELTAS), st.integers(0, 127)),
    st.integers(0, 9).map(data.unsigned), st.integers(0, 1 << 31).map(data.double_long_unsigned),
)  # fmt: skip


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=40), st.booleans())
def test_differences_and_gaps_read_the_same_in_both_ways(cells: list[list[Data]], null_repeats: bool):
    first = [data.double_long_unsigned(7), data.unsigned(3), data.double_long_unsigned(9)]
    rows = [data.structure(clock(row), *values) for row, values in enumerate([first, *cells])]
    same(encoded(rows), CLOCK, null_repeats=null_repeats)


@pytest.mark.parametrize("widths", [[Tag.DELTA_UNSIGNED], [Tag.DELTA_UNSIGNED, Tag.DELTA_LONG]])
def test_a_day_of_differences_is_read_by_template(widths: list[Tag], monkeypatch: pytest.MonkeyPatch):
    rows = [data.structure(clock(0), data.double_long_unsigned(1000), data.long64_unsigned(5))]
    rows += [
        data.structure(data.null(), Data(widths[row % len(widths)], row), Data(Tag.DELTA_INTEGER, -1))
        for row in range(1, ROWS)
    ]
    monkeypatch.setattr(profile_rows, "read_rows", None)
    columns = decode_columns(encoded(rows), CLOCK)
    assert columns.timestamps_s.tolist() == instants()
    assert columns.columns[1].tolist() == [1000 + sum(range(row + 1)) for row in range(ROWS)]
    assert columns.columns[2].tolist() == [5 - row for row in range(ROWS)]
    assert columns.missing == (None,) * 3


def test_a_difference_of_nothing_to_nothing_is_refused_too():
    rows = [data.structure(clock(0), data.null()), data.structure(clock(1), Data(Tag.DELTA_UNSIGNED, 0))]
    cache = TemplateCache()
    cache.decode("model", encoded([data.structure(clock(0), data.unsigned(5))]), CLOCK)
    with pytest.raises(RemoteProtocolError, match="no value stands before"):
        cache.decode("model", encoded([*rows, data.structure(clock(2), data.unsigned(5))]), CLOCK)


def test_one_column_as_it_came():
    rows = day(4)
    as_array = data.encode(data.array([row.items[2] for row in rows]))
    assert column_octets(encoded(rows), 2) == as_array
    gap = with_cell(rows, 1, 2, data.null())
    assert column_octets(encoded(gap), 2) == data.encode(data.array([row.items[2] for row in gap]))
    with pytest.raises(RemoteProtocolError, match="no number 9"):
        column_octets(encoded(rows), 9)


def test_one_column_by_the_template_of_an_earlier_buffer_or_in_spite_of_it():
    cache, rows = TemplateCache(), day(4)
    assert cache.of("model") is None
    cache.decode("model", encoded(day(2)), CLOCK)
    template = cache.of("model")
    assert template is not None
    assert column_octets(encoded(rows), 2, template) == column_octets(encoded(rows), 2)
    gap = with_cell(rows, 1, 2, data.null())
    assert column_octets(encoded(gap), 2, template) == column_octets(encoded(gap), 2)


def test_compact_array_buffer():
    description = TypeDescription(
        Tag.STRUCTURE, (TypeDescription(Tag.DATE_TIME), TypeDescription(Tag.DOUBLE_LONG_UNSIGNED))
    )
    rows = [data.structure(clock(row, tag=Tag.DATE_TIME), data.double_long_unsigned(row)) for row in range(4)]
    columns = decode_columns(data.encode(data.compact_array(description, rows)), CLOCK)
    assert columns.timestamps_s.tolist() == instants(4)
    assert columns.columns[1].tolist() == [0, 1, 2, 3]


def test_numbers_beyond_63_bits_are_kept_whole():
    rows = with_cell(day(4), 2, 4, data.long64_unsigned((1 << 64) - 1))
    assert decode_columns(encoded(rows), CLOCK).columns[4] == [0, 1 << 40, (1 << 64) - 1, 3 << 40]


def test_strings_and_structures_are_lists():
    rows = [
        data.structure(clock(row), data.octet_string(b"ab"), data.visible_string("ok"), data.bit_string("101"))
        for row in range(3)
    ]
    columns = decode_columns(encoded(rows))
    assert columns.columns[1:3] == ([b"ab"] * 3, ["ok"] * 3)
    simple = [data.structure(clock(row), data.octet_string(b"ab"), data.visible_string("ok")) for row in range(3)]
    assert decode_columns(encoded(simple)).columns[1:] == ([b"ab"] * 3, ["ok"] * 3)


def test_deviation_left_open_takes_the_default_in_both_ways_of_reading():
    rows = [data.structure(clock(row, None), data.unsigned(row)) for row in range(4)]
    for shape in (rows, with_cell(rows, 1, 1, data.long_unsigned(1))):
        late = decode_columns(encoded(shape), ClockReading(default_deviation_min=-60))
        assert late.timestamps_s.tolist() == [instant - 3600 for instant in instants(4)]
        with pytest.raises(RemoteProtocolError, match="deviation"):
            decode_columns(encoded(shape))


def test_inverted_deviation_in_both_ways_of_reading():
    rows = [data.structure(clock(row, -60), data.unsigned(row)) for row in range(4)]
    for shape in (rows, with_cell(rows, 1, 1, data.long_unsigned(1))):
        columns = decode_columns(encoded(shape), ClockReading(deviation_inverted=True))
        assert columns.timestamps_s.tolist() == [instant + 7200 for instant in instants(4)]


@pytest.mark.parametrize("year", [1970, 1999, 2000, 2024, 2026, 2100, 2199])
def test_calendar_by_tables_agrees_with_the_calendar(year: int):
    days = [datetime(year, 1, 1, 23, 59, 58, tzinfo=UTC) + timedelta(days=number) for number in range(365)]
    rows = [
        data.structure(data.octet_string(CosemDateTime.from_utc(instant, -840).to_octets()), data.unsigned(1))
        for instant in days[:-1]
    ]
    columns = decode_columns(encoded(rows))
    assert columns.timestamps_s.tolist() == [epoch_s(instant) for instant in days[:-1]]


@pytest.mark.parametrize(
    "octets",
    ["07e6021d0000000000000000", "07e60d010000000000000000", "07e600010000000000000000", "07e601010018000000000000",
     "07e60101ff003c0000000000", "07e60101ff00003c00000000", "07e60101ff00000000034900", "ffff0101ff00000000000000"],
)  # fmt: skip
def test_a_date_that_does_not_exist_is_refused_with_its_row(octets: str):
    rows = with_cell(day(), 57, 0, data.octet_string(bytes.fromhex(octets)))
    with pytest.raises(RemoteProtocolError, match="row 57"):
        decode_columns(encoded(rows))


def test_empty_buffer():
    assert decode_columns(bytes.fromhex("0100")).rows == 0


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (data.encode(data.unsigned(1)), "array"),
        (encoded([data.unsigned(1)]), "structure"),
        (encoded([data.structure()]), "cells"),
        (encoded([data.structure(clock(0), data.unsigned(1)), data.structure(clock(1))]), "row 1 has 1 cells"),
        (encoded([data.structure(data.unsigned(1))]), "no column"),
        (encoded(day())[:-1], "ends inside"),
        (encoded(day()) + b"\x00", "left over"),
    ],
)
def test_what_is_no_profile_is_one_typed_error(raw: bytes, why: str):
    with pytest.raises(RemoteProtocolError, match=why):
        decode_columns(raw)


def test_clock_column_can_be_named():
    rows = [data.structure(data.octet_string(bytes(12)), clock(row), data.unsigned(row)) for row in range(3)]
    assert decode_columns(encoded(rows), ClockReading(column=1)).timestamps_s.tolist() == instants(3)
    with pytest.raises(RemoteProtocolError):
        decode_columns(encoded(rows))
    with pytest.raises(RemoteProtocolError, match="no number 7"):
        decode_columns(encoded(rows), ClockReading(column=7))


def test_a_model_whose_profile_changes_gets_a_new_template():
    cache = TemplateCache()
    cache.decode("model", encoded(day()))
    other = encoded([data.structure(clock(row), data.unsigned(row)) for row in range(5)])
    assert cache.decode("model", other).columns[1].tolist() == [0, 1, 2, 3, 4]
    assert cache.decode("model", encoded(day())).rows == ROWS


def test_many_buffers_of_one_model_at_once():
    raws = [encoded(day(4 + number, start=number)) for number in range(5)]
    joined = TemplateCache().decode_joined("model", raws)
    assert joined.starts.tolist() == [0, 4, 9, 15, 22, 30]
    assert joined.failures == {}
    for number, raw in enumerate(raws):
        alone, part = decode_columns(raw), slice(joined.starts[number], joined.starts[number + 1])
        assert joined.columns.timestamps_s[part].tolist() == alone.timestamps_s.tolist()
        assert joined.columns.columns[2][part].tolist() == alone.columns[2].tolist()


def test_one_bad_buffer_does_not_spoil_the_others():
    good, odd = encoded(day(4)), encoded(with_cell(day(4), 1, 2, data.null()))
    narrow = encoded([data.structure(clock(0), data.unsigned(1))])
    raws = [good, b"\x01\x05garbage", odd, bytes.fromhex("0100"), narrow, good]
    joined = TemplateCache().decode_joined("model", raws, CLOCK)
    assert sorted(joined.failures) == [1, 4]
    assert np.diff(joined.starts).tolist() == [4, 0, 4, 0, 0, 4]
    assert joined.columns.timestamps_s.tolist() == instants(4) * 3
    assert joined.columns.missing[2] is not None
    assert np.flatnonzero(joined.columns.missing[2]).tolist() == [5]


def test_joining_nothing():
    joined = TemplateCache().decode_joined("model", [])
    assert joined.columns.rows == 0
    assert joined.starts.tolist() == [0]
