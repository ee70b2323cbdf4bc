"""General block transfer, step by step: windows, streams, lost blocks, silence, abort.

A block is `e0`, then last (80), streaming (40) and window in one octet, its number, the one it acknowledges, its data.
"""

import pytest

from amity.devices.client import AssociationSettings, get, set_attribute
from amity.devices.settings import CLIENT_CONFORMANCE
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, Conformance
from amity.protocols.dlms.data import double_long_unsigned, octet_string
from tests.playbooks.playbook import open_session, play
from tests.unit.devices.conversing import lead

IMPORT = Attribute(3, Obis.parse("1.0.1.8.0.255"), 2)
NOTE = Attribute(1, Obis.parse("0.0.96.50.0.255"), 2)
REQUEST = "<< e083 0001 0000 0d c00141 0003 0100010800ff 02 00      # GET, all of it in one block; we take three"


def blocks_session(window: int = 3, max_pdu_octets: int = 0):
    conformance = CLIENT_CONFORMANCE | Conformance.GENERAL_BLOCK_TRANSFER
    return open_session(AssociationSettings(block_window=window), conformance, max_pdu_octets)


def reading(answer: str):
    return play(get(blocks_session(), IMPORT), f"{REQUEST}\n{answer}")


def test_an_answer_streamed_in_a_window_of_three():
    script = """
        >> e043 0001 0001 04 c4014100
        >> e043 0002 0001 02 0600
        >> e083 0003 0001 03 001267                    # the last one
        """
    assert reading(script) == double_long_unsigned(4711)


def test_an_answer_in_two_windows():
    script = """
        >> e043 0001 0001 02 c401
        >> e043 0002 0001 02 4100
        >> e003 0003 0001 02 0600                      # the window is full
        << e083 0002 0003 00                           # three have come
        >> e083 0004 0002 03 001267
        """
    assert reading(script) == double_long_unsigned(4711)


def test_an_answer_one_by_one():
    script = """
        >> e001 0001 0001 04 c4014100
        << e083 0002 0001 00
        >> e001 0002 0002 02 0600
        << e083 0003 0002 00
        >> e081 0003 0003 03 001267
        """
    assert reading(script) == double_long_unsigned(4711)


def test_a_lost_block_comes_once_more():
    script = """
        >> e043 0001 0001 02 c401
                                                       # block 2 is lost
        >> e003 0003 0001 02 0600
        << e083 0002 0001 00                           # only the first is there without a gap
        >> e043 0002 0002 02 4100
        >> e043 0003 0002 02 0600
        >> e083 0004 0002 03 001267
        """
    assert reading(script) == double_long_unsigned(4711)


def test_the_end_of_a_stream_is_lost():
    script = """
        >> e043 0001 0001 04 c4014100
        >>                                             # silence
        << e083 0002 0001 00
        >>                                             # still
        << e083 0002 0001 00                           # the same again, with the same number
        >> e083 0002 0002 05 0600001267
        """
    assert reading(script) == double_long_unsigned(4711)


def test_a_block_that_comes_twice_counts_once():
    script = """
        >> e043 0001 0001 04 c4014100
        >> e043 0001 0001 04 c4014100
        >> e083 0002 0001 05 0600001267
        """
    assert reading(script) == double_long_unsigned(4711)


def test_an_answer_in_one_apdu_is_as_good():
    assert reading(">> c4014100 0600001267") == double_long_unsigned(4711)


LONG_REQUEST = """
        << e003 0001 0000 0d c10141 0001 0000603200ff 02 00 # SET, 45 octets to a meter that takes 20 at once
        >> e003 0001 0001 00                                # the meter takes three blocks
        << e043 0002 0001 0d 091e aaaaaaaaaaaaaaaaaaaaaa
        << e043 0003 0001 0d aaaaaaaaaaaaaaaaaaaaaaaaaa
        << e083 0004 0001 06 aaaaaaaaaaaa
        """


def writing(answer: str):
    session = blocks_session(max_pdu_octets=20)
    return play(set_attribute(session, NOTE, octet_string(b"\xaa" * 30)), LONG_REQUEST + answer)


def test_a_request_streamed_in_a_window_of_three():
    writing(">> e083 0002 0004 04 c5014100")


def test_a_block_of_ours_that_was_lost():
    writing("""
        >> e003 0002 0002 00                                # block 3 is missing
        << e043 0003 0002 0d aaaaaaaaaaaaaaaaaaaaaaaaaa
        << e083 0004 0002 06 aaaaaaaaaaaa
        >> e083 0003 0004 04 c5014100
        """)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (">> e080 0000 0000 00", "aborted"),
        (">> e083 0001 0009 04 c4014100", "block 9 is acknowledged"),
        (">> e083 0001 0001 01 c4", "ends"),
        (">> e083 0001", "ends"),
    ],
)
def test_a_transfer_that_fails(answer: str, words: str):
    with pytest.raises(RemoteProtocolError, match=words):
        reading(answer)


def test_a_meter_that_repeats_itself_for_ever_is_given_up():
    with pytest.raises(RemoteProtocolError, match="does not come forward"):
        lead(get(blocks_session(), IMPORT), lambda _request: bytes.fromhex("e003 0001 0001 02 c401"))


def test_silence_for_ever_is_given_up():
    with pytest.raises(RemoteProtocolError, match="does not come forward"):
        lead(get(blocks_session(), IMPORT), lambda _request: None)
