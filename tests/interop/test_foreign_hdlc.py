"""Clients that nobody here wrote read our meters over HDLC: over TCP, and on a pseudo-terminal as on a serial line."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from amity.devices.settings import Authentication
from tests.interop import ledger
from tests.interop.fleets import RunningFleet, running_fleet
from tests.interop.foreign import check_reading, order_for, refusal_to, yesterday

PROTECTIONS = {Authentication.NONE: "none", Authentication.LLS: "none", Authentication.HLS_GMAC: "auth+enc"}


@pytest.fixture(scope="module", params=PROTECTIONS, ids=str)
def over_tcp(request: pytest.FixtureRequest) -> Iterator[RunningFleet]:
    anchor = datetime.now(UTC).replace(microsecond=0)
    with running_fleet(1, request.param, anchor, "--framing", "hdlc") as fleet:
        yield fleet


@pytest.mark.parametrize("octets", [128, 512, 1024])
def test_gurux_reads_over_hdlc(over_tcp: RunningFleet, octets: int):
    served = over_tcp.meter(0)
    protection = PROTECTIONS[Authentication(served.entry["auth"])]
    check_reading(served, "gurux-dlms", protection, hdlc_octets=octets)


def test_gurux_loses_count_in_a_window():
    """Asked for 3 frames in a row it takes them, and then acknowledges the first alone (1.0.203)."""
    anchor = datetime.now(UTC).replace(microsecond=0)
    with running_fleet(1, Authentication.NONE, anchor, "--framing", "hdlc") as fleet:
        order = order_for(fleet.meter(0), "none", yesterday(), hdlc_octets=512, hdlc_window=3)
        assert "TimeoutError" in refusal_to("gurux-dlms", order)
    ledger.defect("acknowledges one frame of an HDLC window")


def test_dlms_cosem_reads_over_hdlc(over_tcp: RunningFleet):
    served = over_tcp.meter(0)
    check_reading(served, "dlms-cosem", PROTECTIONS[Authentication(served.entry["auth"])])


def test_dlms_cosem_reads_on_a_serial_line():
    anchor = datetime.now(UTC).replace(microsecond=0)
    with running_fleet(1, Authentication.NONE, anchor, "--framing", "hdlc", "--pty") as fleet:
        check_reading(fleet.meter(0), "dlms-cosem", "none")
