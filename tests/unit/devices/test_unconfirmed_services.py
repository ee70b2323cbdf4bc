"""SET and ACTION that ask for no answer: done in silence, sent without waiting, refused like the others."""

from collections import deque

import pytest

from amity.devices.client import act_unconfirmed, get, set_attribute, set_unconfirmed
from amity.devices.client.conversation import Unanswered
from amity.devices.settings import Ciphering, Protection
from amity.kernel.errors import LocalProtocolError
from amity.protocols.dlms.apdu import (
    ActionRequestNormal,
    ActionResponseNormal,
    Conformance,
    GetRequestNormal,
    GetResponseNormal,
    SetRequestNormal,
    SetRequestWithList,
    SetResponseNormal,
    decode,
)
from amity.protocols.dlms.data import octet_string, unsigned
from tests.unit.devices.changing import EXECUTE, NOTE, OTHER_NOTE, Bench, managing
from tests.unit.devices.conversing import NOW, lead

CONFIRMED, UNCONFIRMED = 0xC1, 0x81
SILENT = {"answers_unconfirmed": False}


def answer(bench: Bench, request: bytes) -> bytes | None:
    return bench.line.association.receive(request, NOW)


@pytest.mark.parametrize(
    "request_apdu",
    [
        SetRequestNormal(UNCONFIRMED, NOTE, None, unsigned(5)),
        SetRequestWithList(UNCONFIRMED, ((NOTE, None), (OTHER_NOTE, None)), (unsigned(5), unsigned(6))),
    ],
)
def test_an_unconfirmed_set_is_done_in_silence(request_apdu: SetRequestNormal | SetRequestWithList):
    bench = Bench(limits=SILENT)
    assert answer(bench, request_apdu.encode()) is None
    assert bench.notes.value == unsigned(5)


def test_an_unconfirmed_action_is_done_in_silence():
    bench = Bench(limits=SILENT)
    assert answer(bench, ActionRequestNormal(UNCONFIRMED, EXECUTE, unsigned(1)).encode()) is None
    assert bench.echo.calls == 1


def test_what_asks_for_an_answer_gets_one_and_a_get_always_does():
    bench = Bench(limits=SILENT)
    written = answer(bench, SetRequestNormal(CONFIRMED, NOTE, None, unsigned(5)).encode())
    assert written is not None
    assert isinstance(decode(written), SetResponseNormal)
    got = answer(bench, GetRequestNormal(UNCONFIRMED, NOTE).encode())
    assert got is not None
    assert isinstance(decode(got), GetResponseNormal)


def test_a_meter_that_is_used_to_careless_clients_answers_all_the_same():
    answered = answer(Bench(), ActionRequestNormal(UNCONFIRMED, EXECUTE, unsigned(1)).encode())
    assert answered is not None
    assert isinstance(decode(answered), ActionResponseNormal)


@pytest.mark.parametrize("ciphering", [Ciphering.NONE, Ciphering.GLO])
def test_the_client_does_not_wait_and_goes_on(ciphering: Ciphering):
    protection = Protection.AUTHENTICATED_ENCRYPTED if ciphering is Ciphering.GLO else Protection.NONE
    bench = Bench(managing(ciphering, protection), limits=SILENT)
    for conversation in (
        set_unconfirmed(bench.session, NOTE, unsigned(7)),
        act_unconfirmed(bench.session, EXECUTE, unsigned(1)),
    ):
        request = next(conversation)
        assert isinstance(request, Unanswered)
        assert answer(bench, request) is None
        with pytest.raises(StopIteration):
            conversation.send(b"")
    assert (bench.notes.value, bench.echo.calls) == (unsigned(7), 1)
    bench.lead(set_attribute(bench.session, OTHER_NOTE, unsigned(8)))
    assert bench.lead(get(bench.session, OTHER_NOTE)) == unsigned(8)


@pytest.mark.parametrize("ciphering", [Ciphering.NONE, Ciphering.GLO])
def test_an_answer_that_nobody_wanted_is_passed_over(ciphering: Ciphering):
    protection = Protection.AUTHENTICATED_ENCRYPTED if ciphering is Ciphering.GLO else Protection.NONE
    bench = Bench(managing(ciphering, protection))
    said: deque[bytes] = deque()

    def late(request: bytes) -> bytes:
        if request:
            said.append(answer(bench, request) or b"")
        return b"" if isinstance(request, Unanswered) else said.popleft()

    for _ in range(3):
        lead(set_unconfirmed(bench.session, NOTE, unsigned(7)), late)
    lead(act_unconfirmed(bench.session, EXECUTE, unsigned(1)), late)
    assert lead(get(bench.session, NOTE), late) == unsigned(7)
    assert len(said) == 0
    lead(set_attribute(bench.session, OTHER_NOTE, unsigned(8)), late)  # a number that was asked is waited for
    assert bench.session.journal.unasked == []


def test_what_was_not_granted_or_does_not_fit_is_not_sent():
    with pytest.raises(LocalProtocolError, match="did not grant"):
        next(set_unconfirmed(Bench(conformance=Conformance.GET).session, NOTE, unsigned(7)))
    with pytest.raises(LocalProtocolError, match="one APDU"):
        next(set_unconfirmed(Bench(limits={"max_pdu_octets": 128}).session, NOTE, octet_string(bytes(200))))
