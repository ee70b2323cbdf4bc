"""What the packaged meter models send becomes the same canonical readings; what cannot be used is kept and flagged."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from amity.devices.objects import CaptureObject
from amity.devices.profiles import CLOCK_OBIS, DeviceProfile, packaged_profile
from amity.devices.readout import ProfileLayout, ProfileReadout, ScalerUnit
from amity.domain.events import EventKind
from amity.domain.readings import IntervalSeries, Quality
from amity.headend.mapping import CosemObject, Mapping, packaged_mapping, parse_mapping
from amity.headend.normalise import Normalised, Normaliser, ProfileBuffer, ReadValue
from amity.kernel.obis import Obis
from amity.kernel.time import from_epoch_s
from amity.kernel.units import Unit
from amity.protocols.dlms.data import (
    NULL_DATA,
    Data,
    Tag,
    array,
    double_long_unsigned,
    encode,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.profile_buffer import ClockReading, decode_columns

T = 1_795_000_500
WH, VARH = ScalerUnit(0, 30), ScalerUnit(0, 32)
CLOCK = CosemObject(8, CLOCK_OBIS, 2)
STATUS = CosemObject(1, Obis.parse("0.0.96.10.1.255"), 2)
NORRVIK = packaged_profile("norrvik_n1")  # totals, stamped at the end, status bits 1, 5, 7
BERGHOLM = packaged_profile("bergholm_b20")  # amounts of 10 Wh, stamped at the start, makers' OBIS, no deviation


def register(obis: str, class_id: int = 3) -> CosemObject:
    return CosemObject(class_id, Obis.parse(obis), 2)


def stamp(seconds: int, deviation_min: int | None = 0, status: int = 0) -> Data:
    return octet_string(CosemDateTime.from_utc(from_epoch_s(seconds), deviation_min, status=status).to_octets())


def buffer(
    captures: Sequence[CosemObject],
    scalers: Sequence[ScalerUnit | None],
    rows: Sequence[Sequence[Data]],
    obis: str = "1.0.99.1.0.255",
) -> ProfileBuffer:
    raw = encode(array(structure(*row) for row in rows))
    layout = ProfileLayout(
        Obis.parse(obis),
        tuple(CaptureObject(met.class_id, met.obis, met.attribute) for met in captures),
        tuple(scalers),
        900,
    )
    return ProfileBuffer(ProfileReadout(layout, raw, (4, 5)), decode_columns(raw, ClockReading(0)))


def normalised(
    profile: DeviceProfile, one: ProfileBuffer, *, wanted_from_s: int = 0, mapping: Mapping | None = None
) -> Normalised:
    normaliser = Normaliser(profile, mapping or packaged_mapping())
    normaliser.load_profile(one, from_s=wanted_from_s, until_s=T + 86_400)
    return normaliser.result


def shown(series: IntervalSeries) -> tuple[str, int, int, list[int], list[int]]:
    kind = series.reading_type
    return str(kind.obis), kind.unit, kind.exponent, (series.starts - T).tolist(), series.values.tolist()


def norrvik(*rows: tuple[int, int, int], clock_status: int = 0) -> ProfileBuffer:
    """(stamp after T, status, import total) rows."""
    return buffer(
        (CLOCK, STATUS, register("1.0.1.8.0.255")),
        (None, None, WH),
        [(stamp(T + at, 0, clock_status), unsigned(bits), double_long_unsigned(total)) for at, bits, total in rows],
    )


def test_totals_stamped_at_the_end_become_amounts_named_by_their_start() -> None:
    result = normalised(NORRVIK, norrvik((0, 0, 1000), (900, 0, 1250), (1800, 0, 1250)), wanted_from_s=T)
    assert [shown(one) for one in result.intervals] == [("1.0.1.29.0.255", 30, 0, [0, 900], [250, 0])]
    assert result.intervals[0].evidence == (4, 5)
    assert result.intervals[0].qualities.tolist() == [Quality.MEASURED, Quality.MEASURED]
    assert (result.registers, result.unknown, result.remarks) == ([], [], [])


def test_amounts_in_tens_of_watt_hours_under_the_makers_numbers() -> None:
    result = normalised(
        BERGHOLM,
        buffer(
            (CLOCK, register("1.0.2.29.0.255"), register("1.0.1.29.0.255"), register("1.0.131.29.0.255")),
            (None, ScalerUnit(1, 30), ScalerUnit(1, 30), ScalerUnit(1, 32)),
            [(stamp(T + at), long_unsigned(1), long_unsigned(25), long_unsigned(3)) for at in (0, 900)],
        ),
    )
    assert [shown(one) for one in result.intervals] == [
        ("1.0.2.29.0.255", 30, 0, [0, 900], [10, 10]),
        ("1.0.1.29.0.255", 30, 0, [0, 900], [250, 250]),
        ("1.0.3.29.0.255", 32, 0, [0, 900], [30, 30]),
    ]


def test_what_is_finer_than_a_watt_hour_stays_finer() -> None:
    tarn = packaged_profile("tarn_t4")
    one = buffer(
        (CLOCK, register("1.0.1.29.0.255")), (None, ScalerUnit(-1, 30)), [(stamp(T), double_long_unsigned(2503))]
    )
    assert [shown(series) for series in normalised(tarn, one).intervals] == [("1.0.1.29.0.255", 30, -1, [0], [2503])]


def test_a_gap_has_no_amounts_and_the_totals_at_its_ends_are_kept() -> None:
    result = normalised(
        NORRVIK, norrvik((900, 0, 100), (1800, 0, 150), (4500, 0, 400), (5400, 0, 410)), wanted_from_s=T + 900
    )
    assert [shown(one) for one in result.intervals] == [("1.0.1.29.0.255", 30, 0, [900, 4500], [50, 10])]
    bounds = [(reading.value, reading.at) for reading in result.registers]
    assert bounds == [(150, from_epoch_s(T + 1800)), (400, from_epoch_s(T + 4500))]


def test_a_total_stamped_by_a_doubtful_clock_is_no_reading_of_the_register() -> None:
    invalid = 1 << 1
    rows = norrvik((900, 0, 100), (1800, invalid, 150), (4500, invalid, 400), (5400, 0, 410))
    result = normalised(NORRVIK, rows, wanted_from_s=T + 900)
    assert result.intervals
    assert result.registers == []


def test_the_very_first_row_ever_gives_its_total() -> None:
    result = normalised(NORRVIK, norrvik((900, 0, 100), (1800, 0, 150)))
    assert [reading.value for reading in result.registers] == [100]


def test_a_rolled_over_total_goes_on_and_a_reset_one_is_remarked() -> None:
    rolled = normalised(NORRVIK, norrvik((0, 0, 2**32 - 10), (900, 0, 5)), wanted_from_s=T)
    assert rolled.intervals[0].values.tolist() == [15]
    reset = normalised(NORRVIK, norrvik((0, 0, 50_000_000), (900, 0, 5)), wanted_from_s=T)
    assert reset.intervals == []
    assert "went back" in reset.remarks[0]


def test_a_rollover_of_the_display_comes_from_the_mapping() -> None:
    rules = """{"version": "1", "rules": [{"kind": "cumulative-interval", "class": 3, "obis": "1.0.1.8.0.255",
        "reading": "1.0.1.29.0.255", "rollover": 100000}]}"""
    one = norrvik((0, 0, 99_990), (900, 0, 10))
    assert normalised(NORRVIK, one, mapping=parse_mapping(rules, "m")).intervals[0].values.tolist() == [20]


@pytest.mark.parametrize(
    ("bits", "quality"),
    [
        (1 << 7, Quality.MEASURED | Quality.POWER_OUTAGE),
        (1 << 1, Quality.MEASURED | Quality.CLOCK_SUSPECT),
        (1 << 5, Quality.MEASURED | Quality.CLOCK_SUSPECT),
        (1 << 0, Quality.MEASURED),
        (0xFF, Quality.MEASURED | Quality.POWER_OUTAGE | Quality.CLOCK_SUSPECT),
    ],
)
def test_the_meters_status_becomes_quality(bits: int, quality: Quality) -> None:
    result = normalised(NORRVIK, norrvik((0, 0, 1), (900, bits, 2)), wanted_from_s=T)
    assert result.intervals[0].qualities.tolist() == [quality]


def test_a_time_that_the_meter_doubts_makes_its_values_suspect() -> None:
    result = normalised(NORRVIK, norrvik((0, 0, 1), (900, 0, 2), clock_status=0x08), wanted_from_s=T)
    assert result.intervals[0].qualities.tolist() == [Quality.MEASURED | Quality.CLOCK_SUSPECT]


def test_a_clock_found_wrong_makes_the_session_suspect() -> None:
    normaliser = Normaliser(NORRVIK, packaged_mapping())
    normaliser.load_profile(norrvik((0, 0, 1), (900, 0, 2)), from_s=T, until_s=T + 900, suspect_clock=True)
    assert normaliser.result.intervals[0].qualities.tolist() == [Quality.MEASURED | Quality.CLOCK_SUSPECT]


def test_rows_off_the_grid_are_kept_raw_and_the_rest_is_used() -> None:
    result = normalised(NORRVIK, norrvik((0, 0, 100), (437, 0, 120), (900, 0, 150)), wanted_from_s=T)
    assert result.intervals[0].values.tolist() == [50]
    (kept,) = result.unknown
    assert (kept.class_id, str(kept.obis), kept.attribute) == (7, "1.0.99.1.0.255", 2)
    assert kept.octets == encode(structure(stamp(T + 437), unsigned(0), double_long_unsigned(120)))
    assert kept.at == from_epoch_s(T + 437)
    assert result.remarks == ["1 row off the grid in profile 1.0.99.1.0.255: kept raw"]


def test_of_two_rows_for_one_interval_the_later_written_counts_and_the_other_is_kept() -> None:
    one = buffer(
        (CLOCK, register("1.0.1.29.0.255")),
        (None, WH),
        [
            (stamp(T + at), double_long_unsigned(amount))
            for at, amount in ((0, 1), (900, 2), (0, 3), (900, 4), (1800, 5))
        ],
    )
    result = normalised(packaged_profile("tarn_t4"), one)
    assert shown(result.intervals[0])[3:] == ([0, 900, 1800], [3, 4, 5])
    suspect = Quality.MEASURED | Quality.CLOCK_SUSPECT
    assert result.intervals[0].qualities.tolist() == [suspect, suspect, Quality.MEASURED]
    assert [kept.octets for kept in result.unknown] == [
        encode(structure(stamp(T + at), double_long_unsigned(amount))) for at, amount in ((0, 1), (900, 2))
    ]


def test_totals_are_differenced_in_the_order_of_writing_when_the_clock_was_set_back() -> None:
    """The clock ran an hour ahead for two rows: the energy of that hour must not land in one interval."""
    written = ((900, 100), (1800, 110), (6300, 120), (7200, 130), (2700, 140), (3600, 150), (7200, 160), (8100, 170))
    result = normalised(NORRVIK, norrvik(*((at, 0, total) for at, total in written)), wanted_from_s=T + 900)
    assert set(result.intervals[0].values.tolist()) == {10}


def test_a_missing_cell_leaves_its_interval_and_the_next_difference_open() -> None:
    totals = [double_long_unsigned(1), NULL_DATA, double_long_unsigned(9), double_long_unsigned(11)]
    rows = [(stamp(T + slot * 900), total) for slot, total in enumerate(totals)]
    one = buffer((CLOCK, register("1.0.1.8.0.255")), (None, WH), rows)
    result = normalised(NORRVIK, one, wanted_from_s=T)
    assert shown(result.intervals[0])[3:] == ([1800], [2])
    assert [reading.value for reading in result.registers] == [9]


def test_an_object_that_no_rule_names_is_kept_raw() -> None:
    one = buffer(
        (CLOCK, register("1.0.99.99.0.255")), (None, WH), [(stamp(T + at), double_long_unsigned(7)) for at in (0, 900)]
    )
    (kept,) = normalised(NORRVIK, one).unknown
    assert str(kept.obis) == "1.0.99.99.0.255"
    assert kept.octets == encode(array([double_long_unsigned(7)] * 2))
    assert kept.evidence == (4, 5)


@pytest.mark.parametrize(
    ("cell", "scaler"),
    [(octet_string(b"text"), WH), (double_long_unsigned(5), None), (double_long_unsigned(5), ScalerUnit(0, 200))],
)
def test_a_column_that_is_no_number_of_a_known_unit_is_kept_raw(cell: Data, scaler: ScalerUnit | None) -> None:
    result = normalised(BERGHOLM, buffer((CLOCK, register("1.0.1.29.0.255")), (None, scaler), [(stamp(T), cell)]))
    assert result.intervals == []
    assert result.unknown[0].octets == encode(array([cell]))


def test_floating_point_amounts_become_thousandths() -> None:
    one = buffer(
        (CLOCK, register("1.0.1.29.0.255")), (None, ScalerUnit(3, 30)), [(stamp(T), Data(Tag.FLOAT64, 0.2505))]
    )
    assert shown(normalised(BERGHOLM, one).intervals[0]) == ("1.0.1.29.0.255", 30, -3, [0], [250_500])


def test_values_beyond_64_bits_are_kept_raw() -> None:
    one = buffer((CLOCK, register("1.0.1.29.0.255")), (None, ScalerUnit(9, 30)), [(stamp(T), Data(Tag.LONG64, 2**62))])
    result = normalised(BERGHOLM, one)
    assert (result.intervals, len(result.unknown)) == ([], 1)


def test_an_empty_profile_gives_nothing() -> None:
    result = normalised(NORRVIK, buffer((CLOCK, register("1.0.1.8.0.255")), (None, WH), []))
    assert result == Normalised()


def read(met: CosemObject, value: Data, scaler_unit: ScalerUnit | None) -> ReadValue:
    return ReadValue(met, value, scaler_unit, from_epoch_s(T), (1,))


def test_registers_keep_their_exact_value_and_unit() -> None:
    normaliser = Normaliser(packaged_profile("quillon_q5"), packaged_mapping())
    normaliser.values(
        [
            read(register("1.0.1.8.0.255"), double_long_unsigned(12), ScalerUnit(3, 30)),
            read(register("1.0.32.7.0.255"), long_unsigned(2314), ScalerUnit(-1, 35)),
            read(STATUS, unsigned(0), None),
        ]
    )
    energy, voltage = normaliser.result.registers
    assert (energy.value, energy.reading_type.exponent, energy.reading_type.unit) == (12, 3, Unit.WATT_HOUR)
    assert (voltage.value, voltage.reading_type.exponent) == (2314, -1)
    assert str(voltage.quantity()) == "231.4"
    assert normaliser.result.unknown == []


@pytest.mark.parametrize(
    ("met", "value"),
    [
        (register("1.0.97.97.0.255"), double_long_unsigned(1)),
        (register("1.0.1.8.0.255"), octet_string(b"x")),
        (register("1.0.1.8.0.255"), Data(Tag.BOOLEAN, value=True)),
        (register("1.0.1.8.0.255"), Data(Tag.LONG64_UNSIGNED, 2**64 - 1)),
        (register("1.0.1.8.0.255"), Data(Tag.FLOAT64, float("nan"))),
    ],
)
def test_values_that_cannot_be_used_are_kept_raw(met: CosemObject, value: Data) -> None:
    normaliser = Normaliser(NORRVIK, packaged_mapping())
    normaliser.values([read(met, value, WH)])
    assert normaliser.result.registers == []
    assert normaliser.result.unknown[0].octets == encode(value)


def test_billing_rows_are_register_readings_at_their_midnight() -> None:
    midnight = T - T % 86_400
    rows = [(stamp(midnight + day * 86_400), double_long_unsigned(100 + day)) for day in range(2)]
    normaliser = Normaliser(NORRVIK, packaged_mapping())
    normaliser.billing_profile(buffer((CLOCK, register("1.0.1.8.0.255")), (None, WH), rows, obis="1.0.98.1.0.255"))
    assert [(reading.value, reading.at - from_epoch_s(midnight)) for reading in normaliser.result.registers] == [
        (100, timedelta(0)),
        (101, timedelta(days=1)),
    ]
    assert {str(reading.reading_type.obis) for reading in normaliser.result.registers} == {"1.0.1.8.0.255"}


def test_event_codes_are_named_by_the_profile_or_the_mapping_else_other() -> None:
    code = CosemObject(1, Obis.parse("0.0.96.11.0.255"), 2)
    rows = [(stamp(T + number), long_unsigned(value)) for number, value in enumerate((44, 9999, 17))]
    rules = """{"version": "1", "rules": [
        {"kind": "event", "class": 1, "obis": "0.0.96.11.0.255", "codes": {"17": "magnetic-field"}}]}"""
    normaliser = Normaliser(NORRVIK, parse_mapping(rules, "m"))
    normaliser.event_log(buffer((CLOCK, code), (None, None), rows, obis="0.0.99.98.0.255"))
    found = [(event.kind, event.code, event.at - from_epoch_s(T)) for event in normaliser.result.events]
    assert found == [
        (EventKind.COVER_OPENED, 44, timedelta(0)),
        (EventKind.OTHER, 9999, timedelta(seconds=1)),
        (EventKind.MAGNETIC_FIELD, 17, timedelta(seconds=2)),
    ]


def test_an_event_has_its_log_its_class_and_its_place_among_those_alike() -> None:
    code = CosemObject(1, Obis.parse("0.0.96.11.1.255"), 2)
    rows = [(stamp(T + at), long_unsigned(value)) for at, value in ((0, 44), (0, 44), (0, 45), (1, 44), (2, 9999))]
    normaliser = Normaliser(NORRVIK, packaged_mapping())
    normaliser.event_log(buffer((CLOCK, code), (None, None), rows, obis="0.0.99.98.1.255"))
    events = normaliser.result.events
    assert [(one.code, one.occurrence) for one in events] == [(44, 0), (44, 1), (45, 0), (44, 0), (9999, 0)]
    assert {one.log for one in events} == {"fraud"}
    assert [(one.event_class, one.severity) for one in events[2:]] == [
        ("tamper", "info"), ("tamper", "alarm"), ("other", "info"),
    ]  # fmt: skip
    assert [bool(one.text) for one in events] == [True, True, True, True, False]


def test_each_bit_of_an_alarm_descriptor_is_an_event() -> None:
    alarms = CosemObject(1, Obis.parse("0.0.97.98.21.255"), 2)
    normaliser = Normaliser(NORRVIK, packaged_mapping())
    rows = [(stamp(T), double_long_unsigned(0x80000105))]
    normaliser.event_log(buffer((CLOCK, alarms), (None, None), rows, obis="0.0.25.9.0.255"))
    found = [(one.log, one.code, one.kind, one.text) for one in normaliser.result.events]
    assert found == [
        ("alarm-2", 0, EventKind.POWER_DOWN, "power lost"),
        ("alarm-2", 2, EventKind.OTHER, "voltage missing on L1"),
        ("alarm-2", 8, EventKind.OTHER, "neutral missing"),
        ("alarm-2", 31, EventKind.OTHER, "disconnecting or reconnecting failed"),
    ]


def test_a_profile_without_its_status_column_is_taken_as_measured() -> None:
    unread = CosemObject(1, Obis.parse("0.0.96.5.0.255"), 2)
    one = buffer(
        (CLOCK, unread, register("1.0.1.8.0.255")),
        (None, None, WH),
        [(stamp(T + at), unsigned(0xFF), double_long_unsigned(total)) for at, total in ((0, 1), (900, 3))],
    )
    result = normalised(NORRVIK, one, wanted_from_s=T)
    assert result.intervals[0].values.tolist() == [2]
    assert np.array_equal(result.intervals[0].qualities, [Quality.MEASURED])
    assert [str(kept.obis) for kept in result.unknown] == ["0.0.96.5.0.255"]


def test_the_starts_that_the_meter_has_are_told_and_those_outside_the_range_left_out() -> None:
    normaliser = Normaliser(NORRVIK, packaged_mapping())
    rows = norrvik((0, 0, 1), (900, 0, 2), (1800, 0, 3), (3600, 0, 5))
    starts = normaliser.load_profile(rows, from_s=T, until_s=T + 1800)
    assert (starts - T).tolist() == [0, 900]
    assert shown(normaliser.result.intervals[0])[3:] == ([0, 900], [1, 1])


def test_events_and_snapshots_that_are_known_already_are_left_out() -> None:
    code = CosemObject(1, Obis.parse("0.0.96.11.0.255"), 2)
    normaliser = Normaliser(NORRVIK, packaged_mapping())
    normaliser.event_log(
        buffer((CLOCK, code), (None, None), [(stamp(T + at), long_unsigned(1)) for at in (0, 5)]), after_s=T
    )
    normaliser.billing_profile(norrvik((0, 0, 1), (900, 0, 2)), after_s=T)
    assert [event.at for event in normaliser.result.events] == [from_epoch_s(T + 5)]
    assert [reading.value for reading in normaliser.result.registers] == [2]
