"""The fleet is read: complete, by the truth, within its limits, and every failure is told."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from random import Random

import numpy as np
import pytest

from amity.devices.client.counters import RESYNC_MAX
from amity.domain.collection import Delivery, Outcome
from amity.domain.jobs import JobState
from amity.domain.readings import Quality
from amity.headend.jobs.ports import JobQuery
from amity.headend.plan import ReadingRules
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.routes import HdlcLink, Host, Route, SerialLine, WrapperLink, over_tcp
from amity.headend.surroundings import SessionRules
from amity.kernel.backoff import Backoff
from amity.kernel.errors import AmityError, StorageError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, from_epoch_s
from amity.simulation.faults import FaultKind
from amity.simulation.virtual_time import VirtualClock, run_virtually
from tests.unit.headend.rounds import Rounds

INTERVAL_OBIS = ("1.0.1.29.0.255", "1.0.2.29.0.255", "1.0.3.29.0.255")
BARE = '{"version": "bare", "rules": [{"kind": "ignore", "class": 1, "obis": "0.0.99.99.99.255"}]}'
AT_ONCE = SessionRules(backoff=Backoff(0.0, 0.0))


def fleet_of(bench: object, **changes: object) -> Rounds:
    bench.surroundings = replace(bench.surroundings, **{"session": AT_ONCE, **changes})
    return Rounds(bench.surroundings, bench.database)


@pytest.mark.parametrize("auth", [None, "none", "lls", "hls-gmac"])
async def test_every_meter_of_every_model_is_read_completely(make_bench: Callable, auth: str | None) -> None:
    bench = make_bench(10, auth=auth)
    finished = await fleet_of(bench).read_fleet_once()
    for one in bench.deliveries():
        assert (one.outcome, one.detail) == (Outcome.COMPLETE, ())
        assert sorted(str(series.reading_type.obis) for series in one.intervals) == sorted(INTERVAL_OBIS)
        assert {len(series.starts) for series in one.intervals} == {3 * 96}
        assert one.unknown == ()
    assert set(finished.outcomes.values()) == {Outcome.COMPLETE}
    assert len(finished.outcomes) == 10


async def test_the_intervals_are_the_simulated_truth(make_bench: Callable) -> None:
    bench = make_bench(10)
    await fleet_of(bench).read_fleet_once()
    for one in bench.deliveries():
        meter = bench.simulated.meter(one.meter_id)
        step_wh = 10 if meter.profile.key.startswith("bergholm") else 1
        for series in one.intervals:
            truth = [meter.truth_wh(series.reading_type.obis, int(start)) for start in series.starts[-20:]]
            read = series.values[-20:] * 10.0**series.reading_type.exponent
            assert np.all(np.abs(read - truth) <= step_wh), (one.profile, str(series.reading_type.obis))


async def test_daily_snapshots_bound_the_intervals_between_them(make_bench: Callable) -> None:
    bench = make_bench(10)
    await fleet_of(bench).read_fleet_once()
    total, amount = Obis.parse("1.0.1.8.0.255"), Obis.parse(INTERVAL_OBIS[0])
    for one in bench.deliveries():
        snapshots = sorted(
            (epoch_s(reading.at), reading.quantity())
            for reading in one.registers
            if reading.reading_type.obis == total and epoch_s(reading.at) % 86_400 == 0
        )
        assert len(snapshots) >= 3
        series = next(series for series in one.intervals if series.reading_type.obis == amount)
        (first_s, first), (last_s, last) = snapshots[-2:]
        inside = (series.starts >= first_s) & (series.starts < last_s)
        counted = int(series.values[inside].sum()) * 10.0**series.reading_type.exponent
        tolerance = 1000 if one.profile == "quillon_q5" else 96 * 10 / 2
        assert abs(counted - float(last - first)) <= tolerance, one.profile


async def test_evidence_holds_the_wire_octets_and_the_answer_in_the_clear(make_bench: Callable) -> None:
    bench = make_bench(10)
    await fleet_of(bench).read_fleet_once()
    for one in bench.deliveries():
        meter = bench.simulated.meter(one.meter_id)
        for exchange in one.exchanges:
            assert exchange.request[:2] == exchange.response[:2] == b"\x00\x01"
            assert int.from_bytes(exchange.response[6:8], "big") == len(exchange.response) - 8
            assert meter.keys.password not in exchange.request
            assert meter.keys.guek not in exchange.request + exchange.response + exchange.plain
        proof = [one.exchanges[position].plain for position in one.intervals[0].evidence]
        assert proof
        assert all(plain[0] == 0xC4 for plain in proof)


async def test_the_second_round_reads_only_what_is_new(make_bench: Callable) -> None:
    bench = make_bench(10)
    fleet = fleet_of(bench)
    await fleet.read_fleet_once()
    first = {one.meter_id: one for one in bench.deliveries()}
    bench.clock.advance(minutes=30)
    await fleet.read_fleet_once()
    for one in bench.deliveries()[10:]:
        before = first[one.meter_id]
        assert one.outcome is Outcome.COMPLETE, one.detail
        for series, earlier in zip(one.intervals, before.intervals, strict=True):
            assert series.starts.tolist() == [earlier.starts[-1] + 900, earlier.starts[-1] + 1800]
        assert not [reading for reading in one.registers if epoch_s(reading.at) % 86_400 == 0]
        assert not {event.at for event in one.events} & {event.at for event in before.events}
        assert len(one.exchanges) < len(before.exchanges)


async def test_a_round_without_a_new_interval_reads_the_registers_only(make_bench: Callable) -> None:
    bench = make_bench(10)
    fleet = fleet_of(bench)
    await fleet.read_fleet_once()
    bench.clock.advance(seconds=60)
    await fleet.read_fleet_once()
    for one in bench.deliveries()[10:]:
        assert (one.outcome, one.intervals) == (Outcome.COMPLETE, ())
        assert one.registers


async def test_a_long_absence_is_made_up_in_pieces_that_are_safe_one_by_one(make_bench: Callable) -> None:
    bench = make_bench(5)
    rules = ReadingRules(first_read=timedelta(days=5), session_span=timedelta(days=2))
    await fleet_of(bench, reading=rules).read_fleet_once()
    by_meter: dict[str, list[Delivery]] = {}
    for one in bench.deliveries():
        by_meter.setdefault(one.meter_id, []).append(one)
    for pieces in by_meter.values():
        assert [len(piece.intervals[0].starts) for piece in pieces] == [192, 192, 96]
        starts = np.concatenate([piece.intervals[0].starts for piece in pieces])
        assert np.all(np.diff(starts) == 900)


async def test_what_was_empty_at_first_contact_is_read_from_there_on_however_long_that_is_ago(
    make_bench: Callable,
) -> None:
    bench = make_bench(1)
    began = bench.clock.instant = bench.clock.instant.replace(hour=0, minute=31)
    bench.connector.clock = type(bench.clock)()  # an hour behind: it has neither midnight nor a quarter hour of ours
    bench.connector.clock.instant = began - timedelta(hours=1)
    fleet = fleet_of(bench, reading=ReadingRules(first_read=timedelta(minutes=32)))
    await fleet.read_fleet_once()
    assert not bench.deliveries()[-1].intervals
    for clock in (bench.clock, bench.connector.clock):
        clock.advance(days=6)
    await fleet.read_fleet_once()
    found = bench.deliveries()[-1]
    first_s = min(int(series.starts[0]) for series in found.intervals)
    assert first_s <= epoch_s(began)
    midnights = {one.at.date() for one in found.registers if one.at.time() == time()}
    assert len(midnights) >= 6


async def test_a_restarted_head_end_goes_on_where_the_disk_says(make_bench: Callable) -> None:
    bench = make_bench(5)
    await fleet_of(bench).read_fleet_once()
    bench.clock.advance(minutes=15)
    await fleet_of(bench).read_fleet_once()
    assert {len(one.intervals[0].starts) for one in bench.deliveries()[5:]} == {1}


async def test_the_limit_of_sessions_at_a_time_is_kept(make_bench: Callable) -> None:
    bench = make_bench(20)

    await Rounds(bench.surroundings, bench.database, concurrent_sessions=3).read_fleet_once()
    assert bench.connector.open_most == 3
    assert len(bench.deliveries()) == 20


async def test_a_meter_has_one_association_at_a_time(make_bench: Callable) -> None:
    bench = make_bench(1)
    meter_id = bench.simulated.meters[0].meter_id
    fleet = fleet_of(bench)
    await asyncio.gather(*(fleet.read_meter(meter_id) for _ in range(4)))
    assert bench.connector.sessions[meter_id] == 4
    assert bench.connector.open_most == 1


@pytest.mark.parametrize(("line", "most"), [
    (HdlcLink(Host("10.0.0.1", 4001), physical=17), 1), (HdlcLink(SerialLine("/dev/ttyUSB0")), 1),
    (WrapperLink(Host("10.0.0.1", 4001)), 4),
])  # fmt: skip
async def test_meters_on_one_line_wait_for_each_other(
    make_bench: Callable, line: HdlcLink | WrapperLink, most: int
) -> None:
    bench = make_bench(4)
    endpoints = bench.database.endpoints
    endpoints.put([replace(one, route=Route(line)) for one in endpoints.all()])
    await fleet_of(bench).read_fleet_once()
    assert (bench.connector.open_most, len(bench.deliveries())) == (most, 4)


async def test_reading_a_meter_that_is_not_known_says_so(make_bench: Callable) -> None:
    with pytest.raises(AmityError, match="NOBODY"):
        await fleet_of(make_bench(1)).read_meter("NOBODY")


async def test_each_meter_that_is_done_is_told(make_bench: Callable) -> None:
    bench, told = make_bench(4), []
    await Rounds(bench.surroundings, bench.database, told=told.append).read_fleet_once()
    assert sorted(one.meter_id for one in told) == sorted(meter.meter_id for meter in bench.simulated.meters)


# ------------------------------------------------------------------ failures


async def only(bench: object, **changes: object) -> Delivery:
    await fleet_of(bench, **changes).read_fleet_once()
    return bench.deliveries()[-1]


async def test_a_refused_meter_is_tried_three_times_and_told(make_bench: Callable) -> None:
    bench = make_bench(1)
    meter_id = bench.simulated.meters[0].meter_id
    bench.connector.refused.add(meter_id)
    one = await only(bench)
    assert (one.outcome, one.attempts, bench.connector.sessions[meter_id]) == (Outcome.REFUSED, 3, 3)
    assert (one.intervals, one.registers) == ((), ())
    assert one.detail[0] == f"meter {meter_id} at 127.0.0.1:4059, 3 attempts: Connection Refused (Error 111)"
    assert one.detail[-1].startswith("next: ")


async def test_a_meter_that_answers_the_second_time_is_complete(make_bench: Callable) -> None:
    bench = make_bench(1)
    meter_id = bench.simulated.meters[0].meter_id
    bench.connector.scripts[meter_id] = lambda _apdu, number: (
        b"\xff\xff" if number == 3 and bench.connector.sessions[meter_id] == 1 else None
    )
    one = await only(bench)
    assert (one.outcome, one.attempts) == (Outcome.COMPLETE, 2)
    assert [told.outcome for told in bench.deliveries()] == [Outcome.BROKEN, Outcome.COMPLETE]


@pytest.mark.parametrize("at_request", [1, 2, 3, 5, 8])
async def test_garbage_at_any_point_is_broken_and_told(make_bench: Callable, at_request: int) -> None:
    bench = make_bench(1, auth="none")
    meter_id = bench.simulated.meters[0].meter_id
    bench.connector.scripts[meter_id] = lambda _apdu, number: b"\xa5\x5a" * 9 if number >= at_request else None
    one = await only(bench)
    assert one.outcome is Outcome.BROKEN
    assert one.exchanges[at_request - 1].response[8:] == b"\xa5\x5a" * 9
    assert meter_id in one.detail[0]


async def test_a_wrong_key_is_named_and_not_tried_again(make_bench: Callable) -> None:
    bench = make_bench(1, auth="hls-gmac")
    meter_id = bench.simulated.meters[0].meter_id
    bench.keys.by_meter[meter_id] = MeterSecrets(b"", bytes(16), bytes(range(16)))
    one = await only(bench)
    assert (one.outcome, one.attempts) == (Outcome.WRONG_KEY, 1)
    assert "key" in " ".join(one.detail)


async def test_a_wrong_password_is_named_and_not_tried_again(make_bench: Callable) -> None:
    bench = make_bench(1, auth="lls")
    meter_id = bench.simulated.meters[0].meter_id
    bench.keys.by_meter[meter_id] = MeterSecrets(b"wrong-password", b"", b"")
    one = await only(bench)
    assert (one.outcome, one.attempts) == (Outcome.WRONG_KEY, 1)
    assert "DLMS Association Rejected" in one.detail[0]
    assert b"wrong-password" not in b"".join(exchange.request for exchange in one.exchanges)


async def test_another_meter_at_the_address_is_refused(make_bench: Callable) -> None:
    bench = make_bench(2, auth="none")
    one, other = (meter.meter_id for meter in bench.simulated.meters)
    bench.connector.servers[one] = bench.connector.servers[other]
    finished = await fleet_of(bench).read_fleet_once()
    assert finished.outcomes == {one: Outcome.REJECTED, other: Outcome.COMPLETE}
    told = next(delivery for delivery in bench.deliveries() if delivery.meter_id == one)
    assert f"meter {other} answers where {one} was expected" in told.detail[0]
    assert told.intervals == ()


async def test_a_counter_that_is_behind_is_raised_to_what_the_meter_expects(make_bench: Callable) -> None:
    bench = make_bench(1, auth="hls-gmac")
    meter_id = bench.simulated.meters[0].meter_id
    client = bench.database.endpoints.all()[0].client
    bench.connector.servers[meter_id].received(client).counter = 5000
    one = await only(bench)
    assert (one.outcome, one.attempts) == (Outcome.COMPLETE, 2)
    assert bench.database.counters.reserve(meter_id, 1) > 5000


async def test_a_meter_without_keys_is_told_and_the_others_are_read(make_bench: Callable) -> None:
    bench = make_bench(3, auth="hls-gmac")
    meter_id = bench.simulated.meters[0].meter_id
    bench.keys.by_meter[meter_id] = MeterSecrets()
    finished = await fleet_of(bench).read_fleet_once()
    assert sorted(finished.outcomes.values()) == [Outcome.COMPLETE, Outcome.COMPLETE, Outcome.REJECTED]


async def test_a_defect_that_one_meter_brings_to_light_does_not_stop_the_others(make_bench: Callable) -> None:
    bench = make_bench(3)
    del bench.keys.by_meter[bench.simulated.meters[1].meter_id]  # this fake then raises KeyError
    finished = await fleet_of(bench).read_fleet_once()
    assert sorted(finished.outcomes.values()) == [Outcome.BROKEN, Outcome.COMPLETE, Outcome.COMPLETE]
    assert any("a defect in Amity: KeyError" in line for one in bench.deliveries() for line in one.detail)


async def test_a_gap_in_the_profile_is_partial_and_counted(make_bench: Callable) -> None:
    bench = make_bench(3, fault_of={0: FaultKind.GAP})
    await fleet_of(bench, reading=ReadingRules(first_read=timedelta(days=7))).read_fleet_once()
    gapped = bench.simulated.meters[0].meter_id
    pieces = [one for one in bench.deliveries() if one.meter_id == gapped]
    assert Outcome.PARTIAL in {one.outcome for one in pieces}
    assert "intervals are missing in the meter's load profile" in " ".join(
        line for one in pieces for line in one.detail
    )


async def test_a_clock_that_is_off_makes_its_readings_suspect(make_bench: Callable) -> None:
    bench = make_bench(1, auth="none")
    one = await only(bench, reading=ReadingRules(clock_tolerance=timedelta(seconds=-1)))
    assert any("the meter's clock is" in line for line in one.detail)
    assert all(np.all(series.qualities & Quality.CLOCK_SUSPECT) for series in one.intervals)


async def test_a_clock_that_jumped_and_was_set_back_never_makes_a_spike(make_bench: Callable) -> None:
    bench = make_bench(1, auth="none", fault_of={0: FaultKind.CLOCK_JUMP})
    one = await only(bench)
    meter = bench.simulated.meters[0]
    assert any("written again later" in line for line in one.detail)
    for series in one.intervals:
        truth = [meter.truth_wh(series.reading_type.obis, int(start)) for start in series.starts]
        assert series.values.max() <= max(truth)


async def test_the_clock_offset_is_the_meters_minus_ours(make_bench: Callable) -> None:
    bench = make_bench(3)
    await fleet_of(bench).read_fleet_once()
    for one in bench.deliveries():
        meter = bench.simulated.meter(one.meter_id)
        drift = (meter.clock_now(bench.clock.now()) - bench.clock.now()).total_seconds()
        assert one.clock_offset_s == pytest.approx(drift, abs=2)


INVOCATION_COUNTER_ERROR = bytes.fromhex("d80106")


@pytest.mark.parametrize("named", [0xFFFF_FFFF, RESYNC_MAX + 1])
async def test_a_meter_that_names_an_absurd_counter_is_broken_and_the_others_are_read(
    make_bench: Callable, named: int
) -> None:
    bench = make_bench(5, auth="hls-gmac")
    hostile = bench.simulated.meters[0].meter_id
    answer = INVOCATION_COUNTER_ERROR + named.to_bytes(4, "big")
    bench.connector.scripts[hostile] = lambda _apdu, _number: answer
    finished = await fleet_of(bench).read_fleet_once()
    assert finished.outcomes.pop(hostile) is Outcome.BROKEN
    assert set(finished.outcomes.values()) == {Outcome.COMPLETE}
    told = next(one.detail for one in bench.deliveries() if one.meter_id == hostile)
    assert str(named) in told[0]
    assert told[-1].startswith("next: ")
    assert bench.database.counters.reserve(hostile, 1) < 10_000


async def test_a_disk_that_fails_while_a_counter_is_learned_is_told_of_that_meter(make_bench: Callable) -> None:
    bench = make_bench(2, auth="hls-gmac")
    bench.connector.scripts[bench.simulated.meters[0].meter_id] = lambda _apdu, _number: bytes.fromhex("d8010600010000")

    class Failing:
        reserve = bench.database.counters.reserve

        def raise_to(self, meter_id: str, minimum: int) -> None:
            raise StorageError(f"no room for {minimum} of {meter_id}")

    finished = await fleet_of(bench, counters=Failing()).read_fleet_once()
    assert sorted(finished.outcomes.values()) == [Outcome.BROKEN, Outcome.COMPLETE]


async def test_a_defect_that_one_meter_brings_to_light_reaches_no_other(make_bench: Callable) -> None:
    bench = make_bench(3)
    first = bench.simulated.meters[0].meter_id
    codec = bench.surroundings.codec

    class Defective:
        def encode(self, delivery: Delivery) -> bytes:
            if delivery.meter_id == first:
                raise ValueError("unforeseen")
            return codec.encode(delivery)

    finished = await fleet_of(bench, codec=Defective()).read_fleet_once()
    dead = bench.database.job_book.find(JobQuery(states=frozenset({JobState.DEAD})))
    assert {(one.meter_id, "unforeseen" in one.told) for one in dead} == {(first, True)}
    assert {one.meter_id for one in bench.deliveries()} == set(finished.outcomes) - {first}


async def test_a_meter_that_never_stops_talking_is_cut_off(
    make_bench: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amity.headend.session.ANSWER_OCTETS_MAX", 2_000)
    one = await only(make_bench(1, auth="none"))
    assert one.outcome is Outcome.BROKEN
    assert "more than 2000 octets" in one.detail[0]
    assert sum(len(exchange.response) for exchange in one.exchanges) < 2_500


async def test_what_a_meter_pushes_in_a_session_is_handed_on(make_bench: Callable) -> None:
    bench, heard = make_bench(2), []
    pushing = bench.simulated.meters[1].meter_id
    connect = bench.connector.connect

    async def connect_and_push(endpoint: Endpoint, timeout_s: float) -> object:
        channel = await connect(endpoint, timeout_s)
        channel.unsolicited += [b"one", b"two"] if endpoint.meter_id == pushing else []
        return channel

    async def hear(endpoint: Endpoint, apdu: bytes) -> None:
        heard.append((endpoint.meter_id, apdu))

    bench.connector.connect = connect_and_push
    await Rounds(bench.surroundings, bench.database, on_unsolicited=hear).read_fleet_once()
    assert heard == [(pushing, b"one"), (pushing, b"two")]


async def test_a_large_answer_is_decoded_beside_the_loop_with_the_same_result(
    make_bench: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amity.headend.reader._DIGESTED_AT_ONCE_MAX", 10)
    one = await only(make_bench(1, auth="none"))
    assert (one.outcome, {len(series.starts) for series in one.intervals}) == (Outcome.COMPLETE, {288})


async def test_an_edit_of_the_mapping_counts_from_the_next_meter_on(make_bench: Callable) -> None:
    bench = make_bench(1)
    fleet = fleet_of(bench)
    await fleet.read_fleet_once()
    path = bench.mappings._path
    path.write_text(path.read_text().replace('"2026-11-20"', '"my own version"'))
    await fleet.read_fleet_once()
    first, second = (one.mapping_version.partition("+") for one in bench.deliveries())
    assert (first[0], second[0]) == ("2026-11-20", "my own version")
    assert first[2] == second[2]  # the rules are the same


async def test_an_object_without_a_rule_is_delivered_raw(make_bench: Callable) -> None:
    bench = make_bench(1, auth="none")
    bench.mappings._path.write_text(BARE)
    one = await only(bench)
    assert (one.intervals, one.registers) == ((), ())
    assert {str(kept.obis) for kept in one.unknown} >= {"1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.32.7.0.255"}
    assert all(kept.octets for kept in one.unknown)


async def test_a_moved_meter_is_read_at_its_new_address(make_bench: Callable) -> None:
    bench = make_bench(1)
    fleet = fleet_of(bench)
    await fleet.read_fleet_once()
    old: Endpoint = bench.database.endpoints.all()[0]
    bench.database.endpoints.put([replace(old, route=over_tcp("127.0.0.1", 4999))])
    bench.connector.refused.add(old.meter_id)
    await fleet.read_fleet_once()
    assert "127.0.0.1:4999" in bench.deliveries()[-1].detail[0]


async def test_message_ids_are_all_different_and_events_lie_in_the_past(make_bench: Callable) -> None:
    bench = make_bench(10)
    fleet = fleet_of(bench)
    for _ in range(3):
        await fleet.read_fleet_once()
        bench.clock.advance(minutes=1)
    deliveries = bench.deliveries()
    assert len({one.message_id for one in deliveries}) == 30
    assert all(event.at <= bench.clock.now() for one in deliveries for event in one.events)
    assert all(one.collected_at >= from_epoch_s(0) for one in deliveries)


def test_between_attempts_a_meter_waits_and_others_have_its_slot(make_bench: Callable) -> None:
    bench = make_bench(3)
    refused = bench.simulated.meters[0].meter_id
    bench.connector.refused.add(refused)
    rules = SessionRules(backoff=Backoff(base_s=100.0, limit_s=1000.0), attempts_max=3)
    told: list[str] = []

    async def story(clock: VirtualClock) -> float:
        surroundings = replace(bench.surroundings, session=rules, chance=lambda: 0.5, clock=clock)
        fleet = Rounds(surroundings, bench.database, concurrent_sessions=1, told=lambda one: told.append(one.meter_id))
        began = clock.now()
        await fleet.read_fleet_once()
        return (clock.now() - began).total_seconds()

    assert run_virtually(story, bench.clock.now()) == pytest.approx(50 + 100, abs=1)
    assert told[-1] == refused


@pytest.mark.parametrize("seed", [1, 2])
def test_half_a_day_of_rounds_with_flaky_lines_in_virtual_time_is_complete_and_repeatable(
    make_bench: Callable, seed: int
) -> None:
    bench = make_bench(4)
    chance = Random(seed)

    def flaky(_apdu: bytes, _number: int) -> bytes | None:
        return b"\xa5" * 8 if chance.random() < 0.01 else None

    bench.connector.scripts = {meter.meter_id: flaky for meter in bench.simulated.meters}

    async def story(clock: VirtualClock) -> None:
        bench.connector.clock = clock
        fleet, due = Rounds(replace(bench.surroundings, clock=clock), bench.database), clock.now()
        for _ in range(12 * 4):
            await fleet.read_fleet_once()
            due += timedelta(seconds=900)
            await asyncio.sleep((due - clock.now()).total_seconds())

    run_virtually(story, bench.clock.now())
    starts: dict[str, list[int]] = {}
    for one in bench.deliveries():
        for series in one.intervals:
            if str(series.reading_type.obis) == INTERVAL_OBIS[0]:
                starts.setdefault(one.meter_id, []).extend(series.starts.tolist())
    assert len(starts) == 4
    for found in starts.values():
        assert len(found) >= 3 * 96 + 45
        assert np.all(np.diff(found) == 900)


async def test_a_meter_that_refuses_our_counter_and_names_none_is_not_asked_the_same_again(
    make_bench: Callable,
) -> None:
    bench = make_bench(1, auth="hls-gmac")
    untold = bytes([0xD8, 0x01, 0x06])  # ExceptionResponse: service-not-allowed, invocation-counter-error
    bench.connector.scripts[bench.simulated.meters[0].meter_id] = lambda _apdu, number: untold if number > 1 else None
    one = await only(bench)
    assert (one.outcome, one.attempts) == (Outcome.REJECTED, 1)
    assert "does not say which" in one.detail[0]
    assert "0.0.43.1.x.255" in one.detail[-1]
    assert "that number" not in one.detail[-1]
