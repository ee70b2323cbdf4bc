"""Whose line it is: who proved it keeps it, who merely says so waits behind."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from amity.domain.collection import Outcome
from amity.headend.calls.desk import CallDesk
from amity.headend.calls.lines import CalledInConnector, CalledLines, NotCalledInError
from amity.headend.pushes.desk import PushDesk
from amity.headend.routes import CallsIn, Route, WrapperLink
from amity.kernel.time import epoch_s
from amity.protocols.wrapper.frame import Reader
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.pushes import Pusher


class Line:
    def __init__(self, peer: str = "10.0.0.7") -> None:
        self.peer = peer
        self.trusted = self.ended = False
        self.distrusted = 0
        self.opened: list[tuple[int, int]] = []

    async def open(self, route: Route, client: int, server: int, timeout_s: float) -> "Line":
        del route, timeout_s
        self.opened.append((client, server))
        return self

    def hang_up(self) -> None:
        self.ended = True

    def trust(self) -> None:
        self.trusted = True

    def distrust(self) -> None:
        self.distrusted += 1


def test_a_name_never_takes_a_line_from_a_meter_that_proved_itself() -> None:
    lines, own, thief = CalledLines(), Line(), Line()
    lines.claim(own, "M", proven=True)
    lines.claim(thief, "M", proven=False)
    assert lines.line_of("M") is own
    assert not own.ended
    lines.gone(own)
    assert lines.line_of("M") is thief


async def test_it_is_known_of_a_session_whether_its_line_was_only_named(make_bench: Callable) -> None:
    (endpoint,) = make_bench(1).surroundings.endpoints.all()
    endpoint = replace(endpoint, route=Route(WrapperLink(CallsIn())))
    lines, thief, own = CalledLines(), Line(), Line()
    way = CalledInConnector(lines, otherwise=SimpleNamespace())
    lines.claim(thief, endpoint.meter_id, proven=False)
    await way.connect(endpoint, 1.0)
    lines.gone(thief)
    assert lines.only_named(endpoint.meter_id), "also when it has gone since"
    with pytest.raises(NotCalledInError):
        await way.connect(endpoint, 1.0)
    assert not lines.only_named(endpoint.meter_id), "nobody was spoken with"
    lines.claim(own, endpoint.meter_id, proven=True)
    await way.connect(endpoint, 1.0)
    assert not lines.only_named(endpoint.meter_id)


def test_of_two_lines_that_are_proven_the_newer_stands() -> None:
    lines, old, new = CalledLines(), Line(), Line()
    lines.claim(old, "M", proven=True)
    lines.claim(new, "M", proven=True)
    assert (lines.line_of("M"), old.ended, new.ended) == (new, True, False)


def test_many_who_say_a_name_hold_one_line_between_them() -> None:
    lines, callers = CalledLines(), [Line() for _ in range(20)]
    for caller in callers:
        lines.claim(caller, "M", proven=False)
    assert sum(not caller.ended for caller in callers) == 1


def test_one_line_is_one_meter() -> None:
    lines, line = CalledLines(), Line()
    lines.claim(line, "M", proven=False)
    lines.claim(line, "N", proven=False)
    assert lines.line_of("N") is None


def test_a_line_that_ended_while_its_meter_was_looked_up_is_nobodys() -> None:
    lines, line = CalledLines(), Line()
    line.ended = True
    lines.claim(line, "M", proven=False)
    assert lines.line_of("M") is None


@pytest.mark.parametrize(
    ("outcome", "cut"), [(Outcome.COMPLETE, False), (Outcome.WRONG_KEY, True), (Outcome.REJECTED, True)]
)
def test_reading_shows_who_it_is(outcome: Outcome, cut: bool, delivery_of: Callable[..., Any]) -> None:
    lines, line = CalledLines(), Line()
    lines.claim(line, "M", proven=False)
    lines.told(delivery_of("M", outcome))
    assert line.ended is cut
    assert lines.meters == {"M": not cut}


@pytest.fixture
def delivery_of() -> Callable[..., Any]:
    return lambda meter_id, outcome: SimpleNamespace(meter_id=meter_id, outcome=outcome)


@pytest.fixture
def bench(make_bench: Callable[..., Any]) -> Any:
    return make_bench(25)


def calling(bench: Any, profile: str, from_host: str = "") -> str:
    """A meter of that model, made one that calls in."""
    meter_id = bench.meter_with(profile).meter_id
    (endpoint,) = [one for one in bench.database.endpoints.all() if one.meter_id == meter_id]
    bench.database.endpoints.put([replace(endpoint, route=Route(WrapperLink(CallsIn(from_host))))])
    return meter_id


@pytest.mark.parametrize(
    ("profile", "from_host", "peer", "believed"),
    [
        ("castellan_c3", "", "10.0.0.7", True),  # it proves itself in each session
        ("norrvik_n1", "", "10.0.0.7", False),  # it could not, and would be sent our password
        ("norrvik_n1", "10.0.0.7", "10.0.0.7", True),
        ("norrvik_n1", "10.0.0.7", "10.0.0.8", False),
    ],
)
async def test_whose_name_is_believed(bench: Any, profile: str, from_host: str, peer: str, believed: bool) -> None:
    meter_id = calling(bench, profile, from_host)
    lines, line = CalledLines(), Line(peer)
    pushes = PushDesk(bench.surroundings, bench.database.push_counters)
    await CallDesk(pushes, lines, bench.surroundings).named(line, meter_id)
    assert (lines.line_of(meter_id) is line, line.trusted, bool(pushes.parking.counts)) == (
        believed,
        believed,
        not believed,
    )


async def test_a_meter_that_we_call_is_never_read_on_somebodys_line(bench: Any) -> None:
    meter_id = bench.meter_with("castellan_c3").meter_id
    lines, line = CalledLines(), Line()
    pushes = PushDesk(bench.surroundings, bench.database.push_counters)
    await CallDesk(pushes, lines, bench.surroundings).named(line, meter_id)
    assert (lines.line_of(meter_id), pushes.parking.counts) == (None, {"unknown-sender": 1})


async def test_a_meter_is_read_on_its_line_or_waited_for(bench: Any) -> None:
    meter_id = calling(bench, "castellan_c3")
    (endpoint,) = [one for one in bench.database.endpoints.all() if one.meter_id == meter_id]
    lines, line = CalledLines(), Line()
    connector = CalledInConnector(lines, bench.connector)
    with pytest.raises(NotCalledInError) as refused:
        await connector.connect(endpoint, 1.0)
    assert connector.outcome_of(refused.value) is Outcome.SILENT
    lines.claim(line, meter_id, proven=False)
    assert await connector.connect(endpoint, 1.0) is line


async def test_a_recording_of_a_push_never_takes_a_line_from_the_meter(bench: Any) -> None:
    meter_id = calling(bench, "castellan_c3")
    now = bench.clock.now()
    meter = bench.simulated.meter(meter_id)
    octets = Pusher(meter, MeterCounter(reservation_by_time(now)), confirmed=True).interval(
        epoch_s(now) // 900 * 900 - 900, now
    )
    (frame,) = Reader().feed(octets or b"")
    lines, own, thief = CalledLines(), Line(), Line("10.0.0.8")
    pushes = PushDesk(bench.surroundings, bench.database.push_counters)
    desk = CallDesk(pushes, lines, bench.surroundings)
    answer = await desk.said(own, frame)
    assert answer is not None
    assert await desk.said(thief, frame) == answer  # a meter may not have heard it
    assert (lines.line_of(meter_id), own.ended, pushes.taken) == (own, False, 1)
