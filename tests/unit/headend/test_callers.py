"""From where a push that proves nothing may come."""

import pytest

from amity.headend.callers import speaks_from


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
