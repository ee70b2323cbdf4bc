"""Meters that call in: believed when they prove who they are, parked when not, never allowed to exhaust us."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from amity.devices.objects import scaler_unit
from amity.devices.profiles import fictional_keys
from amity.domain.collection import Outcome
from amity.domain.events import EventKind
from amity.domain.readings import Quality
from amity.headend.calls.callers import CallingFrom
from amity.headend.calls.desk import CallDesk
from amity.headend.calls.lines import CalledLines
from amity.headend.heard_counters import SOON_S
from amity.headend.ports import Endpoint, Standing
from amity.headend.pushes.desk import PushDesk
from amity.headend.pushes.known import KnownSenders
from amity.headend.routes import Gateway, HdlcLink, Host, Route, SerialLine, WrapperLink, over_tcp
from amity.kernel.errors import StorageError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, from_epoch_s
from amity.kernel.units import Unit
from amity.protocols.dlms.apdu import DataNotification, GetRequestNormal, decode
from amity.protocols.dlms.attributes import Attribute
from amity.protocols.dlms.block_stream import BlockDialogue, unconfirmed_blocks
from amity.protocols.dlms.data import (
    array,
    double_long_unsigned,
    integer,
    long_unsigned,
    octet_string,
    structure,
    utf8_string,
)
from amity.protocols.gateway.prefix import Prefixed
from amity.protocols.gateway.prefix import encode as prefixed
from amity.protocols.wrapper.frame import Frame, Reader, encode
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.happenings import Happening
from amity.simulation.meter import SimulatedMeter
from amity.simulation.pushes import Pusher
from amity.transports.caller_listener import CallerListener

HOME = "127.0.0.1"
CIPHERED = ("castellan_c3", "quillon_q5", "tarn_t4")
PLAIN = ("norrvik_n1", "bergholm_b20")


def frame_of(octets: bytes | None) -> Frame:
    assert octets is not None
    (frame,) = Reader().feed(octets)
    return frame


def pusher(bench: object, meter: SimulatedMeter) -> Pusher:
    return Pusher(meter, MeterCounter(reservation_by_time(bench.clock.now())))


def interval_push(bench: object, meter: SimulatedMeter) -> bytes:
    now = bench.clock.now()
    octets = pusher(bench, meter).interval(epoch_s(now) // 900 * 900 - 900, now)
    assert octets is not None
    return octets


@pytest.fixture
def bench(make_bench: Callable) -> object:
    made = make_bench(25)
    made.clock.instant = from_epoch_s(epoch_s(made.clock.instant) // 900 * 900 + 20)
    return made


@pytest.fixture
def listener(bench: object) -> PushDesk:
    return PushDesk(bench.surroundings, bench.database.push_counters)


@pytest.mark.parametrize("key", fictional_keys())
async def test_an_alarm_of_every_model_is_an_event(bench: object, listener: PushDesk, key: str) -> None:
    meter = bench.meter_with(key)
    happened = Happening(epoch_s(bench.clock.now()) - 2, EventKind.POWER_DOWN)
    await listener.take(frame_of(pusher(bench, meter).alarm(happened)), CallingFrom(HOME))
    assert listener.parking.counts == {}
    (one,) = bench.deliveries()
    assert (one.meter_id, one.outcome, one.intervals, one.unknown) == (meter.meter_id, Outcome.PUSHED, (), ())
    (event,) = one.events
    assert (event.kind, event.pushed, event.evidence) == (EventKind.POWER_DOWN, True, (0,))
    assert abs((event.at - bench.clock.now()).total_seconds()) < 120
    assert one.exchanges[0].request == b""
    assert one.exchanges[0].plain[0] in {0x0F, 0xC2}


@pytest.mark.parametrize("key", fictional_keys())
async def test_the_last_interval_of_every_model_is_the_truth(bench: object, listener: PushDesk, key: str) -> None:
    meter = bench.meter_with(key)
    await listener.take(frame_of(interval_push(bench, meter)), CallingFrom(HOME))
    (one,) = bench.deliveries()
    assert one.unknown == ()
    end_s = epoch_s(bench.clock.now()) // 900 * 900
    if key in {"norrvik_n1", "castellan_c3"}:  # totals: one alone gives no amount, but it is a register reading
        totals = {str(reading.reading_type.obis): reading for reading in one.registers}
        assert sorted(totals) == ["1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.3.8.0.255"]
        assert {epoch_s(reading.at) for reading in one.registers} == {end_s}
    else:
        step = 10 if key == "bergholm_b20" else 1
        assert len(one.intervals) == 3
        for series in one.intervals:
            assert series.starts.tolist() == [end_s - 900]
            truth = meter.truth_wh(series.reading_type.obis, end_s - 900)
            assert abs(series.values[0] * 10.0**series.reading_type.exponent - truth) <= step
            assert series.qualities.tolist() == [Quality.MEASURED]


async def test_a_push_moves_no_progress(bench: object, listener: PushDesk) -> None:
    meter = bench.meter_with("tarn_t4")
    await listener.take(frame_of(interval_push(bench, meter)), CallingFrom(HOME))
    assert bench.database.collection.standings().get(meter.meter_id, Standing()) == Standing()


async def test_a_push_heard_before_is_refused_also_after_a_restart(bench: object, listener: PushDesk) -> None:
    frame = frame_of(interval_push(bench, bench.meter_with("castellan_c3")))
    await listener.take(frame, CallingFrom(HOME))
    await listener.take(frame, CallingFrom(HOME))
    await PushDesk(bench.surroundings, bench.database.push_counters).take(frame, CallingFrom(HOME))
    assert len(bench.deliveries()) == 1
    assert listener.parking.counts == {"not-believed": 1}
    assert "heard before" in listener.parking.newest[0].error.what


# ------------------------------------------------------------------ pushes that overtake each other


def pushes_in_order(bench: object, meter: SimulatedMeter, how_many: int) -> list[Frame]:
    now = bench.clock.now()
    speaker, newest_s = pusher(bench, meter), epoch_s(now) // 900 * 900 - 900
    starts = [newest_s - back * 900 for back in reversed(range(how_many))]
    return [frame_of(speaker.interval(start_s, now)) for start_s in starts]


@pytest.mark.parametrize("key", CIPHERED)
async def test_a_push_that_another_one_overtook_to_the_other_taker_is_believed_once(bench: object, key: str) -> None:
    one, other = (PushDesk(bench.surroundings, bench.database.push_counters) for _ in range(2))
    first, older, newer = pushes_in_order(bench, bench.meter_with(key), 3)
    await one.take(first, CallingFrom(HOME))
    await other.take(newer, CallingFrom(HOME))
    bench.clock.advance(seconds=SOON_S)
    await one.take(older, CallingFrom(HOME))
    assert (one.taken, other.taken, len(bench.deliveries())) == (2, 1, 3)
    for frame in (first, older, newer):
        await one.take(frame, CallingFrom(HOME))
        await other.take(frame, CallingFrom(HOME))
        await PushDesk(bench.surroundings, bench.database.push_counters).take(frame, CallingFrom(HOME))
    assert len(bench.deliveries()) == 3
    assert one.parking.counts == other.parking.counts == {"not-believed": 3}


async def test_a_push_that_somebody_held_back_is_not_believed_later(bench: object, listener: PushDesk) -> None:
    first, held_back, newer, newest = pushes_in_order(bench, bench.meter_with("castellan_c3"), 4)
    for frame in (first, newer):
        await listener.take(frame, CallingFrom(HOME))
    bench.clock.advance(seconds=4 * SOON_S)
    await listener.take(newest, CallingFrom(HOME))
    await listener.take(held_back, CallingFrom(HOME))
    assert (len(bench.deliveries()), listener.parking.counts) == (3, {"not-believed": 1})
    assert "long after a later one" in listener.parking.newest[0].error.what


async def test_the_reading_that_an_alarm_overtakes_on_the_way_to_the_disk_is_believed(bench: object) -> None:
    busy, go_on = asyncio.Event(), asyncio.Event()

    async def slow_disk(work: Callable[[], object]) -> object:
        if listener.taken:
            busy.set()
            await go_on.wait()
        return work()

    listener = PushDesk(replace(bench.surroundings, disk=slow_disk), bench.database.push_counters)
    meter, other = bench.meter_with("castellan_c3"), bench.meter_with("tarn_t4")
    speaker, now = pusher(bench, meter), bench.clock.now()
    end_s = epoch_s(now) // 900 * 900
    await listener.take(frame_of(speaker.interval(end_s - 2700, now)), CallingFrom(HOME))
    waiting = [asyncio.create_task(listener.take(frame_of(interval_push(bench, other)), CallingFrom(HOME)))]
    await busy.wait()
    reading = frame_of(speaker.interval(end_s - 900, now))
    alarm = frame_of(speaker.alarm(Happening(end_s, EventKind.POWER_DOWN)))
    waiting += [asyncio.create_task(listener.take(frame, CallingFrom(HOME))) for frame in (reading, alarm)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.clock.advance(seconds=10 * SOON_S)
    go_on.set()
    await asyncio.gather(*waiting)
    assert (listener.taken, listener.parking.counts) == (4, {})


@pytest.mark.parametrize("key", CIPHERED)
async def test_an_altered_push_is_not_believed_and_spends_no_counter(
    bench: object, listener: PushDesk, key: str
) -> None:
    frame = frame_of(interval_push(bench, bench.meter_with(key)))
    altered = frame._replace(payload=frame.payload[:-20] + bytes([frame.payload[-20] ^ 1]) + frame.payload[-19:])
    await listener.take(altered, CallingFrom(HOME))
    assert (listener.parking.counts, bench.deliveries()) == ({"not-believed": 1}, [])
    await listener.take(frame, CallingFrom(HOME))
    assert len(bench.deliveries()) == 1


def named(meter_id: str) -> bytes:
    body = array([structure(octet_string(bytes(Obis.parse("0.0.42.0.0.255"))), octet_string(meter_id.encode())),
                  structure(octet_string(bytes(Obis.parse("1.0.1.8.0.255"))), double_long_unsigned(9))])  # fmt: skip
    return DataNotification(1, b"", body).encode()


@pytest.mark.parametrize("key", CIPHERED)
async def test_nobody_speaks_in_the_clear_for_a_meter_that_has_keys(
    bench: object, listener: PushDesk, key: str
) -> None:
    await listener.take(Frame(1, 1, named(bench.meter_with(key).meter_id)), CallingFrom(HOME))
    assert (listener.parking.counts, bench.deliveries()) == ({"not-believed": 1}, [])


@pytest.mark.parametrize("key", PLAIN)
async def test_a_plain_meter_is_believed_at_its_own_address_only(bench: object, listener: PushDesk, key: str) -> None:
    frame = frame_of(interval_push(bench, bench.meter_with(key)))
    await listener.take(frame, CallingFrom("127.0.0.9"))
    assert (listener.parking.counts, bench.deliveries()) == ({"unknown-sender": 1}, [])
    await listener.take(frame, CallingFrom(HOME))
    assert len(bench.deliveries()) == 1


async def test_strangers_are_parked_with_their_octets(listener: PushDesk) -> None:
    for payload in (named("STRANGER"), DataNotification(1, b"", octet_string(b"?")).encode()):
        await listener.take(Frame(1, 1, payload), CallingFrom("10.0.0.1"))
    assert listener.parking.counts == {"unknown-sender": 2}
    assert listener.parking.newest[0].octets == encode(1, 1, named("STRANGER"))
    assert listener.parking.newest[0].peer == "10.0.0.1"


async def test_a_stranger_that_was_provisioned_meanwhile_is_known_soon(bench: object, listener: PushDesk) -> None:
    meter = bench.meter_with("norrvik_n1")
    endpoint = next(one for one in bench.database.endpoints.all() if one.meter_id == meter.meter_id)
    frame = frame_of(interval_push(bench, meter))
    await listener.take(
        frame._replace(payload=frame.payload.replace(meter.meter_id.encode(), b"NEW56018303")), CallingFrom(HOME)
    )
    bench.database.endpoints.put([replace(endpoint, meter_id="NEW56018303")])
    bench.keys.by_meter["NEW56018303"] = bench.keys.by_meter[meter.meter_id]
    bench.clock.advance(seconds=11)
    await listener.take(
        frame._replace(payload=frame.payload.replace(meter.meter_id.encode(), b"NEW56018303")), CallingFrom(HOME)
    )
    assert [one.meter_id for one in bench.deliveries()] == ["NEW56018303"]


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x00", b"\xdb", b"\x0f\x00", b"\xa5" * 40, GetRequestNormal(1, Attribute(1, Obis(bytes(6)), 2)).encode()],
)
async def test_what_is_no_notification_is_parked(bench: object, listener: PushDesk, payload: bytes) -> None:
    await listener.take(Frame(1, 1, payload), CallingFrom(HOME))
    assert (listener.parking.counts, bench.deliveries()) == ({"undecodable": 1}, [])


async def test_the_parking_is_bounded_and_the_count_is_not(bench: object) -> None:
    listener = PushDesk(bench.surroundings, bench.database.push_counters, parked_max=3)
    for number in range(10):
        await listener.take(Frame(1, 1, named(f"STRANGER{number}")), CallingFrom(HOME))
    assert [b"STRANGER9" in parked.octets for parked in listener.parking.newest] == [False, False, True]
    assert listener.parking.counts.total() == 10


async def test_a_reading_without_a_rule_is_kept_raw(bench: object, listener: PushDesk) -> None:
    meter = bench.meter_with("norrvik_n1")
    bench.mappings._path.write_text(
        '{"version": "bare", "rules": [{"kind": "ignore", "class": 1, "obis": "0.0.99.99.99.255"}]}'
    )
    bench.mappings.poll()
    await listener.take(frame_of(interval_push(bench, meter)), CallingFrom(HOME))
    (one,) = bench.deliveries()
    assert {str(kept.obis) for kept in one.unknown} >= {"1.0.1.8.0.255", "1.0.2.8.0.255"}


async def test_totals_off_the_grid_are_register_readings(bench: object, listener: PushDesk) -> None:
    meter = bench.meter_with("norrvik_n1")
    bench.clock.advance(seconds=123)
    scaled = structure(
        octet_string(bytes(Obis.parse("1.0.1.8.0.255"))), double_long_unsigned(42), scaler_unit(0, Unit.WATT_HOUR)
    )
    name = structure(octet_string(bytes(Obis.parse("0.0.42.0.0.255"))), octet_string(meter.meter_id.encode()))
    await listener.take(Frame(1, 1, DataNotification(1, b"", array([name, scaled])).encode()), CallingFrom(HOME))
    (reading,) = bench.deliveries()[0].registers
    assert (reading.value, reading.at) == (42, bench.clock.now())


async def test_a_push_in_the_midst_of_a_session_is_taken_like_any_other(bench: object, listener: PushDesk) -> None:
    for key in ("castellan_c3", "norrvik_n1"):
        meter = bench.meter_with(key)
        endpoint = next(one for one in bench.database.endpoints.all() if one.meter_id == meter.meter_id)
        await listener.take_from_session(endpoint, frame_of(interval_push(bench, meter)).payload)
    assert listener.parking.counts == {}
    assert len(bench.deliveries()) == 2


async def test_a_push_that_the_disk_refused_is_taken_when_it_comes_again(bench: object) -> None:
    class Full:
        def save_all(self, *_arguments: object, **_named: object) -> None:
            raise StorageError("the disk is full")

    frame = frame_of(interval_push(bench, bench.meter_with("castellan_c3")))
    full = PushDesk(replace(bench.surroundings, collection=Full()), bench.database.push_counters)
    await full.take(frame, CallingFrom(HOME))
    assert full.parking.counts == {"not-kept": 1}
    listener = PushDesk(bench.surroundings, bench.database.push_counters)
    await listener.take(frame, CallingFrom(HOME))
    assert (listener.parking.counts, len(bench.deliveries())) == ({}, 1)


async def test_a_text_beyond_latin_1_is_kept_raw_beside_the_rest(bench: object, listener: PushDesk) -> None:
    meter = bench.meter_with("norrvik_n1")
    name = structure(octet_string(bytes(Obis.parse("0.0.42.0.0.255"))), octet_string(meter.meter_id.encode()))
    text = structure(octet_string(bytes(Obis.parse("0.0.96.1.1.255"))), utf8_string("ζήτα 電"))
    total = structure(
        octet_string(bytes(Obis.parse("1.0.1.8.0.255"))), double_long_unsigned(42), scaler_unit(0, Unit.WATT_HOUR)
    )
    await listener.take(Frame(1, 1, DataNotification(1, b"", array([name, text, total])).encode()), CallingFrom(HOME))
    assert listener.parking.counts == {}
    (one,) = bench.deliveries()
    assert {reading.value for reading in one.registers} == {42} or one.intervals
    assert any("電".encode() in kept.octets for kept in one.unknown)


async def test_an_attribute_below_zero_is_kept_as_its_octet(bench: object, listener: PushDesk) -> None:
    meter = bench.meter_with("norrvik_n1")
    name = structure(octet_string(bytes(Obis.parse("0.0.42.0.0.255"))), octet_string(meter.meter_id.encode()))
    own = structure(
        long_unsigned(1), octet_string(bytes(Obis.parse("0.0.96.1.1.255"))), integer(-1), double_long_unsigned(9)
    )
    await listener.take(Frame(1, 1, DataNotification(1, b"", array([name, own])).encode()), CallingFrom(HOME))
    assert listener.parking.counts == {}
    assert [kept.attribute for kept in bench.deliveries()[0].unknown] == [255]


async def test_a_meter_with_keys_for_hls_alone_pushes_with_a_tag_or_not_at_all(bench: object) -> None:
    meter = bench.meter_with("castellan_c3")
    endpoint = next(one for one in bench.database.endpoints.all() if one.meter_id == meter.meter_id)
    bench.database.endpoints.put([replace(endpoint, ciphering="none", protection="none")])
    listener = PushDesk(bench.surroundings, bench.database.push_counters)
    frame = frame_of(interval_push(bench, meter))
    plain_inside = bytes([0xDB, 8]) + endpoint.system_title
    body = b"\x00" + b"\x7f\xff\xff\xff" + named(meter.meter_id)
    await listener.take(Frame(1, 1, plain_inside + bytes([len(body)]) + body), CallingFrom(HOME))
    assert (listener.parking.counts, bench.deliveries()) == ({"not-believed": 1}, [])
    await listener.take(frame, CallingFrom(HOME))
    assert len(bench.deliveries()) == 1


async def test_nobody_speaks_in_the_clear_for_a_meter_that_has_keys_for_hls_alone(bench: object) -> None:
    meter = bench.meter_with("castellan_c3")
    endpoint = next(one for one in bench.database.endpoints.all() if one.meter_id == meter.meter_id)
    bench.database.endpoints.put([replace(endpoint, ciphering="none", protection="none")])
    listener = PushDesk(bench.surroundings, bench.database.push_counters)
    await listener.take(Frame(1, 1, named(meter.meter_id)), CallingFrom(HOME))
    assert (listener.parking.counts, bench.deliveries()) == ({"not-believed": 1}, [])


@pytest.mark.parametrize(("peer", "taken"), [(HOME, 1), ("203.0.113.9", 0)])
async def test_a_meter_known_by_its_host_name_pushes_from_there(bench: object, peer: str, taken: int) -> None:
    meter = bench.meter_with("norrvik_n1")
    endpoint = next(one for one in bench.database.endpoints.all() if one.meter_id == meter.meter_id)
    bench.database.endpoints.put([replace(endpoint, route=over_tcp("localhost", 4059))])
    listener = PushDesk(bench.surroundings, bench.database.push_counters)
    await listener.take(Frame(1, 1, named(meter.meter_id)), CallingFrom(peer))
    assert (len(bench.deliveries()), listener.parking.counts.total()) == (taken, 1 - taken)


# ------------------------------------------------------------------ over TCP


@pytest.fixture
async def port(bench: object, listener: PushDesk) -> AsyncIterator[int]:
    door = CallerListener(CallDesk(listener, CalledLines(), bench.surroundings))
    yield await door.start(HOME, 0)
    await door.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the listener has no event for it
            await asyncio.sleep(0.005)


async def send(port: int, *pieces: bytes) -> asyncio.StreamReader:
    reader, writer = await asyncio.open_connection(HOME, port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    with suppress(OSError):  # noise is cut off
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return reader


async def test_pushes_arrive_over_tcp_whole_split_and_several_at_once(
    bench: object, listener: PushDesk, port: int
) -> None:
    frames = [interval_push(bench, bench.meter_with(key)) for key in ("norrvik_n1", "tarn_t4")]
    await send(port, frames[0][:5], frames[0][5:] + frames[1])
    await until(lambda: listener.taken == 2)
    assert len(bench.deliveries()) == 2


async def test_a_push_in_general_blocks_is_made_whole(bench: object, listener: PushDesk, port: int) -> None:
    push = frame_of(interval_push(bench, bench.meter_with("norrvik_n1")))
    blocks = unconfirmed_blocks(push.payload, 40)
    assert len(blocks) > 2
    await send(port, *(encode(push.source, push.destination, block) for block in blocks))
    await until(lambda: listener.taken == 1)


async def test_a_meter_that_waits_for_acknowledgements_gets_them(bench: object, listener: PushDesk, port: int) -> None:
    push = frame_of(interval_push(bench, bench.meter_with("norrvik_n1")))
    meter, frames = BlockDialogue(40, 3), Reader()
    reader, writer = await asyncio.open_connection(HOME, port)
    burst = meter.send(push.payload)
    while not meter.acknowledged:
        writer.writelines(encode(push.source, push.destination, block) for block in burst)
        (answer,) = frames.feed(await asyncio.wait_for(reader.readexactly(15), 5))
        assert (answer.source, answer.destination) == (push.destination, push.source)
        burst = meter.receive(decode(answer.payload))
    await until(lambda: listener.taken == 1)
    writer.close()
    await writer.wait_closed()


async def test_noise_ends_the_connection_and_is_parked(listener: PushDesk, port: int) -> None:
    await send(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
    await until(lambda: listener.parking.counts.total() == 1)
    assert listener.parking.counts == {"undecodable": 1}


async def test_an_announced_giant_is_refused_before_it_is_read(listener: PushDesk, port: int) -> None:
    await send(port, b"\x00\x01\x00\x01\x00\x01\xff\xff")
    await until(lambda: listener.parking.counts.total() == 1)


async def test_the_first_pushes_of_a_start_that_come_together_are_all_believed(bench: object) -> None:
    """An outage makes a whole street call in the same second, just when nobody was looked up yet."""

    async def slow_disk(work: Callable) -> object:
        await asyncio.sleep(0.01)
        return work()

    together = PushDesk(replace(bench.surroundings, disk=slow_disk), bench.database.push_counters)
    meters = [bench.meter_with(key) for key in CIPHERED]
    frames = [frame_of(interval_push(bench, meter)) for meter in meters]
    await asyncio.gather(*(together.take(frame, CallingFrom(HOME)) for frame in frames))
    assert together.taken == len(frames)
    assert not together.parking.counts


# ------------------------------------------------------------------ in the midst of a session
def reached(bench: object, meter: SimulatedMeter, route: Route) -> Endpoint:
    endpoint = next(one for one in bench.database.endpoints.all() if one.meter_id == meter.meter_id)
    endpoint = replace(endpoint, route=route)
    bench.database.endpoints.put([endpoint])
    return endpoint


SERIAL = [Route(HdlcLink(SerialLine(f"/dev/ttyUSB{number}"))) for number in (0, 1)]
ONE_HOST = [over_tcp(HOME, 4059), over_tcp(HOME, 4059)]
BEHIND = [Route(WrapperLink(Host(HOME, 4059)), Gateway(3, bytes([device]))) for device in (0x2A, 0x2B)]


@pytest.mark.parametrize("routes", [SERIAL, ONE_HOST, BEHIND], ids=["serial", "one host", "one gateway"])
async def test_in_a_session_a_meter_speaks_for_itself_alone(
    bench: object, listener: PushDesk, routes: list[Route]
) -> None:
    meters = [bench.meter_with(key) for key in PLAIN]
    speaker, victim = (reached(bench, *pair) for pair in zip(meters, routes, strict=True))
    gateway = speaker.route.gateway
    own, forged = named(speaker.meter_id), named(victim.meter_id)
    if gateway is not None:
        own, forged = (prefixed(Prefixed(*_place(gateway), apdu, is_request=False)) for apdu in (own, forged))
    await listener.take_from_session(speaker, forged)
    assert (listener.parking.counts, bench.deliveries()) == ({"unknown-sender": 1}, [])
    await listener.take_from_session(speaker, own)
    assert [one.meter_id for one in bench.deliveries()] == [speaker.meter_id]


def _place(gateway: Gateway) -> tuple[int, bytes]:
    return gateway.network, gateway.device


async def test_a_neighbour_behind_the_gateway_is_heard_under_its_own_name(bench: object, listener: PushDesk) -> None:
    speaker, neighbour = (
        reached(bench, bench.meter_with(key), route) for key, route in zip(PLAIN, BEHIND, strict=True)
    )
    apdu = prefixed(Prefixed(3, b"\x2b", named(neighbour.meter_id), is_request=False))
    await listener.take_from_session(speaker, apdu)
    (one,) = bench.deliveries()
    assert one.meter_id == neighbour.meter_id
    assert one.exchanges[0].response.endswith(apdu)
    await listener.take_from_session(speaker, named(speaker.meter_id))  # the gateway itself: no prefix
    await listener.take_from_session(speaker, b"\xe7\x03\x05\x2b")
    assert listener.parking.counts == {"unknown-sender": 1, "undecodable": 1}


async def test_a_meter_that_was_added_anew_with_other_keys_is_believed_under_these(
    bench: object, listener: PushDesk
) -> None:
    meter = bench.meter_with("castellan_c3")
    frame, ours = frame_of(interval_push(bench, meter)), bench.keys.by_meter[meter.meter_id]
    bench.keys.by_meter[meter.meter_id] = replace(ours, guek=bytes(16))
    await listener.take(frame, CallingFrom(HOME))
    bench.keys.by_meter[meter.meter_id] = ours
    bench.clock.advance(seconds=11)
    await listener.take(frame, CallingFrom(HOME))
    assert (len(bench.deliveries()), listener.parking.counts) == (1, {"not-believed": 1})


async def test_a_plain_meter_that_moved_is_believed_at_its_new_address(bench: object, listener: PushDesk) -> None:
    meter = bench.meter_with("norrvik_n1")
    endpoint = next(one for one in bench.database.endpoints.all() if one.meter_id == meter.meter_id)
    frame = frame_of(interval_push(bench, meter))
    await listener.take(frame, CallingFrom("10.9.8.7"))
    link = replace(endpoint.route.link, at=replace(endpoint.route.link.at, host="10.9.8.7"))
    bench.database.endpoints.put([replace(endpoint, route=replace(endpoint.route, link=link))])
    bench.clock.advance(seconds=11)
    await listener.take(frame, CallingFrom("10.9.8.7"))
    assert (len(bench.deliveries()), listener.parking.counts) == (1, {"unknown-sender": 1})


async def test_strangers_keep_no_meter_that_is_known_waiting(bench: object) -> None:
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def disk(work: Callable[[], object]) -> object:
        found = work()
        if work == bench.surroundings.endpoints.all and bench.clock.now() > began:
            looked.set()
            await go_on.wait()
        return found

    began = bench.clock.now()
    listener = PushDesk(replace(bench.surroundings, disk=disk), bench.database.push_counters)
    meter = bench.meter_with("castellan_c3")
    assert await listener.sender(meter.meter_id) is not None
    bench.clock.advance(seconds=11)
    stranger = asyncio.create_task(listener.take(Frame(1, 1, named("STRANGER")), CallingFrom(HOME)))
    await looked.wait()
    async with asyncio.timeout(5):
        await listener.take(frame_of(interval_push(bench, meter)), CallingFrom(HOME))
    go_on.set()
    await stranger
    assert (listener.taken, listener.parking.counts) == (1, {"unknown-sender": 1})


async def test_a_fleet_that_takes_long_to_look_up_is_looked_up_seldom(bench: object) -> None:
    looks = 0

    async def slow(work: Callable[[], object]) -> object:
        nonlocal looks
        if work == bench.surroundings.endpoints.all:
            looks += 1
            bench.clock.advance(seconds=10)
        return work()

    listener = PushDesk(replace(bench.surroundings, disk=slow), bench.database.push_counters)
    for _ in range(20):
        await listener.take(Frame(1, 1, named("STRANGER")), CallingFrom(HOME))
        bench.clock.advance(seconds=11)
    assert looks == 2


async def test_what_is_kept_of_associations_is_bounded(bench: object) -> None:
    known = KnownSenders(bench.surroundings, associations_max=3)
    endpoints = [await known.find(meter.meter_id) for meter in bench.simulated.meters[:10]]
    for endpoint in [*endpoints, endpoints[0]]:
        assert known.association(endpoint).endpoint == endpoint
    assert len(known._associations) == 3
