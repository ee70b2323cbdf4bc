"""Writing attributes and calling methods, step by step, with answers as meters send them."""

from collections.abc import Callable
from typing import Any

import pytest

from amity.devices.client import (
    AccessAnswer,
    Acting,
    Conversation,
    Getting,
    MethodRefusedError,
    ServiceRefusedError,
    Session,
    Setting,
    WriteRefusedError,
    access,
    act,
    act_list,
    set_attribute,
    set_list,
)
from amity.devices.settings import CLIENT_CONFORMANCE
from amity.kernel.errors import AmityError, LocalProtocolError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import ActionOutcome, ActionResult, Attribute, Conformance, DataAccessResult, Method
from amity.protocols.dlms.data import double_long_unsigned, integer, long, null, octet_string, unsigned
from tests.playbooks.playbook import open_session, play

TIME_ZONE = Attribute(8, Obis.parse("0.0.1.0.0.255"), 3)
NOTE, OTHER_NOTE = (Attribute(1, Obis.parse(f"0.0.96.50.{number}.255"), 2) for number in (0, 1))
IMPORT = Attribute(3, Obis.parse("1.0.1.8.0.255"), 2)
EXECUTE = Method(9, Obis.parse("0.0.10.0.100.255"), 1)
DISCONNECT = Method(70, Obis.parse("0.0.96.3.10.255"), 1)


# ------------------------------------------------------------------ SET
def test_one_value():
    script = """
        << c101 41 0008 0000010000ff 03 00 10ffc4      # SET 8/0.0.1.0.0.255/3: long -60
        >> c501 41 00                                  # success
        """
    assert play(set_attribute(open_session(), TIME_ZONE, long(-60)), script) is None


def test_a_value_that_is_refused():
    script = """
        << c101 41 0008 0000010000ff 03 00 10ffc4
        >> c501 41 0c                                  # type-unmatched
        """
    with pytest.raises(WriteRefusedError, match=r"8/0\.0\.1\.0\.0\.255/3: type-unmatched") as caught:
        play(set_attribute(open_session(), TIME_ZONE, long(-60)), script)
    assert caught.value.result is DataAccessResult.TYPE_UNMATCHED


FIRST_BLOCK = "c102 41 0001 0000603200ff 02 00   00 00000001 0b 0914 aaaaaaaaaaaaaaaaaa"


def test_a_long_value_in_blocks():
    script = f"""
        << {FIRST_BLOCK}                               # as much as a meter takes that takes 30 octets
        >> c502 41 00000001                            # go on
        << c103 41 01 00000002 0b aaaaaaaaaaaaaaaaaaaaaa
        >> c503 41 00 00000002                         # success
        """
    play(set_attribute(open_session(max_pdu_octets=30), NOTE, octet_string(b"\xaa" * 20)), script)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("c502 41 00000002", RemoteProtocolError),  # another block
        ("c502 42 00000001", RemoteProtocolError),  # another request
        ("c503 41 11 00000001", WriteRefusedError),  # long-set-aborted
        ("c501 41 03", WriteRefusedError),
        ("c503 41 00 00000001", RemoteProtocolError),  # success before the end
        ("c704 41 00000001", RemoteProtocolError),
        ("d8 01 04", ServiceRefusedError),
    ],
)
def test_a_long_value_that_is_not_taken_to_its_end(answer: str, error: type[AmityError]):
    with pytest.raises(error):
        play(
            set_attribute(open_session(max_pdu_octets=30), NOTE, octet_string(b"\xaa" * 20)),
            f"<< {FIRST_BLOCK}\n>> {answer}",
        )


def test_several_values_of_which_one_is_refused():
    script = """
        << c104 41 02 0001 0000603200ff 02 00 0001 0000603201ff 02 00 02 1101 1102
        >> c505 41 02 00 03
        """
    results = play(set_list(open_session(), [(NOTE, unsigned(1)), (OTHER_NOTE, unsigned(2))]), script)
    assert results == (DataAccessResult.SUCCESS, DataAccessResult.READ_WRITE_DENIED)


def test_several_long_values_in_blocks():
    script = """
        << c105 41 02 0001 0000603200ff 02 00 0001 0000603201ff 02 00   00 00000001 0a 02 0906111111111111 09
        >> c502 41 00000001
        << c103 41 01 00000002 07 06 222222222222
        >> c504 41 02 00 0c 00000002
        """
    values = [(NOTE, octet_string(b"\x11" * 6)), (OTHER_NOTE, octet_string(b"\x22" * 6))]
    results = play(set_list(open_session(max_pdu_octets=40), values), script)
    assert results == (DataAccessResult.SUCCESS, DataAccessResult.TYPE_UNMATCHED)


def test_without_lists_values_are_written_one_by_one():
    script = """
        << c101 41 0001 0000603200ff 02 00 1101
        >> c501 41 00
        << c101 42 0001 0000603201ff 02 00 1102
        >> c501 42 03
        """
    session = open_session(conformance=Conformance.SET)
    results = play(set_list(session, [(NOTE, unsigned(1)), (OTHER_NOTE, unsigned(2))]), script)
    assert results == (DataAccessResult.SUCCESS, DataAccessResult.READ_WRITE_DENIED)


# ------------------------------------------------------------------ ACTION
def test_one_method():
    script = """
        << c301 41 0046 000060030aff 01 01 0f00        # ACTION 70/0.0.96.3.10.255/1: remote_disconnect(0)
        >> c701 41 00 00                               # success, nothing returned
        """
    assert play(act(open_session(), DISCONNECT, integer(0)), script) is None


def test_a_method_that_is_refused():
    script = """
        << c301 41 0046 000060030aff 01 01 0f00
        >> c701 41 0b 00                               # object-unavailable
        """
    with pytest.raises(MethodRefusedError, match="object-unavailable"):
        play(act(open_session(), DISCONNECT, integer(0)), script)


def test_a_method_that_succeeds_and_says_why_it_returns_nothing():
    with pytest.raises(MethodRefusedError, match="hardware-fault"):
        play(
            act(open_session(), DISCONNECT, integer(0)),
            "<< c301 41 0046 000060030aff 01 01 0f00\n>> c701 41 00 01 01 01",
        )


def test_blocks_both_ways():
    script = """
        << c304 41 0009 00000a0064ff 01   00 00000001 0c 0914 aaaaaaaaaaaaaaaaaaaa
        >> c704 41 00000001                            # go on
        << c306 41 01 00000002 0a aaaaaaaaaaaaaaaaaaaa
        >> c702 41 00 00000001 05 00 01 00 0904        # success, data: the answer is long, too
        << c302 41 00000001
        >> c702 41 01 00000002 04 deadbeef
        """
    returned = play(act(open_session(max_pdu_octets=30), EXECUTE, octet_string(b"\xaa" * 20)), script)
    assert returned == octet_string(bytes.fromhex("deadbeef"))


def test_a_long_answer_of_a_meter_that_sends_the_bare_value():
    script = """
        << c301 41 0009 00000a0064ff 01 00
        >> c702 41 00 00000001 03 0904de
        << c302 41 00000001
        >> c702 41 01 00000002 03 adbeef
        """
    assert play(act(open_session(), EXECUTE), script) == octet_string(bytes.fromhex("deadbeef"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("c704 41 00000003", RemoteProtocolError),
        ("c701 41 0f 00", MethodRefusedError),  # long-action-aborted
        ("c701 41 00 00", RemoteProtocolError),  # success before the end
        ("c702 41 01 00000001 01 00", RemoteProtocolError),
    ],
)
def test_long_parameters_that_are_not_taken_to_their_end(answer: str, error: type[AmityError]):
    script = f"""
        << c304 41 0009 00000a0064ff 01   00 00000001 0c 0914 aaaaaaaaaaaaaaaaaaaa
        >> {answer}
        """
    with pytest.raises(error):
        play(act(open_session(max_pdu_octets=30), EXECUTE, octet_string(b"\xaa" * 20)), script)


def test_several_methods():
    script = """
        << c303 41 02 0009 00000a0064ff 01 0046 000060030aff 01 02 1107 00
        >> c703 41 02 00 01 00 1107 03 00
        """
    outcomes = play(act_list(open_session(), [(EXECUTE, unsigned(7)), (DISCONNECT, None)]), script)
    assert outcomes == (
        ActionOutcome(ActionResult.SUCCESS, unsigned(7)),
        ActionOutcome(ActionResult.READ_WRITE_DENIED),
    )


def test_several_methods_in_blocks_both_ways():
    script = """
        << c305 41 02 0009 00000a0064ff 01 0046 000060030aff 01   00 00000001 04 02 0908 aa
        >> c704 41 00000001
        << c306 41 01 00000002 08 aaaaaaaaaaaaaa 00
        >> c702 41 00 00000001 05 02 00 01 00 11
        << c302 41 00000001
        >> c702 41 01 00000002 03 07 03 00
        """
    outcomes = play(
        act_list(open_session(max_pdu_octets=32), [(EXECUTE, octet_string(b"\xaa" * 8)), (DISCONNECT, None)]), script
    )
    assert [outcome.result for outcome in outcomes] == [ActionResult.SUCCESS, ActionResult.READ_WRITE_DENIED]


# ------------------------------------------------------------------ ACCESS
ACCESSING = CLIENT_CONFORMANCE | Conformance.ACCESS


def test_get_set_and_action_in_one_exchange():
    script = """
        << d9 40000001 00   03 01 0003 0100010800ff 02
                               02 0001 0000603200ff 02
                               03 0046 000060030aff 01
                            03 00 1105 0f00
        >> da 40000001 00   00
                            03 0600001267 00 00
                            03 01 00   02 03   03 00
        """
    answers = play(
        access(
            open_session(conformance=ACCESSING),
            [Getting(IMPORT), Setting(NOTE, unsigned(5)), Acting(DISCONNECT, integer(0))],
        ),
        script,
    )
    assert answers == (
        AccessAnswer(DataAccessResult.SUCCESS, double_long_unsigned(4711)),
        AccessAnswer(DataAccessResult.READ_WRITE_DENIED, null()),
        AccessAnswer(ActionResult.SUCCESS, null()),
    )


def test_stopping_at_the_first_refusal_is_asked_for_by_a_bit():
    script = """
        << d9 60000001 00 01 01 0003 0100010800ff 02 01 00
        >> da 60000001 00 00 01 00 01 01 04
        """
    (answer,) = play(access(open_session(conformance=ACCESSING), [Getting(IMPORT)], break_on_error=True), script)
    assert answer.result is DataAccessResult.OBJECT_UNDEFINED


@pytest.mark.parametrize(
    "answer",
    [
        "da 40000002 00 00 01 00 01 01 00",  # another request
        "da 40000001 00 00 02 00 00 02 01 00 01 00",  # two answers to one part
        "da 40000001 00 00 01 00 00",
        "c401 41 00 00",
    ],
)
def test_an_access_that_is_answered_otherwise(answer: str):
    with pytest.raises(RemoteProtocolError):
        play(
            access(open_session(conformance=ACCESSING), [Getting(IMPORT)]),
            f"<< d9 40000001 00 01 01 0003 0100010800ff 02 01 00\n>> {answer}",
        )


# ------------------------------------------------------------------ what was not granted
LONG = octet_string(b"\xaa" * 20)


@pytest.mark.parametrize(
    ("conversation", "granted", "words"),
    [
        (lambda session: set_attribute(session, NOTE, LONG), Conformance.GET, "set"),
        (lambda session: set_attribute(session, NOTE, LONG), Conformance.SET, "block-transfer-with-set-or-write"),
        (lambda session: act(session, EXECUTE, LONG), Conformance.GET, "action"),
        (lambda session: act(session, EXECUTE, LONG), Conformance.ACTION, "block-transfer-with-action"),
        (lambda session: access(session, [Getting(NOTE)]), CLIENT_CONFORMANCE, "access"),
    ],
)
def test_what_was_not_granted_is_never_sent(
    conversation: Callable[[Session], Conversation[Any]], granted: Conformance, words: str
):
    with pytest.raises(LocalProtocolError, match=f"did not grant .*{words}"):
        next(conversation(open_session(conformance=granted, max_pdu_octets=30)))
