"""amshan, which listens to the customer port of Nordic meters, reads what our side puts on an HDLC line."""

import json
from typing import Any

import pytest

from amity.devices.notifications import data_notification
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    enum,
    integer,
    long,
    long_unsigned,
    octet_string,
    structure,
    visible_string,
)
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.frame import UI_CONTROL, encode_ui
from amity.protocols.hdlc.llc import LLC_RESPONSE
from tests.interop import ledger
from tests.interop.foreign import run
from tests.services.test_tshark import traffic

PEER = "amshan"
LISTENER, METER = Address(16), Address(1, 17)


def heard(stream: bytes) -> list[dict[str, Any]]:
    finished = run(PEER, {"stream": stream.hex()})
    assert finished.returncode == 0, finished.stderr[-3000:]
    return json.loads(finished.stdout)["frames"]


def said(obis: str, value: Data, *scaler_unit: int) -> Data:
    """One line of a list: name, value and, for a measurement, scaler and unit."""
    scale = [structure(integer(scaler_unit[0]), enum(scaler_unit[1]))] if scaler_unit else []
    return structure(octet_string(Obis.parse(obis)), value, *scale)


WHO = [
    said("1.1.0.2.129.255", visible_string("AIDON_V0001")),
    said("0.0.96.1.0.255", visible_string("7359992890941742")),
    said("0.0.96.1.7.255", visible_string("6515")),
]


@pytest.mark.parametrize("padding", [0, 1])
def test_it_reads_our_push(padding: int):
    """`padding` is a push before it, so that one flag ends a frame and the next begins another."""
    ledger.ran(PEER, role="listener", framing="hdlc", auth="none", services="DataNotification in UI frames")
    now = [
        said("1.0.1.7.0.255", double_long_unsigned(562), 0, 27),
        said("1.0.31.7.0.255", long(-3), -1, 33),
        said("1.0.32.7.0.255", long_unsigned(2365), -1, 35),
    ]
    push = data_notification(array([*WHO, *now]), long_invoke_id=7)
    frames = heard(encode_ui(METER, LISTENER, LLC_RESPONSE + push) * (padding + 1))
    assert len(frames) == padding + 1
    for frame in frames:
        assert (frame["sound"], frame["control"] & ~0x10, frame["segmented"]) == (True, UI_CONTROL, False)
        assert (frame["source"], frame["destination"]) == (METER.encode().hex(), LISTENER.encode().hex())
        read = frame["read"]
        assert (read["list_ver_id"], read["meter_id"], read["meter_type"]) == (
            "AIDON_V0001",
            "7359992890941742",
            "6515",
        )
        assert (read["active_power_import"], read["current_l1"], read["voltage_l1"]) == (562, -0.3, 236.5)


async def test_it_finds_every_frame_of_a_session():
    """SNRM to DISC, both directions: lengths, header checks and frame checks as the peer counts them."""
    ledger.ran(PEER, role="listener", framing="hdlc", auth="none", services="every frame of a session")
    pieces = await traffic("hdlc")
    frames = heard(b"".join(pieces))
    assert len(frames) == len(pieces) >= 10
    assert [frame["octets"] for frame in frames] == [len(piece) - 2 for piece in pieces]
    assert all(frame["sound"] for frame in frames)


def test_it_drops_an_altered_frame():
    """Else it would prove nothing that it takes the others."""
    push = encode_ui(METER, LISTENER, LLC_RESPONSE + data_notification(array(WHO), long_invoke_id=7))
    (frame,) = heard(push[:40] + bytes([push[40] ^ 1]) + push[41:])
    assert not frame["sound"]
