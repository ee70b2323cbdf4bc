"""Image transfer and disconnection, step by step, as a meter answers them."""

from datetime import UTC, datetime

import pytest

from amity.devices.client.image_transfer import ImageRefusedError, send_image_blocks, verify_image
from amity.devices.client.payment import enter_token
from amity.devices.client.supply import NotSwitchedError, Settling, disconnect
from amity.devices.cosem.disconnect import ControlState
from amity.devices.cosem.image import Image
from amity.devices.cosem.payment import TokenStatus
from tests.playbooks.playbook import open_session, play

IMAGE = Image(b"FW", bytes(range(10)))
NOW = datetime(2026, 1, 2, tzinfo=UTC)

PROGRESS = """
    << c003 {invoke} 04 0012 00002c0000ff 06 00 0012 00002c0000ff 05 00 0012 00002c0000ff 02 00 0012 00002c0000ff 04 00
    >> c403 {invoke} 04 00 16{status} 00 0301 00 0600000004 00 06{missing}   # status, enabled, 4 octets, first missing
    """


def progress(invoke: str, status: str, missing: str) -> str:
    return PROGRESS.format(invoke=invoke, status=status, missing=missing)


def test_a_transfer_goes_on_at_the_first_missing_block():
    script = (
        progress("41", "01", "00000001")
        + """
        << c003 42 01 0012 00002c0000ff 03 00
        >> c403 42 01 00 0403a0                                     # block 0 and block 2 are there: 101
        << c301 43 0012 00002c0000ff 02 01 0202 0600000001 0904 04050607
        >> c701 43 00 00
        """
        + progress("44", "01", "00000003")
    )
    assert play(send_image_blocks(open_session(), IMAGE), script).first_missing == 3


NO_MAP = """
    << c003 42 01 0012 00002c0000ff 03 00
    >> c403 42 01 {map}
    """


def test_a_meter_without_a_map_of_blocks_is_sent_all_from_the_first_missing():
    script = (
        progress("41", "01", "00000002")
        + NO_MAP.format(map="01 03                                                  # read-write-denied")
        + """
        << c301 43 0012 00002c0000ff 02 01 0202 0600000002 0902 0809
        >> c701 43 00 00
        """
        + progress("44", "01", "00000003")
    )
    assert play(send_image_blocks(open_session(), IMAGE), script).first_missing == 3


@pytest.mark.parametrize(
    ("missing", "blocks"),
    [
        ("00000004", "01 03"),  # three blocks in all, and the fourth is missing
        ("00000001", "00 04 04 80"),  # a map of four
        ("00000001", "00 04 02 80"),  # a map of two
    ],
)
def test_a_transfer_of_another_image_is_not_gone_on_with(missing: str, blocks: str):
    script = progress("41", "01", missing) + NO_MAP.format(map=blocks)
    with pytest.raises(ImageRefusedError, match="another image"):
        play(send_image_blocks(open_session(), IMAGE), script)


def test_verification_that_takes_its_time():
    script = (
        progress("41", "01", "00000003")
        + """
        << c301 42 0012 00002c0000ff 03 01 0f00
        >> c701 42 02 00                                            # temporary-failure
        """
        + progress("43", "02", "00000003")
    )
    session = open_session()
    assert play(verify_image(session), script) is False
    assert play(verify_image(session), progress("44", "03", "00000003")) is True


SUPPLY = "<< c003 42 03 0046 000060030aff 02 00 0046 000060030aff 03 00 0046 000060030aff 04 00"


def test_disconnecting_reads_back_what_became_of_it():
    script = f"""
        << c301 41 0046 000060030aff 01 01 0f00                     # remote_disconnect
        >> c701 41 00 00
        {SUPPLY}
        >> c403 42 03 00 0300 00 1600 00 1604                       # off, disconnected, mode 4
        """
    assert play(disconnect(open_session()), script).state is ControlState.DISCONNECTED


def test_a_relay_that_stays_on_is_an_error():
    script = f"""
        << c301 41 0046 000060030aff 01 01 0f00
        >> c701 41 00 00
        {SUPPLY}
        >> c403 42 03 00 0301 00 1601 00 1604                       # on, connected
        """
    with pytest.raises(NotSwitchedError, match="connected"):
        play(disconnect(open_session()), script)


def test_what_a_meter_pushes_while_its_relay_is_waited_for_is_kept():
    clock = iter((NOW, NOW, NOW))
    session = open_session()
    script = f"""
        << c301 41 0046 000060030aff 01 01 0f00
        >> c701 41 00 00
        {SUPPLY}
        >> c403 42 03 00 0301 00 1600 00 1604                       # still on
        <<
        >> 0f 00000001 00 0000
        {SUPPLY.replace("c003 42", "c003 43")}
        >> c403 43 03 00 0300 00 1600 00 1604                       # off
        """
    supply = play(disconnect(session, settling=Settling(clock.__next__, 10)), script)
    assert supply.state is ControlState.DISCONNECTED
    assert session.journal.unasked == [bytes.fromhex("0f00000001000000")]


def test_a_token_and_its_result():
    script = """
        << c301 41 0073 0000132800ff 01 01 0904 01020304
        >> c701 41 00 00
        << c003 42 02 0073 0000132800ff 06 00 0073 0000132800ff 04 00
        >> c403 42 02 00 0202 1605 0400 00 0101 0902 6e6f           # authentication-failure, "no"
        """
    result = play(enter_token(open_session(), bytes([1, 2, 3, 4])), script)
    assert (result.status, result.description) == (TokenStatus.AUTHENTICATION_FAILURE, "no")
