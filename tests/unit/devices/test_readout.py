"""What a reader asks for, from a meter of every packaged model with all its peculiarities."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from amity.devices.client import AttributeRefusedError, Session
from amity.devices.equipment.clock import AdjustableClock, clock_object
from amity.devices.objects import CaptureObject, CosemObject, extended_register, register
from amity.devices.profile_generic import ProfileGeneric
from amity.devices.profiles import (
    CLOCK_COLUMN,
    CLOCK_OBIS,
    ClockEncoding,
    ClockRules,
    Deviation,
    DeviceProfile,
    Selector,
    Stamp,
    fictional_keys,
    packaged_profile,
)
from amity.devices.readout import (
    ClockReadout,
    ProfileLayout,
    RegisterReadout,
    ScalerUnit,
    interval_starts,
    meter_time,
    read_clock,
    read_in_one_request,
    read_logical_device_name,
    read_profile,
    read_profile_layout,
    read_registers,
    stamp_range,
)
from amity.devices.server import ClientAccess, MeterServer, MeterSettings
from amity.kernel.errors import RemoteProtocolError, RequestError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.kernel.units import Unit
from amity.protocols.dlms.apdu import Attribute, Conformance, DataAccessResult, GetResponseWithList, decode
from amity.protocols.dlms.data import (
    Data,
    Tag,
    array,
    double_long_unsigned,
    encode,
    long_unsigned,
    null,
    octet_string,
    structure,
    unsigned,
)
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.profile_buffer import TemplateCache
from tests.unit.devices.conversing import (
    DEMAND,
    IMPORT,
    KEYS,
    LOAD_PROFILE,
    METER_TITLE,
    NOW,
    PASSWORD,
    PUBLIC,
    QUARTER,
    SERIAL,
    Line,
    ObjectTree,
    access,
    chance,
    counter,
    meter,
    settings_for,
)

ROWS = 96 * 3
MODELS = [packaged_profile(key) for key in fictional_keys()]
every_model = pytest.mark.parametrize("profile", MODELS, ids=lambda profile: profile.key)


class ModelRows:
    """Three days of rows that end at NOW, written as the model writes them; interval i holds i in every column."""

    def __init__(self, profile: DeviceProfile, missing: frozenset[int] = frozenset()) -> None:
        end_stamped = profile.load_profile.stamp is Stamp.END
        self.profile = profile
        self.intervals = [number for number in range(ROWS) if number not in missing]
        self.stamps = [NOW - QUARTER * (ROWS - number - end_stamped) for number in self.intervals]

    def _octets(self, places: list[int]) -> list[bytes]:
        return [self._row(place, follows=number > 0 and self._follows(place)) for number, place in enumerate(places)]

    def _follows(self, place: int) -> bool:
        return self.stamps[place] - self.stamps[place - 1] == QUARTER

    def _row(self, place: int, *, follows: bool) -> bytes:
        rules = self.profile.load_profile
        cells = [
            self._time(place, follows=follows) if name == CLOCK_COLUMN else self._value(name, place)
            for name in rules.columns
        ]
        return encode(structure(*cells))

    def _time(self, place: int, *, follows: bool) -> Data:
        if follows and self.profile.load_profile.null_timestamps:
            return null()
        octets = meter_time(self.stamps[place], self.profile.clock).to_octets()
        encoding = self.profile.clock.encoding
        return Data(Tag.DATE_TIME, octets) if encoding is ClockEncoding.DATE_TIME else octet_string(octets)

    def _value(self, name: str, place: int) -> Data:
        measured = self.profile.object_named(name)
        return Data(measured.tag, self.intervals[place] % 256)

    def count(self, _now: datetime) -> int:
        return len(self.stamps)

    def between(self, start: datetime | None, end: datetime | None, _now: datetime) -> list[bytes]:
        low, high = start or self.stamps[0], end or self.stamps[-1]
        return self._octets([place for place, at in enumerate(self.stamps) if low <= at <= high])

    def entries(self, first: int, last: int, _now: datetime) -> list[bytes]:
        return self._octets(list(range(first - 1, min(last, len(self.stamps)))))


def objects_of(profile: DeviceProfile, rows: ModelRows) -> list[CosemObject]:
    rules = profile.load_profile
    time = CaptureObject(8, CLOCK_OBIS, 2)
    captures = tuple(
        time
        if name == CLOCK_COLUMN
        else CaptureObject(profile.object_named(name).class_id, profile.object_named(name).obis, 2)
        for name in rules.columns
    )
    load = ProfileGeneric(
        rules.obis,
        rows,
        captures,
        time,
        rules.capture_period_s,
        rules.entries_max,
        profile.clock.default_deviation_min,
        Selector.RANGE in rules.access,
        Selector.ENTRY in rules.access,
    )
    shown = clock_object(
        AdjustableClock(lambda now: now),
        CLOCK_OBIS,
        lambda shows, _now: octet_string(meter_time(shows, profile.clock).to_octets()),
        deviation_min=0,
    )
    registers = [
        register(measured.obis, Data(measured.tag, 42), measured.scaler, measured.unit)
        if measured.class_id == 3
        else extended_register(
            measured.obis,
            Data(measured.tag, 42),
            measured.scaler,
            measured.unit,
            status=unsigned(0),
            capture_time=null(),
        )
        for measured in profile.objects
        if measured.class_id > 1
    ]
    return [load, shown, *registers]


def line_to(profile: DeviceProfile, missing: frozenset[int] = frozenset()) -> Line:
    rules = profile.association
    client = ClientAccess(
        rules.client, rules.authentication, rules.ciphering, rules.protection, password=PASSWORD, protector=KEYS
    )
    with_list = Conformance(0) if rules.with_list else Conformance.MULTIPLE_REFERENCES
    settings = MeterSettings(
        "XXX0000000000007",
        METER_TITLE,
        (client,),
        max_pdu_octets=rules.max_pdu_octets,
        conformance=MeterSettings.__dataclass_fields__["conformance"].default & ~with_list,
    )
    server = MeterServer(
        settings,
        ObjectTree(objects_of(profile, ModelRows(profile, missing))),
        random_octets=chance(99),
        next_invocation_counter=counter(),
    )
    return Line(server, rules.client)


def opened(profile: DeviceProfile, missing: frozenset[int] = frozenset()) -> tuple[Line, Session]:
    line = line_to(profile, missing)
    return line, line.associate(settings_for(line.association._meter.settings.clients[0]))


def registers_of(profile: DeviceProfile) -> list[tuple[int, Obis]]:
    return [(measured.class_id, measured.obis) for measured in profile.objects if measured.class_id > 1]


def without_evidence(registers: tuple[RegisterReadout, ...]) -> list[RegisterReadout]:
    return [one._replace(evidence=()) for one in registers]


@pytest.mark.parametrize("profile", [one for one in MODELS if one.association.with_list], ids=lambda one: one.key)
def test_name_clock_and_registers_of_one_request_are_those_read_one_by_one(profile: DeviceProfile):
    registers = registers_of(profile)[:2]
    line, session = opened(profile)
    before = len(session.exchanges)
    together = read_in_one_request(session, registers)
    assert together is not None
    first = line.lead(together)
    assert first.clock.evidence == first.registers[0].evidence == tuple(range(before, len(session.exchanges)))
    assert isinstance(decode(session.exchanges[before].plain), GetResponseWithList)
    assert first.name == line.lead(read_logical_device_name(session))
    assert first.clock.time == line.lead(read_clock(session)).time
    assert without_evidence(first.registers) == without_evidence(line.lead(read_registers(session, registers)))


def test_a_meter_without_lists_and_a_list_too_long_are_not_read_in_one_request():
    for profile in MODELS:
        many = registers_of(profile) * 16
        assert read_in_one_request(opened(profile)[1], many) is None
    alone = next(one for one in MODELS if not one.association.with_list)
    assert read_in_one_request(opened(alone)[1], []) is None


def test_a_clock_that_is_refused_within_the_list_is_refused():
    clockless = meter(access(), objects=[register(IMPORT, double_long_unsigned(42), 0, Unit.WATT_HOUR)])
    line = Line(clockless)
    together = read_in_one_request(line.associate(settings_for(access())), [(3, IMPORT)])
    assert together is not None
    with pytest.raises(AttributeRefusedError, match=r"0\.0\.1\.0\.0\.255"):
        line.lead(together)


@every_model
def test_the_intervals_of_a_day_come_back_at_their_starts(profile: DeviceProfile):
    line, session = opened(profile)
    layout = line.lead(read_profile_layout(session, profile.load_profile.obis))
    start, end = NOW - timedelta(days=2), NOW - timedelta(days=1)
    first, last = stamp_range(start, end, profile.load_profile)
    readout = line.lead(
        read_profile(session, layout, first, last, clock=profile.clock, access=profile.load_profile.access, now=NOW)
    )
    columns = readout.columns(
        profile.clock,
        null_timestamps=profile.load_profile.null_timestamps,
        templates=TemplateCache(),
        model=profile.key,
    )
    starts = interval_starts(columns.timestamps_s, profile.load_profile)
    wanted = (starts >= epoch_s(start)) & (starts < epoch_s(end))
    assert starts[wanted].tolist() == list(range(epoch_s(start), epoch_s(end), 900))
    assert np.asarray(columns.columns[-1])[wanted].tolist() == [number % 256 for number in range(96, 192)]
    if Selector.RANGE in profile.load_profile.access:
        assert wanted.all()
    assert readout.evidence == tuple(range(readout.evidence[0], len(session.exchanges)))
    assert session.exchanges[readout.evidence[-1]].plain[-4:] == readout.raw[-4:]


@every_model
def test_some_columns_of_a_day(profile: DeviceProfile):
    line, session = opened(profile)
    layout = line.lead(read_profile_layout(session, profile.load_profile.obis))
    clock, last = layout.clock_column, len(layout.capture_objects) - 1
    readout = line.lead(
        read_profile(
            session, layout, NOW - timedelta(days=1), NOW, clock=profile.clock, access=profile.load_profile.access,
            now=NOW, columns=(clock, last),
        )
    )  # fmt: skip
    captures = readout.layout.capture_objects
    assert captures[readout.layout.clock_column] == layout.capture_objects[clock]
    assert captures[-1] == layout.capture_objects[last]
    if Selector.RANGE in profile.load_profile.access:
        assert len(captures) == 2
    columns = readout.columns(profile.clock, null_timestamps=profile.load_profile.null_timestamps)
    assert len(columns.columns) == len(captures)
    assert np.asarray(columns.columns[-1])[-96:].tolist() == [number % 256 for number in range(ROWS - 96, ROWS)]


def test_a_column_that_is_not_there_is_refused_before_anything_is_sent():
    line, session = opened(packaged_profile("norrvik_n1"))
    layout = line.lead(read_profile_layout(session, packaged_profile("norrvik_n1").load_profile.obis))
    before = len(line.requests)
    with pytest.raises(RequestError, match="columns 0 to"):
        line.lead(
            read_profile(
                session, layout, NOW, NOW, clock=packaged_profile("norrvik_n1").clock, access=(), now=NOW, columns=(99,)
            )
        )
    assert len(line.requests) == before


@every_model
def test_a_gap_stays_a_gap(profile: DeviceProfile):
    missing = frozenset({ROWS - 50, ROWS - 49, ROWS - 20})
    line, session = opened(profile, missing)
    layout = line.lead(read_profile_layout(session, profile.load_profile.obis))
    first, last = stamp_range(NOW - timedelta(days=1), NOW, profile.load_profile)
    readout = line.lead(
        read_profile(session, layout, first, last, clock=profile.clock, access=profile.load_profile.access, now=NOW)
    )
    columns = readout.columns(profile.clock, null_timestamps=profile.load_profile.null_timestamps)
    starts = interval_starts(columns.timestamps_s, profile.load_profile)
    found = set(((starts - epoch_s(NOW)) // 900 + ROWS).tolist())
    assert set(range(ROWS - 96, ROWS)) - found == missing


@every_model
def test_the_layout_names_every_column(profile: DeviceProfile):
    line, session = opened(profile)
    layout = line.lead(read_profile_layout(session, profile.load_profile.obis))
    assert layout.capture_period_s == 900
    assert layout.clock_column == profile.load_profile.columns.index(CLOCK_COLUMN)
    for name, capture, scaler_unit in zip(
        profile.load_profile.columns, layout.capture_objects, layout.scaler_units, strict=True
    ):
        if name not in {CLOCK_COLUMN, "status"}:
            measured = profile.object_named(name)
            assert (capture.class_id, capture.obis, capture.attribute) == (measured.class_id, measured.obis, 2)
            assert scaler_unit == ScalerUnit(measured.scaler, measured.unit)
        else:
            assert scaler_unit is None


@every_model
def test_the_clock_is_utc_whatever_the_meter_writes(profile: DeviceProfile):
    line, session = opened(profile)
    readout = line.lead(read_clock(session))
    assert readout.to_utc(profile.clock) == NOW
    assert readout.evidence == (len(session.exchanges) - 1,)


@every_model
def test_registers_come_with_scaler_and_unit(profile: DeviceProfile):
    line, session = opened(profile)
    wanted = [measured for measured in profile.objects if measured.class_id > 1]
    readouts = line.lead(read_registers(session, [(measured.class_id, measured.obis) for measured in wanted]))
    for measured, readout in zip(wanted, readouts, strict=True):
        assert readout.value == Data(measured.tag, 42)
        assert readout.scaler_unit == ScalerUnit(measured.scaler, measured.unit)


def plain_line() -> tuple[Line, Session]:
    line = Line(meter(), client=PUBLIC)
    return line, line.associate(settings_for(access()))


def test_the_logical_device_name_is_text():
    line, session = plain_line()
    assert line.lead(read_logical_device_name(session)) == "XXX0000000000007"


def test_a_register_tells_all_it_has():
    line, session = plain_line()
    nowhere = Obis.parse("1.0.9.9.9.255")
    imported, demand, serial, missing = line.lead(
        read_registers(session, [(3, IMPORT), (4, DEMAND), (1, SERIAL), (3, nowhere)])
    )
    evidence = (len(session.exchanges) - 1,)
    assert imported == RegisterReadout(
        Attribute(3, IMPORT, 2), double_long_unsigned(4711), ScalerUnit(0, Unit.WATT_HOUR), None, evidence
    )
    assert demand.scaler_unit == ScalerUnit(2, Unit.WATT)
    assert demand.captured_at == CosemDateTime.from_utc(NOW)
    assert serial.value == octet_string(b"4711")
    assert serial.scaler_unit is None
    assert missing.value is DataAccessResult.OBJECT_UNDEFINED


def test_a_known_scaler_is_not_read_again():
    line, session = plain_line()
    known = {Attribute(3, IMPORT, 2): ScalerUnit(0, Unit.WATT_HOUR)}
    (imported,) = line.lead(read_registers(session, [(3, IMPORT)], known))
    assert imported.scaler_unit == ScalerUnit(0, Unit.WATT_HOUR)
    assert line.requests[-1].count(bytes(IMPORT)) == 1


def test_a_meter_that_selects_nothing_gives_the_whole_buffer():
    line, session = plain_line()
    layout = line.lead(read_profile_layout(session, LOAD_PROFILE))
    readout = line.lead(
        read_profile(session, layout, NOW, NOW, clock=packaged_profile("norrvik_n1").clock, access=(), now=NOW)
    )
    assert readout.columns(packaged_profile("norrvik_n1").clock).rows == 384


def test_selective_access_that_was_not_granted_is_not_used():
    line = Line(meter(conformance=Conformance.GET | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ), client=PUBLIC)
    session = line.associate(settings_for(access()))
    rules = packaged_profile("norrvik_n1")
    layout = line.lead(read_profile_layout(session, LOAD_PROFILE))
    readout = line.lead(
        read_profile(session, layout, NOW, NOW, clock=rules.clock, access=rules.load_profile.access, now=NOW)
    )
    assert readout.columns(rules.clock).rows == 384


@pytest.mark.parametrize(
    "definitions",
    [
        array(()),
        null(),
        array((null(),)),
        array((structure(long_unsigned(3), octet_string(b"short"), unsigned(2), long_unsigned(0)),)),
        array((structure(octet_string(b"3"), octet_string(bytes(IMPORT)), unsigned(2), long_unsigned(0)),)),
    ],
)
def test_capture_objects_that_are_none_are_the_meters_fault(definitions: Data):
    line, session = plain_line()
    line.spoil = lambda answer: answer[:4] + encode(definitions)
    with pytest.raises(RemoteProtocolError):
        line.lead(read_profile_layout(session, LOAD_PROFILE))


@pytest.mark.parametrize("value", [null(), unsigned(7), octet_string(b"noon")])
def test_a_clock_that_shows_no_time_is_the_meters_fault(value: Data):
    line, session = plain_line()
    line.spoil = lambda answer: answer[:4] + encode(value)
    with pytest.raises(RemoteProtocolError):
        line.lead(read_clock(session))


def test_a_name_that_is_no_text_is_the_meters_fault():
    line, session = plain_line()
    line.spoil = lambda answer: answer[:4] + encode(unsigned(7))
    with pytest.raises(RemoteProtocolError):
        line.lead(read_logical_device_name(session))


@pytest.mark.parametrize(
    ("deviation", "inverted", "octets"),
    [
        (Deviation.SPECIFIED, False, "ffc4"),
        (Deviation.SPECIFIED, True, "003c"),
        (Deviation.UNSPECIFIED, False, "8000"),
    ],
)
def test_an_instant_as_the_meter_writes_it(deviation: Deviation, inverted: bool, octets: str):
    rules = ClockRules(ClockEncoding.OCTET_STRING, deviation, 60, inverted)
    written = meter_time(NOW, rules).to_octets()
    assert written.hex() == "07ea0102" + "05" + "01000000" + octets + "00"
    assert ClockReadout(CosemDateTime.from_octets(written), ()).to_utc(rules) == NOW


def test_a_profile_without_a_clock_has_no_clock_column():
    assert ProfileLayout(LOAD_PROFILE, (CaptureObject(3, IMPORT, 2),), (None,), 900).clock_column is None
