"""Reading attributes, step by step, with answers as meters send them."""

import pytest

from amity.devices.client import AttributeRefusedError, ServiceRefusedError, get, get_list, get_octets
from amity.kernel.errors import AmityError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, DataAccessResult
from amity.protocols.dlms.data import double_long_unsigned, enum, integer, structure
from amity.protocols.dlms.selective_access import EntryAccess
from tests.playbooks.playbook import open_session, play

IMPORT = Attribute(3, Obis.parse("1.0.1.8.0.255"), 2)
SCALER = Attribute(3, Obis.parse("1.0.1.8.0.255"), 3)
BUFFER = Attribute(7, Obis.parse("1.0.99.1.0.255"), 2)


def test_one_attribute():
    script = """
        << c001 41 0003 0100010800ff 02 00      # GET 3/1.0.1.8.0.255/2
        >> c401 41 00 0600001267                # double-long-unsigned 4711
        """
    assert play(get(open_session(), IMPORT), script) == double_long_unsigned(4711)


def test_invoke_ids_rise_and_wrap():
    session = open_session()
    for number in range(1, 18):
        invoke = f"{0x40 | number % 16:02x}"
        play(get(session, IMPORT), f"<< c001 {invoke} 0003 0100010800ff 02 00\n>> c401 {invoke} 00 0600001267")


def test_three_blocks():
    script = """
        << c001 41 0007 0100630100ff 02 01 02 0204 0600000001 0600000000 120001 120000     # entries 1 to the last
        >> c402 41 00 00000001 00 04 01030600
        << c002 41 00000001
        >> c402 41 00 00000002 00 05 0000010600
        << c002 41 00000002
        >> c402 41 01 00000003 00 09 000002060000000311                                    # the last one
        """
    raw = play(get_octets(open_session(), BUFFER, EntryAccess(1, 0)), script)
    assert raw.hex() == "0103060000000106000000020600000003" + "11"


def test_a_list():
    script = """
        << c003 41 02 0003 0100010800ff 02 00 0003 0100010800ff 03 00
        >> c403 41 02 00 0600001267 00 0202 0f00 161e
        """
    assert play(get_list(open_session(), [IMPORT, SCALER]), script) == (
        double_long_unsigned(4711),
        structure(integer(0), enum(30)),
    )


def test_a_list_in_blocks():
    script = """
        << c003 41 02 0003 0100010800ff 02 00 0003 0100010800ff 03 00
        >> c402 41 00 00000001 00 05 0200060000
        << c002 41 00000001
        >> c402 41 01 00000002 00 04 12670104
        """
    assert play(get_list(open_session(), [IMPORT, SCALER]), script) == (
        double_long_unsigned(4711),
        DataAccessResult.OBJECT_UNDEFINED,
    )


def test_a_refusal_with_a_number_of_its_own_does_not_end_the_session():
    session = open_session()
    with pytest.raises(AttributeRefusedError, match="unknown-255"):
        play(get(session, IMPORT), "<< c001 41 0003 0100010800ff 02 00\n>> c401 41 01 ff")
    script = """
        << c003 42 02 0003 0100010800ff 02 00 0003 0100010800ff 03 00
        >> c403 42 02 00 0600001267 01 05
        """
    assert play(get_list(session, [IMPORT, SCALER]), script) == (double_long_unsigned(4711), DataAccessResult(5))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("c401 41 01 04", AttributeRefusedError),
        ("c402 41 01 00000001 01 0f", AttributeRefusedError),
        ("c401 42 00 0600001267", RemoteProtocolError),
        ("c402 41 00 00000002 00 01 00", RemoteProtocolError),
        ("c403 41 01 00 00", RemoteProtocolError),
        ("c501 41 00", RemoteProtocolError),
        ("c401 41 00 06000012", RemoteProtocolError),
        ("c401 41 00 0600001267 00", RemoteProtocolError),
        ("c401 41 02", RemoteProtocolError),
        ("d8 02 02", ServiceRefusedError),
        ("0e 05 03 01", ServiceRefusedError),
        ("", RemoteProtocolError),
    ],
)
def test_what_else_may_come(answer: str, error: type[AmityError]):
    script = f"""
        << c001 41 0003 0100010800ff 02 00
        >> {answer}
        """
    with pytest.raises(error):
        play(get(open_session(), IMPORT), script)
