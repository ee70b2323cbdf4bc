"""A client and a meter doing random legal things to each other, held against a model of what the meter must hold."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from amity.devices.client import (
    AccessAnswer,
    Acting,
    Ciphering,
    Getting,
    MethodRefusedError,
    Protection,
    ServiceRefusedError,
    Setting,
    WriteRefusedError,
    access,
    act,
    act_list,
    associate,
    get,
    get_list,
    release,
    set_attribute,
    set_list,
)
from amity.devices.server import State
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.apdu import ActionResult, Attribute, Conformance, DataAccessResult, Method
from amity.protocols.dlms.data import Data, array, null, octet_string, unsigned, visible_string
from tests.property.protocols.strategies import values
from tests.unit.devices.changing import EVERYTHING, EXECUTE, GENERAL, NOTE, OTHER_NOTE, SPECIFIC, Bench, managing
from tests.unit.devices.conversing import NOW, ports, settings_for

NO = visible_string("no")
MODES = [
    (Ciphering.NONE, Protection.NONE),
    (Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED),
    (Ciphering.GENERAL_GLO, Protection.AUTHENTICATED),
]
notes = st.sampled_from([NOTE, OTHER_NOTE])
contents = values() | st.integers(0, 400).map(lambda count: octet_string(bytes(count)))


class ClientAndMeter(RuleBasedStateMachine):
    """One meter, one client that opens and releases associations of every kind; `held` is what the notebooks hold."""

    @initialize(mode=st.sampled_from(MODES), takes=st.sampled_from([64, 100, 500, 1024]))
    def begin(self, mode: tuple[Ciphering, Protection], takes: int):
        self.allowed = managing(*mode)
        self.bench = Bench(self.allowed, limits={"max_pdu_octets": takes})
        self.held: dict[Attribute, Data] = {NOTE: null(), OTHER_NOTE: null()}
        self.calls = 0
        self.counter = 1000

    @rule(
        granted=st.sampled_from([SPECIFIC, GENERAL, EVERYTHING, SPECIFIC & ~Conformance.MULTIPLE_REFERENCES]),
        max_pdu_octets=st.sampled_from([0, 50, 64, 128, 1000]),
        window=st.integers(1, 63),
        politely=st.booleans(),
    )
    def open_another_association(self, granted: Conformance, max_pdu_octets: int, window: int, *, politely: bool):
        if politely:
            assert self.bench.lead(release(self.bench.session))
            assert self.bench.line.association.state is State.IDLE
        changes = {"conformance": granted, "max_pdu_octets": max_pdu_octets, "block_window": window}
        self.counter += 10_000
        self.bench.session = self.bench.lead(
            associate(settings_for(self.allowed, **changes), ports(self.counter))
        )  # fmt: skip

    @rule(note=notes, value=contents)
    def write(self, note: Attribute, value: Data):
        self.bench.lead(set_attribute(self.bench.session, note, value))
        self.held[note] = value

    @rule(note=notes)
    def write_what_is_refused(self, note: Attribute):
        with pytest.raises(WriteRefusedError, match="type-unmatched"):
            self.bench.lead(set_attribute(self.bench.session, note, NO))

    @rule(written=st.lists(st.tuples(notes, contents | st.just(NO)), min_size=1, max_size=20))
    def write_several(self, written: list[tuple[Attribute, Data]]):
        results = self.bench.lead(set_list(self.bench.session, written))
        assert [result is DataAccessResult.SUCCESS for result in results] == [value != NO for _, value in written]
        self.held |= {note: value for note, value in written if value != NO}

    @rule(note=notes)
    def read(self, note: Attribute):
        assert self.bench.lead(get(self.bench.session, note)) == self.held[note]

    @rule(read=st.lists(notes, min_size=1, max_size=20))
    def read_several(self, read: list[Attribute]):
        assert self.bench.lead(get_list(self.bench.session, read)) == tuple(self.held[note] for note in read)

    @rule(parameters=contents | st.none())
    def call(self, parameters: Data | None):
        assert self.bench.lead(act(self.bench.session, EXECUTE, parameters)) == parameters
        self.calls += 1

    @rule()
    def call_what_is_refused(self):
        with pytest.raises(MethodRefusedError, match="read-write-denied"):
            self.bench.lead(act(self.bench.session, Method(9, EXECUTE.obis, 2)))

    @rule(given_parameters=st.lists(contents | st.just(NO), min_size=1, max_size=20))
    def call_several(self, given_parameters: list[Data]):
        outcomes = self.bench.lead(act_list(self.bench.session, [(EXECUTE, one) for one in given_parameters]))
        done = [one for one in given_parameters if one != NO]
        returned = [one.return_value or null() for one in outcomes if one.result is ActionResult.SUCCESS]
        assert returned == done
        self.calls += len(done)

    @rule(value=contents, note=notes)
    def all_in_one(self, value: Data, note: Attribute):
        if not self.bench.session.conformance & Conformance.ACCESS:
            return
        parts = [Setting(note, value), Getting(note), Acting(EXECUTE, value), Setting(note, NO)]
        try:
            answers = self.bench.lead(access(self.bench.session, parts))
        except ServiceRefusedError:  # too long for one APDU, and general blocks were not granted
            assert not self.bench.session.general_blocks
            self.held[note] = self.bench.notes.value if note == NOTE else self.bench.other_notes.value
            self.calls = self.bench.echo.calls
            return
        assert answers[1:3] == (
            AccessAnswer(DataAccessResult.SUCCESS, value),
            AccessAnswer(ActionResult.SUCCESS, value),
        )
        assert answers[3].result is DataAccessResult.TYPE_UNMATCHED
        self.held[note] = value
        self.calls += 1

    @invariant()
    def the_meter_holds_what_was_written(self):
        if hasattr(self, "held"):
            assert (self.bench.notes.value, self.bench.other_notes.value) == (self.held[NOTE], self.held[OTHER_NOTE])
            assert self.bench.echo.calls == self.calls


ClientAndMeter.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
test_client_and_meter = ClientAndMeter.TestCase


@given(
    st.integers(12, 65_535) | st.integers(12, 300),
    st.integers(64, 65_535) | st.integers(64, 300),
    st.sampled_from([SPECIFIC, GENERAL, EVERYTHING]),
    contents | st.integers(0, 3000).map(lambda count: array(unsigned(number % 256) for number in range(count))),
)
@settings(max_examples=150)
def test_whatever_fits_an_apdu_the_same_values_arrive(
    client_takes: int, meter_takes: int, proposed: Conformance, value: Data
):
    bench = Bench(conformance=proposed, max_pdu_octets=client_takes, limits={"max_pdu_octets": meter_takes})
    bench.lead(set_attribute(bench.session, NOTE, value))
    assert bench.notes.value == value
    assert bench.lead(get(bench.session, NOTE)) == value
    assert bench.lead(act(bench.session, EXECUTE, value)) == value
    assert max(map(len, bench.line.answers[1:])) <= client_takes
    assert max(map(len, bench.line.requests[1:])) <= meter_takes


# ------------------------------------------------------------------ any octets
REQUESTS = [
    bytes.fromhex(request)
    for request in (
        "c001c100010000603200ff0200", "c002c100000001", "c003c1010001 0000603200ff0200",
        "c101c100010000603200ff02001105", "c102c100010000603200ff0200 0000000001 03090411",
        "c103c101000000020311 2233", "c104c1010001 0000603200ff0200 011105",
        "c105c1010001 0000603200ff0200 0100000001 03011105",
        "c301c1000900000a0064ff01011105", "c302c100000001", "c303c101000900000a0064ff01011105",
        "c304c1000900000a0064ff01 0000000001 020904", "c305c101000900000a0064ff01 0100000001 03011105",
        "c306c10100000002041122 3344", "d9400000010002010001 0000603200ff02 030009 00000a0064ff01 02001105",
        "e083000100000dc001c100010000603200ff0200", "e003000100000dc001c100010000603200ff0200",
        "e0830002000100", "e0430003000103010203", "e0800000000000",
    )
]  # fmt: skip


def altered():
    """A known request, whole or with a few octets changed or cut."""
    changed = st.builds(
        lambda request, place, octet, cut: (request[:place] + bytes([octet]) + request[place + 1 :])[: cut or None],
        st.sampled_from(REQUESTS),
        st.integers(0, 40),
        st.integers(0, 255),
        st.integers(0, 40),
    )
    return st.sampled_from(REQUESTS) | changed | st.binary(max_size=60)


@given(st.lists(altered(), max_size=12), st.sampled_from([12, 40, 1000]))
@settings(max_examples=300)
def test_any_octets_to_a_meter_are_answered_or_met_with_silence(requests: list[bytes], max_pdu_octets: int):
    bench = Bench(max_pdu_octets=max_pdu_octets)
    for request in requests:
        answer = bench.line.association.receive(request, NOW)
        while answer is not None:
            decoded: Any = (acse if answer[0] in range(0x60, 0x64) else apdu).decode(answer)
            assert decoded
            answer = bench.line.association.following()


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_no_octets_open_the_way_to_writing(requests: list[bytes]):
    """Without keys nothing that follows an opening of somebody else is done."""
    bench = Bench(managing(Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED))
    for request in [*requests, *REQUESTS]:
        bench.line.association.receive(request, NOW)
    assert (bench.notes.writes, bench.echo.calls) == (0, 0)
