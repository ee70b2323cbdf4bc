"""From where a push that proves nothing may come, and who may speak for whom."""

from dataclasses import replace

import pytest

from amity.headend.calls.callers import Caller, CallingFrom, Certified, Datagram, HeardBy, InSession, speaks_from
from amity.headend.ports import Endpoint
from amity.headend.routes import over_tcp

HERE = over_tcp("10.1.2.3", 4059)
METER = Endpoint("M1", HERE, 1, 1, "none", "norrvik_n1", b"")
BEHIND_DC7 = replace(METER, route=replace(HERE, collector="DC7"))


@pytest.mark.parametrize(("host", "peer", "same"), [
    ("10.1.2.3", "10.1.2.3", True),
    ("10.1.2.3", "::ffff:10.1.2.3", True),
    ("10.1.2.3", "10.1.2.4", False),
    ("2001:db8::1", "2001:db8:0::1", True),
    ("localhost", "127.0.0.1", True),
    ("localhost", "203.0.113.9", False),
    ("meter-7.invalid", "127.0.0.1", False),
    ("meter..7", "127.0.0.1", False),
    ("", "127.0.0.1", False),
    ("", "", False),
    ("10.1.2.3", "unknown", False),
])  # fmt: skip
async def test_a_caller_is_where_its_meter_lives_or_is_not(host: str, peer: str, *, same: bool) -> None:
    assert await speaks_from(host, peer) is same


@pytest.mark.parametrize(("caller", "endpoint", "believed"), [
    (CallingFrom("10.1.2.3"), METER, True),
    (CallingFrom("10.9.9.9"), METER, False),
    (CallingFrom("10.1.2.3"), BEHIND_DC7, False),
    (HeardBy("DC7", "10.1.2.3"), BEHIND_DC7, True),
    (HeardBy("DC7", "10.9.9.9"), BEHIND_DC7, False),
    (HeardBy("DC8", "10.1.2.3"), BEHIND_DC7, False),
    (HeardBy("DC7", "10.1.2.3"), METER, False),
    (Certified("M1"), METER, True),
    (Certified("M2"), METER, False),
    (Datagram("10.1.2.3"), METER, False),
    (InSession(BEHIND_DC7, None), BEHIND_DC7, True),
    (InSession(BEHIND_DC7, None), replace(BEHIND_DC7, meter_id="M2"), False),
], ids=str)  # fmt: skip
async def test_each_caller_speaks_for_its_own_meters_alone(caller: Caller, endpoint: Endpoint, believed: bool) -> None:
    assert await caller.speaks_for(endpoint) is believed


@pytest.mark.parametrize(("caller", "text"), [
    (CallingFrom("10.1.2.3"), "10.1.2.3"),
    (HeardBy("DC7", "10.1.2.3"), "DC7/10.1.2.3"),
    (Certified("M1"), "mqtt:M1"),
    (Datagram("10.1.2.3"), "udp:10.1.2.3"),
])  # fmt: skip
def test_what_is_parked_tells_who_it_was(caller: Caller, text: str) -> None:
    assert str(caller) == text
