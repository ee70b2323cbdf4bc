"""Image transfer and disconnection, step by step, as a meter answers them."""

import pytest

from amity.devices.client.image_transfer import send_image_blocks, verify_image
from amity.devices.client.payment import enter_token
from amity.devices.client.supply import NotSwitchedError, disconnect
from amity.devices.cosem.disconnect import ControlState
from amity.devices.cosem.image import Image
from amity.devices.cosem.payment import TokenStatus
from tests.playbooks.playbook import open_session, play

IMAGE = Image(b"FW", bytes(range(10)))

PROGRESS = """
    << c003 {invoke} 04 0012 00002c0000ff 06 00 0012 00002c0000ff 05 00 0012 00002c0000ff 02 00 0012 00002c0000ff 04 00
    >> c403 {invoke} 04 00 16{status} 00 0301 00 0600000004 00 06{missing}   # status, enabled, 4 octets, first missing
    """


def progress(invoke: str, status: str, missing: str) -> str:
    return PROGRESS.format(invoke=invoke, status=status, missing=missing)


def test_a_transfer_goes_on_at_the_first_missing_block():
    script = (
        progress("c1", "01", "00000001")
        + """
        << c003 c2 01 0012 00002c0000ff 03 00
        >> c403 c2 01 00 0403a0                                     # block 0 and block 2 are there: 101
        << c301 c3 0012 00002c0000ff 02 01 0202 0600000001 0904 04050607
        >> c701 c3 00 00
        """
        + progress("c4", "01", "00000003")
    )
    assert play(send_image_blocks(open_session(), IMAGE), script).first_missing == 3


def test_verification_that_takes_its_time():
    script = (
        progress("c1", "01", "00000003")
        + """
        << c301 c2 0012 00002c0000ff 03 01 0f00
        >> c701 c2 02 00                                            # temporary-failure
        """
        + progress("c3", "02", "00000003")
    )
    session = open_session()
    assert play(verify_image(session), script) is False
    assert play(verify_image(session), progress("c4", "03", "00000003")) is True


SUPPLY = "<< c003 c2 03 0046 000060030aff 02 00 0046 000060030aff 03 00 0046 000060030aff 04 00"


def test_disconnecting_reads_back_what_became_of_it():
    script = f"""
        << c301 c1 0046 000060030aff 01 01 0f00                     # remote_disconnect
        >> c701 c1 00 00
        {SUPPLY}
        >> c403 c2 03 00 0300 00 1600 00 1604                       # off, disconnected, mode 4
        """
    assert play(disconnect(open_session()), script).state is ControlState.DISCONNECTED


def test_a_relay_that_stays_on_is_an_error():
    script = f"""
        << c301 c1 0046 000060030aff 01 01 0f00
        >> c701 c1 00 00
        {SUPPLY}
        >> c403 c2 03 00 0301 00 1601 00 1604                       # on, connected
        """
    with pytest.raises(NotSwitchedError, match="connected"):
        play(disconnect(open_session()), script)


def test_a_token_and_its_result():
    script = """
        << c301 c1 0073 0000132800ff 01 01 0904 01020304
        >> c701 c1 00 00
        << c003 c2 02 0073 0000132800ff 06 00 0073 0000132800ff 04 00
        >> c403 c2 02 00 0202 1605 0400 00 0101 0902 6e6f           # authentication-failure, "no"
        """
    result = play(enter_token(open_session(), bytes([1, 2, 3, 4])), script)
    assert (result.status, result.description) == (TokenStatus.AUTHENTICATION_FAILURE, "no")
