"""Event logs as rounds of a fleet read them: clocks that are ahead, logs that a model lacks, events in one second."""

from collections.abc import Callable
from dataclasses import replace

from amity.devices.profiles import DeviceProfile
from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventKind, event_id
from amity.headend.surroundings import SessionRules
from amity.kernel.backoff import Backoff
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.simulation.happenings import Outage
from amity.simulation.meter import SimulatedMeter
from tests.unit.headend.rounds import Rounds

AT_ONCE = SessionRules(backoff=Backoff(0.0, 0.0))


def fleet_of(bench: object, **changes: object) -> Rounds:
    bench.surroundings = replace(bench.surroundings, **{"session": AT_ONCE, **changes})
    return Rounds(bench.surroundings, bench.database)


def with_clocks_ahead(bench: object) -> None:
    """Meters whose clocks are 20 h ahead, with an outage in their logs that is still to come."""
    bench.connector.clock = type(bench.clock)()
    bench.connector.clock.advance(hours=20)
    in_an_hour_s = epoch_s(bench.clock.now()) + 3600
    for meter in bench.simulated.meters:
        outage = Outage(meter.happenings.transformer_id, in_an_hour_s, in_an_hour_s + 60)
        object.__setattr__(meter, "happenings", replace(meter.happenings, outages=(outage,)))


def events_ahead(bench: object, deliveries: list[Delivery]) -> int:
    return sum(event.at > bench.clock.now() for one in deliveries for event in one.events)


async def test_an_event_of_a_clock_that_is_ahead_is_delivered_once_and_not_in_each_round(make_bench: Callable) -> None:
    bench, found = make_bench(2), []
    with_clocks_ahead(bench)
    fleet = fleet_of(bench)
    for number in range(3):
        await fleet.read_fleet_once()
        found.append(events_ahead(bench, bench.deliveries()[2 * number :]))
        bench.clock.advance(minutes=1)
    assert found == [4, 0, 0]
    bench.clock.advance(hours=2)
    await fleet.read_fleet_once()
    assert [len(one.events) for one in bench.deliveries()[6:]] == [2, 2]  # past now, and so once more


async def test_an_event_ahead_that_the_disk_did_not_take_is_delivered_later(
    make_bench: Callable, full_disk: Callable
) -> None:
    bench = make_bench(2)
    with_clocks_ahead(bench)
    store = full_disk(bench.database.collection)
    fleet = fleet_of(bench, collection=store)
    await fleet.read_fleet_once()
    store.full = False
    await fleet.read_fleet_once()
    assert events_ahead(bench, bench.deliveries()) == 4


def with_logs(bench: object, names: list[str]) -> Callable[[str], DeviceProfile]:
    """Profiles with these logs besides, as the list stands when they are asked for."""
    profile_of = bench.surroundings.profile_of

    def profile(name: str) -> DeviceProfile:
        found = profile_of(name)
        return replace(found, event_log=replace(found.event_log, others=tuple(map(Obis.parse, names))))

    return profile


def outage_at(meter: SimulatedMeter, start_s: int) -> None:
    outage = Outage(meter.happenings.transformer_id, start_s, start_s + 600)
    object.__setattr__(meter, "happenings", replace(meter.happenings, outages=(outage,)))


async def test_a_meter_without_one_of_its_models_logs_lacks_nothing_and_is_asked_once(make_bench: Callable) -> None:
    bench, logs = make_bench(5), ["0.0.99.98.1.255"]
    fleet = fleet_of(bench, profile_of=with_logs(bench, logs))
    exchanges = []
    for _ in range(3):
        await fleet.read_fleet_once()
        exchanges.append({one.meter_id: len(one.exchanges) for one in bench.deliveries()})
        if len(exchanges) == 2:
            logs.clear()
    assert {one.outcome for one in bench.deliveries()} == {Outcome.COMPLETE}
    assert exchanges[1] == exchanges[2], "the second round asked for no log that a model without others has not"


async def test_every_log_is_read_and_what_two_logs_tell_alike_is_one_event(make_bench: Callable) -> None:
    bench = make_bench(1)
    outage_at(bench.simulated.meters[0], epoch_s(bench.clock.now()) - 5000)
    await fleet_of(bench, profile_of=with_logs(bench, ["0.0.99.98.0.255"])).read_fleet_once()
    (one,) = bench.deliveries()
    assert [event.kind for event in one.events] == [EventKind.POWER_DOWN, EventKind.POWER_UP] * 2
    assert len({event_id("M", event) for event in one.events}) == 2


async def test_an_event_in_the_second_of_the_last_one_read_is_not_missed(make_bench: Callable) -> None:
    bench = make_bench(1)
    (meter,) = bench.simulated.meters
    now_s = epoch_s(bench.clock.now())
    fleet = fleet_of(bench)
    outage_at(meter, now_s - 1)
    await fleet.read_fleet_once()
    bench.clock.advance(seconds=60)
    await fleet.read_fleet_once()
    told = [[event.kind for event in one.events] for one in bench.deliveries()]
    assert told == [[EventKind.POWER_DOWN]] * 2
    bench.clock.advance(seconds=60)
    await fleet.read_fleet_once()
    assert bench.deliveries()[-1].events == ()


async def test_a_log_that_was_empty_at_first_contact_is_read_from_there_on_however_long_that_is_ago(
    make_bench: Callable,
) -> None:
    bench = make_bench(1)
    (meter,) = bench.simulated.meters
    object.__setattr__(meter, "happenings", replace(meter.happenings, outages=()))
    fleet = fleet_of(bench)
    first_s = epoch_s(bench.clock.now())
    await fleet.read_fleet_once()
    assert bench.deliveries()[-1].events == ()
    outage_at(meter, first_s + 3600)
    bench.clock.advance(days=10)  # out of reach for longer than a first read looks back
    await fleet.read_fleet_once()
    found = [event.kind for one in bench.deliveries() for event in one.events]
    assert found == [EventKind.POWER_DOWN, EventKind.POWER_UP]


async def test_a_clock_that_is_ahead_does_not_hide_what_an_empty_log_is_to_have(make_bench: Callable) -> None:
    bench = make_bench(1)
    (meter,) = bench.simulated.meters
    object.__setattr__(meter, "happenings", replace(meter.happenings, outages=()))
    bench.connector.clock = type(bench.clock)()
    bench.connector.clock.advance(hours=20)
    fleet = fleet_of(bench)
    await fleet.read_fleet_once()
    (standing,) = bench.database.collection.standings().values()
    assert standing.progress.events_until is not None
    assert standing.progress.events_until <= bench.clock.now()
