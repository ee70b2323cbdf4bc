from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.domain.collection import Exchange
from amity.domain.readings import IntervalSeries, Quality, ReadingType
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms import data as cosem
from amity.protocols.dlms.apdu import DataNotification, GetResponseNormal, GetResponseWithBlock
from amity.protocols.dlms.datetime import CosemDateTime
from amity.usecases.data_tree import data_trees
from amity.usecases.evidence import Evidence, explain

T0 = datetime(2026, 3, 18, tzinfo=UTC)
KIND = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 900)
VALUES = [105, 230, 77, 310, 15, 402]


def clock(i: int) -> cosem.Data:
    return cosem.octet_string(CosemDateTime.from_utc(T0 + timedelta(minutes=15 * i), -60).to_octets())


def series(values: Sequence[int] = VALUES, first: int = 0) -> IntervalSeries:
    starts = int(T0.timestamp()) + 900 * np.arange(first, first + len(values), dtype=np.int64)
    return IntervalSeries(
        KIND, starts, np.array(values, np.int64), np.full(len(values), int(Quality.MEASURED), np.uint8)
    )


def buffer(columns: Sequence[Sequence[cosem.Data]]) -> bytes:
    return cosem.encode(cosem.array(cosem.structure(*row) for row in zip(*columns, strict=True)))


def exchange(plain: bytes) -> Exchange:
    return Exchange(T0, b"\x00\x01ask", b"\x00\x01" + plain, plain)


def whole(raw: bytes) -> list[Exchange]:
    return [exchange(GetResponseNormal(0xC1, raw).encode())]


def start_of(i: int) -> int:
    return int(T0.timestamp()) + 900 * i


def marked_octets(evidence: Evidence) -> bytes:
    return b"".join(e.plain[first:end] for e in evidence.exchanges for first, end in e.marks)


NUMBERS = [cosem.double_long_unsigned(value) for value in VALUES]
OTHER = [cosem.double_long_unsigned(value * 3 + 1) for value in VALUES]
CLOCKS = [clock(i + 1) for i in range(6)]


@pytest.mark.parametrize("position", range(6))
def test_row_cell_and_octets_are_found_by_comparing_whole_columns(position: int):
    evidence = explain(whole(buffer([CLOCKS, OTHER, NUMBERS])), series(), start_of(position))
    (row,) = [row for row in evidence.rows if row.marked]
    assert (row.position, row.marked_cell) == (position, 2)
    assert marked_octets(evidence) == cosem.encode(NUMBERS[position])
    assert evidence.row_count == 6
    assert evidence.problem is None


def test_a_meter_that_counts_in_tens_is_understood():
    tens = [cosem.long_unsigned(value) for value in VALUES]
    evidence = explain(whole(buffer([CLOCKS, tens])), series([value * 10 for value in VALUES]), start_of(3))
    assert marked_octets(evidence) == cosem.encode(tens[3])


def test_a_cumulative_column_marks_both_readings_of_the_difference():
    total = np.concatenate([[4_000_000], 4_000_000 + np.cumsum(VALUES)])
    column = [cosem.double_long_unsigned(int(value)) for value in total]
    clocks = [clock(i) for i in range(7)]
    evidence = explain(whole(buffer([clocks, column])), series(), start_of(2))
    assert [row.position for row in evidence.rows if row.marked] == [2, 3]
    assert marked_octets(evidence) == cosem.encode(column[2]) + cosem.encode(column[3])


def test_a_cell_cut_by_a_block_border_is_marked_in_both_blocks():
    raw = buffer([CLOCKS, NUMBERS])
    cut = raw.index(cosem.encode(NUMBERS[2])) + 2
    plains = [
        GetResponseWithBlock(0xC1, last, number, part).encode()
        for last, number, part in ((False, 1, raw[:cut]), (True, 2, raw[cut:]))
    ]
    evidence = explain([exchange(plain) for plain in plains], series(), start_of(2))
    assert [len(e.marks) for e in evidence.exchanges] == [1, 1]
    assert marked_octets(evidence) == cosem.encode(NUMBERS[2])
    assert [e.apdu for e in evidence.exchanges] == [
        "get-response-with-datablock, block 1",
        "get-response-with-datablock, block 2, the last",
    ]


def test_rows_beyond_what_was_asked_for_do_not_shift_the_match():
    evidence = explain(whole(buffer([CLOCKS, NUMBERS])), series(VALUES[2:5], first=2), start_of(3))
    (row,) = [row for row in evidence.rows if row.marked]
    assert (row.position, row.marked_cell) == (3, 1)


def test_a_night_without_sun_is_found_through_its_sibling():
    zeros = [cosem.double_long_unsigned(0)] * 6
    naive = [cosem.octet_string(bytes(12))] * 6
    exchanges = whole(buffer([naive, NUMBERS, zeros]))
    assert explain(exchanges, series([0] * 6), start_of(2)).problem
    (row,) = [row for row in explain(exchanges, series([0] * 6), start_of(2), [series()]).rows if row.marked]
    assert (row.position, row.marked_cell) == (2, None)


def test_a_number_that_was_asked_for_before_the_rows_is_no_row():
    exchanges = whole(cosem.encode(cosem.double_long_unsigned(6))) + whole(buffer([CLOCKS, NUMBERS]))
    evidence = explain(exchanges, series(), start_of(4))
    assert evidence.row_count == 6
    assert marked_octets(evidence) == cosem.encode(NUMBERS[4])


def test_where_rows_in_the_middle_were_dropped_the_clock_and_all_agreeing_cells_decide():
    kept = [0, 1, 4, 5]
    some = IntervalSeries(KIND, series().starts[kept], series().values[kept], series().qualities[kept])
    evidence = explain(whole(buffer([CLOCKS, OTHER, NUMBERS])), some, start_of(4))
    (row,) = [row for row in evidence.rows if row.marked]
    assert (row.position, row.marked_cell) == (4, 2)


def test_a_clock_that_does_not_say_its_zone_is_not_trusted():
    naive = [
        cosem.octet_string(CosemDateTime.from_utc(T0 + timedelta(minutes=15 * i), None).to_octets()) for i in range(6)
    ]
    evidence = explain(whole(buffer([naive, OTHER])), series(), start_of(1))
    assert evidence.problem
    assert not any(row.marked for row in evidence.rows)


def test_a_row_without_a_sure_cell_is_marked_as_a_whole():
    evidence = explain(whole(buffer([CLOCKS, OTHER])), series(), start_of(1))
    (row,) = [row for row in evidence.rows if row.marked]
    assert row.marked_cell is None
    assert marked_octets(evidence) == cosem.encode(cosem.structure(CLOCKS[1], OTHER[1]))


def test_a_push_with_one_flat_structure_is_one_row():
    body = cosem.structure(clock(1), cosem.double_long_unsigned(105))
    plain = DataNotification(1, b"", body).encode()
    evidence = explain([exchange(plain)], series([105]), start_of(0))
    assert marked_octets(evidence) == cosem.encode(cosem.double_long_unsigned(105))
    assert evidence.exchanges[0].apdu == "data-notification"


def test_only_the_exchanges_that_hold_the_series_are_shown():
    exchanges = [exchange(b"\x61\x00"), *whole(buffer([CLOCKS, NUMBERS]))]
    evidence = explain(
        exchanges, IntervalSeries(KIND, series().starts, series().values, series().qualities, (1,)), start_of(0)
    )
    assert len(evidence.exchanges) == 1


def test_octets_that_do_not_decode_are_shown_with_the_reason():
    evidence = explain([exchange(b"\xff\xff")], series(), start_of(0))
    assert evidence.problem
    assert "does not decode" in evidence.exchanges[0].apdu
    assert evidence.exchanges[0].plain == b"\xff\xff"


def test_an_interval_the_series_does_not_have_is_said():
    evidence = explain(whole(buffer([CLOCKS, NUMBERS])), series(), start_of(99))
    assert evidence.problem
    assert not any(row.marked for row in evidence.rows)


def test_the_tree_knows_the_octets_of_each_part():
    raw = buffer([CLOCKS, NUMBERS])
    (tree,) = data_trees(raw)
    for row, number in zip(tree.children, NUMBERS, strict=True):
        cell = row.children[1]
        assert raw[cell.octets.first : cell.octets.end] == cosem.encode(number)
        assert cell.label == "double-long-unsigned"


@given(st.binary(max_size=60))
def test_any_octets_give_evidence_and_never_an_exception(octets: bytes):
    evidence = explain([exchange(b"\xc4\x01\xc1\x00" + octets), exchange(octets)], series(), start_of(0))
    assert len(evidence.exchanges) == 2
