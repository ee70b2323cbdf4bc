"""Sessions on tape: what a meter said once is not believed a second time, also after the head-end was started anew."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from amity.domain.collection import Delivery, Outcome
from amity.headend.hearing import Hearing, key_name
from amity.headend.ports import Endpoint, Heard
from amity.headend.surroundings import SessionRules
from amity.kernel.backoff import Backoff
from tests.unit.headend.rounds import Rounds

ONCE = SessionRules(attempts_max=1, backoff=Backoff(0.0, 0.0))
KEY, OTHER_KEY = bytes(16), bytes(range(16))


class Tape:
    """Notes what a meter answers, then plays it in its place."""

    def __init__(self, bench: Any, endpoint: Endpoint) -> None:
        self.answers: list[bytes] = []
        self._association = bench.connector.servers[endpoint.meter_id].open_association(endpoint.client)
        self._clock = bench.clock

    def record(self, octets: bytes, _number: int) -> bytes | None:
        self.answers.append(self._association.receive(octets, self._clock.now()))
        return self.answers[-1]

    def play(self, _octets: bytes, number: int) -> bytes | None:
        return self.answers[number - 1]


def fleet_of(bench: Any) -> Rounds:
    return Rounds(replace(bench.surroundings, session=ONCE), bench.database)


def told(delivery: Delivery) -> str:
    return " ".join(delivery.detail)


async def test_a_session_on_tape_is_refused_also_after_a_restart(make_bench: Callable) -> None:
    bench = make_bench(25)
    endpoint = next(
        one for one in bench.database.endpoints.all() if one.meter_id == bench.meter_with("castellan_c3").meter_id
    )
    tape = Tape(bench, endpoint)
    bench.connector.scripts[endpoint.meter_id] = tape.record
    fleet = fleet_of(bench)
    assert (await fleet.read_meter(endpoint.meter_id)).outcome.answered
    heard = bench.database.collection.standings()[endpoint.meter_id].heard
    guek = bench.keys.by_meter[endpoint.meter_id].guek
    assert heard is not None
    assert heard.key_name == key_name(guek)
    assert len(tape.answers) <= heard.counter
    bench.connector.scripts[endpoint.meter_id] = tape.play
    for another in (fleet, fleet_of(bench)):
        bench.clock.advance(days=1)
        delivery = await another.read_meter(endpoint.meter_id)
        assert not delivery.outcome.answered
        assert f"came after {heard.counter}" in told(delivery)
    assert bench.database.collection.standings()[endpoint.meter_id].heard == heard
    del bench.connector.scripts[endpoint.meter_id]
    tape._association.close()
    assert (await fleet_of(bench).read_meter(endpoint.meter_id)).outcome is not Outcome.BROKEN


def test_hearing_goes_on_where_the_disk_left_it_under_the_same_key_only() -> None:
    hearing = Hearing()
    assert hearing.heard is None
    hearing.resume(Heard(key_name(KEY), 40))
    hearing.under(KEY)
    assert hearing.heard == Heard(key_name(KEY), 40)
    hearing.received.counter = 50
    hearing.resume(Heard(key_name(KEY), 45))
    assert hearing.heard == Heard(key_name(KEY), 50)
    hearing.received.signed = hearing.received.transaction = 7
    hearing.under(OTHER_KEY)
    assert hearing.heard is None
    assert (hearing.received.counter, hearing.received.signed, hearing.received.transaction) == (-1, 7, 7)


def test_a_meter_without_a_key_is_heard_without_a_counter() -> None:
    hearing = Hearing()
    hearing.under(b"")
    hearing.received.counter = 3
    assert hearing.heard is None


def test_a_name_of_a_key_gives_it_not_away() -> None:
    assert key_name(KEY) != key_name(OTHER_KEY)
    assert len(key_name(bytes(32))) == 8
