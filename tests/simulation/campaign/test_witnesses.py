"""Who watches a world can be relied on: each watch says nothing of what is well and cries at what is not."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import cast

import pytest

from amity.collector.ports import HeldPush
from amity.domain.jobs import Bundle, Lease
from amity.kernel.errors import StorageError
from amity.protocols.dlms.ciphered import CipherTag
from amity.protocols.gateway.prefix import Prefixed
from amity.protocols.gateway.prefix import encode as prefixed
from amity.protocols.wrapper.frame import encode as wrapped
from amity.simulation.campaign.ears import overheard_pusher
from amity.simulation.campaign.fences import Fences
from amity.simulation.campaign.machine import Machine, MachineClock
from amity.simulation.campaign.plan import OF_COLLECTORS, Trouble, plan_of
from amity.simulation.campaign.push_evidence import MeterPushes, PushEvidence, WatchedTaking
from amity.simulation.campaign.settings import settings_of
from amity.simulation.campaign.tally import Tally
from amity.simulation.campaign.telling import Verdict
from amity.simulation.campaign.wire import Wire
from amity.simulation.campaign.witness import Invariant, Witness
from amity.simulation.pushes import Pusher

METER, NODE, GATEWAY = "10.1.0.1", "10.0.0.1", "10.1.0.2"


class At:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def witness() -> Witness:
    return Witness(lambda: 0.0)


@pytest.fixture
def wire(witness: Witness) -> Wire:
    return Wire(witness, {METER: 1, GATEWAY: 3}, frozenset({NODE}))


def machine(witness: Witness, host: str) -> Machine:
    return Machine(host, host, MachineClock(At()), witness)


def request(counter: int, content: bytes = b"\x01" * 20) -> bytes:
    body = b"\x31" + counter.to_bytes(4, "big") + content
    return bytes([CipherTag.GLO_GET_REQUEST, len(body)]) + body


def cried(witness: Witness) -> list[str]:
    return [str(one.invariant) for one in witness.violations]


def test_a_request_whose_counter_was_sent_before_is_seen_on_the_wire(witness: Witness, wire: Wire) -> None:
    node = machine(witness, NODE)
    for counter in (1, 2, 3, 3):
        assert not witness.violations
        wire.sent(node, METER, wrapped(1, 1, request(counter)), opened=True)
    assert cried(witness) == [Invariant.COUNTERS_SENT]
    assert witness.checks[Invariant.COUNTERS_SENT] == 4


def test_a_confirmation_may_be_said_again_but_not_another_under_its_counter(witness: Witness, wire: Wire) -> None:
    node = machine(witness, NODE)
    for _ in range(2):
        wire.sent(node, METER, wrapped(1, 1, request(7)), opened=False)
    assert not witness.violations
    wire.sent(node, METER, wrapped(1, 1, request(7, b"\x02" * 20)), opened=False)
    assert cried(witness) == [Invariant.COUNTERS_SENT]


def test_meters_behind_a_gateway_have_counters_of_their_own(witness: Witness, wire: Wire) -> None:
    node = machine(witness, NODE)
    for device in (b"\0\1", b"\0\2"):
        wire.sent(node, GATEWAY, wrapped(1, 1, prefixed(Prefixed(1, device, request(1)))), opened=True)
    assert not witness.violations
    wire.sent(node, GATEWAY, wrapped(1, 1, prefixed(Prefixed(1, b"\0\1", request(1)))), opened=True)
    assert cried(witness) == [Invariant.COUNTERS_SENT]


def test_a_confirmation_to_a_gateway_is_not_taken_for_one_under_the_key_of_the_meter_on_the_line(
    witness: Witness, wire: Wire
) -> None:
    """It bears no prefix and the head-end's title alone; its counter may be of a meter behind, with its own key."""
    node = machine(witness, NODE)
    wire.sent(node, GATEWAY, wrapped(1, 1, request(1)), opened=False)
    wire.sent(node, GATEWAY, wrapped(1, 1, request(1, b"\x02" * 20)), opened=True)
    assert not witness.violations


class Pushing:
    """As much of a `Pusher` as hears; it believes nothing."""

    waiting = frozenset((b"push",))

    def hearing(self, *, alarm: bool) -> Callable[[bytes], bool] | None:
        return None if alarm else lambda _octets: False


def test_a_meter_hears_the_confirmation_of_its_push_whichever_meter_was_on_the_line(
    witness: Witness, wire: Wire
) -> None:
    pusher = overheard_pusher(cast("Pusher", Pushing()), partial(wire.heard, "M", 1), MeterPushes(lambda: 0.0))
    assert pusher.hearing(alarm=True) is None
    hears = pusher.hearing(alarm=False)
    assert hears is not None
    wire.heard("M", 1, request(5))
    for octets in (b"no frame", wrapped(1, 1, request(6)), wrapped(1, 1, request(6))):
        assert not hears(octets)
    assert not witness.violations
    hears(wrapped(1, 1, request(5, b"\x02" * 20)))
    assert cried(witness) == [Invariant.COUNTERS_HEARD]


def test_a_meter_that_hears_a_counter_with_two_messages_is_heard_whatever_carried_them(
    witness: Witness, wire: Wire
) -> None:
    wire.heard("M", 1, request(5))
    wire.heard("M", 1, request(5))  # a datagram that came twice, or a recording
    wire.heard("M", 2, request(5, b"\x02" * 20))  # another client has another key
    assert not witness.violations
    wire.heard("M", 1, request(5, b"\x02" * 20))
    assert cried(witness) == [Invariant.COUNTERS_HEARD]


def test_two_nodes_with_one_meter_are_seen_unless_one_of_them_is_dead_or_asleep(witness: Witness, wire: Wire) -> None:
    dead, asleep, awake = (machine(witness, host) for host in ("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    wire.held(dead, "M", 1)
    dead.kill(told=False)
    wire.held(asleep, "M", 2)
    asleep.freeze(10.0)
    wire.held(awake, "M", 3)
    assert not witness.violations
    wire.let_go("M", 3)
    wire.held(awake, "M", 4)
    assert not witness.violations
    wire.held(machine(witness, NODE), "M", 5)
    assert cried(witness) == [Invariant.ONE_ASSOCIATION]


def test_only_what_a_meter_says_by_itself_is_recorded_as_a_push(witness: Witness, wire: Wire) -> None:
    meter = machine(witness, METER)
    wire.sent(meter, NODE, b"an answer", opened=False)
    wire.sent(meter, NODE, b"a push", opened=True)
    assert [one.octets for one in wire.pushes] == [b"a push"]


def test_every_trouble_happens_in_some_world_and_those_of_collectors_where_there_are_some() -> None:
    worlds = [settings_of(seed) for seed in range(1, 400)]
    happened = {event.trouble for world in worlds for event in plan_of(world)}
    assert happened == set(Trouble)
    without = [event.trouble for world in worlds if not world.collectors for event in plan_of(world)]
    assert not OF_COLLECTORS & set(without)


def test_a_request_with_a_counter_below_one_before_is_seen_whichever_node_sends_it(witness: Witness) -> None:
    wire = Wire(witness, {METER: 1}, frozenset({NODE, "10.0.0.2"}))
    wire.sent(machine(witness, NODE), METER, wrapped(1, 1, request(3)), opened=True)
    wire.sent(machine(witness, "10.0.0.2"), METER, wrapped(1, 1, request(9)), opened=True)
    assert not witness.violations
    wire.sent(machine(witness, NODE), METER, wrapped(1, 1, request(4)), opened=True)
    assert cried(witness) == [Invariant.COUNTERS_RISE]


def test_a_lease_is_worth_nothing_once_another_followed(witness: Witness) -> None:
    fences = Fences(witness)
    first, second = (Lease("M", worker, fence, At().now()) for fence, worker in ((1, "a"), (2, "b")))
    fences.given([Bundle(first, ())])
    fences.accepted([first])
    fences.given([Bundle(second, ())])
    fences.accepted([second])
    assert not witness.violations
    fences.accepted([first])
    assert cried(witness) == [Invariant.FENCED]


def test_what_a_collector_takes_is_to_be_on_its_disk(witness: Witness) -> None:
    evidence = PushEvidence(witness)
    evidence.kept_by_collector("DC1", [HeldPush(7, At().now(), METER, False, wrapped(1, 1, b"push"))])
    evidence.promised_by_collector(b"push")
    assert not witness.violations
    assert evidence.kept[METER] == {b"push": 1}
    evidence.promised_by_collector(b"push")
    assert cried(witness) == [Invariant.PUSHES_ARRIVE]


class Nothing:
    """Counters and forwarded pushes that remember nothing; its transactions fail when it is full."""

    full = False
    move_all = known = prune = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield
        if self.full:
            raise StorageError("the disk is full")

    def first(self, _push_id: str, _at: datetime) -> AbstractContextManager[None]:
        return nullcontext()


def test_a_forwarded_push_may_be_tried_again_and_not_taken_again(witness: Witness) -> None:
    disk = Nothing()
    taking = WatchedTaking(disk, disk, PushEvidence(witness))  # type: ignore[arg-type]

    def take() -> None:
        with taking.transaction(), taking.first("07", At().now()):
            pass

    disk.full = True
    with pytest.raises(StorageError):
        take()
    disk.full = False
    take()
    assert not witness.violations
    take()
    assert cried(witness) == [Invariant.PUSHES_ONCE]


def test_a_tally_says_where_an_interrupted_campaign_goes_on() -> None:
    tally = Tally(seeds=5, first=10, began_s=0.0)
    for seed in (10, 12, 11, 14):
        tally.add(Verdict(seed, "", (), (), 3600.0, 4, 5, 6, 7, 8, {str(Trouble.WAN_CUT): 2}, {}))
    assert tally.next_seed == 13
    assert tally.line(8.0).startswith("4 of 5 seeds in 8 s, 0.50/s, 2 s to go: 16 meters, 20 sessions, 8 faults")
    assert any(
        line.split() == ["a", "collector", "cut", "off", "from", "the", "head-end", "8"] for line in tally.table(8.0)
    )


def test_a_verdict_can_be_sent_from_one_process_to_another() -> None:
    verdict = Verdict(1, "", (), (), 0.0, 0, 0, 0, 0, 0, {}, {str(Invariant.TRUE): 1})
    assert pickle.loads(pickle.dumps(verdict)) == verdict  # noqa: S301 - our own
