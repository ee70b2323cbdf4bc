"""A failure that was told can be taken apart again."""

import pytest

from amity.headend.outcomes import Failure, read_told, told
from amity.headend.ports import Endpoint
from amity.headend.routes import over_tcp
from amity.kernel.errors import TransportError
from amity.transports.failures import PartialFrameError, TimerT1Error

METER = Endpoint("AMY 1, 2 attempts: x", over_tcp("10.0.0.9", 4059), 1, 1, "none", "generic", b"")


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("error", [TimerT1Error("a", 5), PartialFrameError("a", 3, "silence"), TransportError("bare")])
def test_what_was_told_is_read_again(error: TransportError, attempts: int):
    failure = read_told(told(error, METER, attempts))
    assert failure == Failure(
        error.what, "10.0.0.9:4059", attempts, error.tried or "", error.answer or "", error.next_step or ""
    )


def test_other_lines_are_what_happened():
    assert read_told(["the disk is full", "next: free space"]).what == "the disk is full; next: free space"
    assert read_told([]).what == "no reason was given"
