"""Meters that call in, say nothing and ignore the release: found out all the same, whatever associations they allow."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from amity.devices.server import MeterServer
from amity.domain.collection import Outcome
from amity.headend.calls.desk import CallDesk
from amity.headend.calls.lines import CalledInConnector, CalledLines
from amity.headend.calls.silent import SilentCallers
from amity.headend.plan import Part, Wanted
from amity.headend.ports import Progress
from amity.headend.pushes.desk import PushDesk
from amity.headend.reader import MeterReader
from amity.headend.routes import CallsIn, Route, WrapperLink
from amity.headend.surroundings import SessionRules
from amity.protocols.dlms.profile_buffer import TemplateCache
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server
from amity.transports.call import CallRules
from amity.transports.caller_listener import CallerListener
from amity.transports.meter_dialer import DialledMeter, dial_in

HOST = "127.0.0.1"
RULES = CallRules(asked_after_s=0.05)
TOTAL = Wanted(frozenset({Part.TOTAL}))


class AnAssociationForEachClient(MeterServer):
    """As IEC 62056-47 has it: nobody waits for another client's release."""

    def take(self, *_: object) -> bool:
        return True


@dataclass(eq=False)
class Desk:
    """A call desk behind a real door, and a meter of the bench that calls it."""

    bench: Any
    lines: CalledLines
    port: int
    meter: Any
    endpoint: Any
    calls: list[DialledMeter] = field(default_factory=list)

    async def call(self, server: MeterServer) -> DialledMeter:
        """The meter connects, says nothing, and waits until it is known or cut off."""
        call = await dial_in(server, HOST, self.port, clock=self.bench.clock)
        self.calls.append(call)
        async with asyncio.timeout(20):
            while not call.ended.done() and self.lines.line_of(self.meter.meter_id) is None:
                await asyncio.wait([call.ended], timeout=0.01)
        return call

    async def read(self) -> Outcome:
        """A session with it, as a worker has one."""
        surroundings = replace(self.bench.surroundings, connector=CalledInConnector(self.lines, self.bench.connector))
        reader = MeterReader(self.endpoint, surroundings, TemplateCache())
        collected = await reader.read(Progress(), self.bench.mappings.mapping, attempt=1, wanted=TOTAL)
        self.lines.told(collected.delivery)
        return collected.delivery.outcome

    async def read_within(self, server: MeterServer, calls: int) -> list[Outcome]:
        """Call until a session succeeds, at most so often."""
        outcomes: list[Outcome] = []
        for _ in range(calls):
            call = await self.call(server)
            if not call.ended.done():
                outcomes.append(await self.read())
            if Outcome.COMPLETE in outcomes:
                return outcomes
            await asyncio.wait_for(call.ended, 20)
        return outcomes


@pytest.fixture
async def desk(make_bench: Callable[..., Any]) -> AsyncIterator[Desk]:
    bench = make_bench(25)
    meter = bench.meter_with("quillon_q5")  # HLS, and ignores RLRQ
    (known,) = [one for one in bench.database.endpoints.all() if one.meter_id == meter.meter_id]
    endpoint = replace(known, route=Route(WrapperLink(CallsIn())))
    bench.database.endpoints.put([endpoint])
    rules = SessionRules(request_timeout_s=2.0, attempts_max=1)
    bench.surroundings = replace(bench.surroundings, session=rules)
    lines = CalledLines()
    listener = CallerListener(
        CallDesk(PushDesk(bench.surroundings, bench.database.push_counters), lines, bench.surroundings),
        rules=RULES,
    )
    made = Desk(bench, lines, await listener.start(HOST, 0), meter, endpoint)
    yield made
    for call in made.calls:
        call.close()
    await listener.close()


def server_of(desk: Desk, kind: type[MeterServer] = MeterServer) -> MeterServer:
    made, _ = meter_server(
        desk.meter,
        started=desk.bench.clock.now(),
        reservation=reservation_by_time(desk.bench.clock.now()),
        random_octets=Random(9).randbytes,
    )
    made.__class__ = kind
    assert not made.settings.answers_release
    return made


async def test_who_ignores_the_release_is_read_on_the_line_on_which_it_was_asked(desk: Desk) -> None:
    assert await desk.read_within(server_of(desk, AnAssociationForEachClient), calls=1) == [Outcome.COMPLETE]


async def test_who_has_one_association_at_a_time_is_not_asked_when_it_calls_again(desk: Desk) -> None:
    server = server_of(desk)
    assert await desk.read_within(server, calls=2) == [Outcome.REJECTED, Outcome.COMPLETE]
    desk.calls[-1].close()
    async with asyncio.timeout(20):
        while desk.lines.line_of(desk.meter.meter_id) is not None:  # noqa: ASYNC110 - the desk tells nobody
            await asyncio.sleep(0.01)
    assert await desk.read_within(server, calls=1) == [Outcome.COMPLETE], "it is remembered while it proves itself"


@dataclass(eq=False)
class Line:
    peer: str = "10.0.0.7"
    ended: bool = False

    def hang_up(self) -> None:
        self.ended = True


@dataclass
class Callers:
    """Whom a node has on the line, and what it remembers of them; `draw` stands for chance."""

    draw: float = 0.0
    lines: CalledLines = field(default_factory=CalledLines)

    def __post_init__(self) -> None:
        self.silent = SilentCallers(self.lines, lambda: self.draw)

    def asked_in_vain(self, meter_id: str, peer: str = "10.0.0.7") -> None:
        line = Line(peer)
        self.silent.kept_hold(line, meter_id)
        self.silent.gone(line, proven=False)

    def remembered(self, peer: str = "10.0.0.7") -> str | None:
        return self.silent.remembered(Line(peer))


def test_a_meter_is_remembered_at_the_address_it_called_from() -> None:
    callers = Callers()
    callers.asked_in_vain("M")
    assert (callers.remembered(), callers.remembered("10.0.0.8")) == ("M", None)


def test_who_was_read_on_the_line_on_which_it_was_asked_may_be_asked_again() -> None:
    callers, line = Callers(), Line()
    callers.silent.kept_hold(line, "M")
    callers.silent.gone(line, proven=True)
    assert callers.remembered() is None


@pytest.mark.parametrize(("proven", "then"), [(True, "M"), (False, None)])
def test_a_memory_that_was_wrong_is_given_up(proven: bool, then: str | None) -> None:
    callers, again = Callers(), Line()
    callers.asked_in_vain("M")
    assert callers.silent.remembered(again) == "M"
    callers.silent.gone(again, proven=proven)
    assert callers.remembered() == then


def test_a_meter_that_hung_up_before_it_was_recognised_is_remembered_too() -> None:
    callers = Callers()
    callers.silent.kept_hold(Line(ended=True), "M")
    assert callers.remembered() == "M"


def test_behind_one_address_it_is_one_of_those_that_are_not_on_the_line() -> None:
    callers = Callers()
    for meter_id in "MNO":
        callers.asked_in_vain(meter_id)
    callers.lines.claim(Line(), "M", proven=True)
    callers.draw = 0.999
    assert callers.remembered() == "O"
    callers.draw = 0.0
    assert callers.remembered() == "N", "no two take each other's turn for ever"


def test_nobody_fills_the_memory() -> None:
    callers = Callers(draw=0.0)
    for number in range(200):
        callers.asked_in_vain(f"M{number}")
    assert callers.remembered() == "M72", "the 128 newest of one address"
    for number in range(20_000):
        callers.asked_in_vain("N", f"10.1.{number}")
    assert callers.remembered() is None, "20,000 addresses"
