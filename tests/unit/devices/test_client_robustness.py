"""Whatever octets a meter sends, the client gives a value or one typed error; it never hangs on and never believes."""

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.devices.client import Authentication, Ciphering, Protection, associate, get, get_list
from amity.devices.client.describe import describe
from amity.devices.readout import read_clock, read_profile_layout, read_registers
from amity.kernel.errors import RemoteProtocolError, RemoteRefusalError
from amity.protocols.dlms.apdu import Attribute
from tests.playbooks.playbook import open_session
from tests.unit.devices.conversing import IMPORT, LOAD_PROFILE, Line, access, meter, ports, settings_for

GMAC = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
VALUE = Attribute(3, IMPORT, 2)
HEADS = st.sampled_from(
    [b"", b"\xc4\x01\xc1\x00", b"\xc4\x02\xc1\x00\x00\x00\x00\x01\x00", b"\xc4\x03\xc1", b"\x61", b"\xd8"]
)
answers = st.builds(bytes.__add__, HEADS, st.binary(max_size=60))


def ends(conversation: Generator[bytes, bytes, Any], replies: list[bytes]) -> None:
    """The meter says these things and then goes on saying the last."""
    try:
        next(conversation)
        for reply in replies + replies[-1:] * 20:
            conversation.send(reply)
    except (StopIteration, RemoteProtocolError, RemoteRefusalError):
        return


@given(st.lists(answers, min_size=1, max_size=5))
def test_any_answers_to_an_opening(replies: list[bytes]):
    for allowed in (access(), access(Authentication.HLS_GMAC), GMAC):
        ends(associate(settings_for(allowed), ports()), replies)


@given(st.lists(answers, min_size=1, max_size=5))
def test_any_answers_to_a_reading(replies: list[bytes]):
    session = open_session()
    for conversation in (
        get(session, VALUE),
        get_list(session, [VALUE, VALUE]),
        read_clock(session),
        read_registers(session, [(3, IMPORT), (4, IMPORT)]),
        read_profile_layout(session, LOAD_PROFILE),
    ):
        ends(conversation, replies)


@given(answers | st.binary(max_size=60).map(lambda rest: b"\xcc" + bytes([len(rest)]) + rest))
def test_nothing_unverified_is_believed_in_a_ciphered_association(reply: bytes):
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    line.spoil = lambda _answer: reply
    with pytest.raises((RemoteProtocolError, RemoteRefusalError)):
        line.lead(get(session, VALUE))


@given(st.integers(0, 200), st.integers(1, 255))
def test_one_changed_octet_is_noticed(place: int, change: int):
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))

    def spoil(answer: bytes) -> bytes:
        position = place % len(answer)
        return answer[:position] + bytes([answer[position] ^ change]) + answer[position + 1 :]

    line.spoil = spoil
    with pytest.raises((RemoteProtocolError, RemoteRefusalError)):
        line.lead(get(session, VALUE))


@given(answers)
def test_anything_can_be_described(octets: bytes):
    name, fields = describe(octets)
    assert name
    assert isinstance(fields, str)


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        ("c001c100030100010800ff0200", ("get-request-normal", "3/1.0.1.8.0.255/2")),
        ("c002c100000007", ("get-request-next", "block=7")),
        ("c003c101000301000" + "10800ff0200", ("get-request-with-list", "3/1.0.1.8.0.255/2")),
        ("c401c10104", ("get-response-normal", "refused=object-undefined")),
        ("c402c101000000010003010203", ("get-response-with-block", "block=1 last data=010203")),
        ("c402c10100000001010f", ("get-response-with-block", "block=1 last refused=long-get-aborted")),
        ("c403c1020104", ("unreadable", "")),
        ("c403c1010104", ("get-response-with-list", "results=1")),
        ("c101c100010000603200ff02000906736563726574", ("set-request-normal", "1/0.0.96.50.0.255/2")),
        (
            "c102c100010000603200ff020000000000010411111111",
            ("set-request-with-first-data-block", "1/0.0.96.50.0.255/2 block=1 octets=4"),
        ),
        ("c103c1010000000202abcd", ("set-request-with-data-block", "block=2 last octets=2")),
        ("c104c1010001" + "0000603200ff020001" + "1105", ("set-request-with-list", "1/0.0.96.50.0.255/2")),
        ("c501c103", ("set-response-normal", "result=read-write-denied")),
        ("c502c100000001", ("set-response-data-block", "block=1")),
        ("c503c10000000003", ("set-response-last-data-block", "block=3 result=success")),
        ("c504c1020003" + "00000002", ("set-response-last-data-block-with-list", "results=success,read-write-denied")),
        ("c505c1020003", ("set-response-with-list", "results=success,read-write-denied")),
        ("c301c10009" + "00000a0064ff" + "0100", ("action-request-normal", "9/0.0.10.0.100.255/1")),
        ("c302c100000002", ("action-request-next-p-block", "block=2")),
        (
            "c304c10009" + "00000a0064ff" + "010000000001021111",
            ("action-request-with-first-p-block", "9/0.0.10.0.100.255/1 block=1 octets=2"),
        ),
        ("c306c1010000000201ab", ("action-request-with-p-block", "block=2 last octets=1")),
        ("c303c1010009" + "00000a0064ff" + "010100", ("action-request-with-list", "9/0.0.10.0.100.255/1")),
        ("c702c1000000000101ab", ("action-response-with-p-block", "block=1 octets=1")),
        ("c703c1020000" + "0300", ("action-response-with-list", "results=success,read-write-denied")),
        ("c704c100000001", ("action-response-next-p-block", "block=1")),
        ("d9c000000100010100030100010800ff020100", ("access-request", "get=3/1.0.1.8.0.255/2")),
        ("dac0000001000001000103" + "0b", ("access-response", "results=object-unavailable")),
        ("d80105", ("exception-response", "service-not-allowed deciphering-error")),
        ("0e010602", ("confirmed-service-error", "service=1 error=6.2")),
        ("6203800100", ("rlrq", "")),
        ("", ("unreadable", "")),
    ],
)
def test_an_apdu_in_a_few_words(octets: str, words: tuple[str, str]):
    name, fields = describe(bytes.fromhex(octets))
    assert name == words[0]
    assert fields.startswith(words[1])
