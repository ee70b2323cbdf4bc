"""Pushes in general-ciphering and general-signing, and the confirmation that some of them wait for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from amity.devices.notifications import PushSealing, confirmed_number, data_notification
from amity.devices.objects import scaler_unit
from amity.devices.settings import Ciphering, Protection
from amity.headend.calls.callers import CallingFrom, HeardBy
from amity.headend.calls.desk import CallDesk
from amity.headend.calls.lines import CalledLines
from amity.headend.pushes.desk import PushDesk
from amity.kernel.errors import SecurityError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.apdu import Ciphered, DataNotificationConfirm, GeneralCiphering, GeneralSigning, decode
from amity.protocols.dlms.ciphering import unwrap, wrap_general_glo
from amity.protocols.dlms.data import Data, array, double_long_unsigned, octet_string, structure
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.suites import suite_of
from amity.protocols.wrapper.frame import Frame, Reader, encode
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.meter import SimulatedMeter
from amity.simulation.pushes import Pusher
from amity.transports.caller_listener import CallerListener

HOME, OURSELVES = "127.0.0.1", b"AMYHEAD1"
BOTH = Protection.AUTHENTICATED_ENCRYPTED
CLIENT_KEY, METER_KEY, OTHER_KEY = (number.to_bytes(32, "big") for number in (1001, 1002, 77))


def body(meter: SimulatedMeter) -> Data:
    name = structure(octet_string(bytes(Obis.parse("0.0.42.0.0.255"))), octet_string(meter.meter_id.encode()))
    total = octet_string(bytes(Obis.parse("1.0.1.8.0.255")))
    return array([name, structure(total, double_long_unsigned(42), scaler_unit(0, Unit.WATT_HOUR))])


def public(private: bytes) -> PublicKeys:
    key = elliptic.private_key(suite_of(1), private)
    return PublicKeys(signing=elliptic.public_octets(key.public_key()))


class Sender:
    """A meter of suite 1 whose keys the head-end knows."""

    def __init__(
        self, bench: Any, *, signed: bool = False, ciphering: str = "general-glo", collector: str = ""
    ) -> None:
        self.meter = bench.meter_with("castellan_c3")
        endpoint = next(one for one in bench.database.endpoints.all() if one.meter_id == self.meter.meter_id)
        protection = "none" if ciphering == "none" else "authenticated-encrypted"
        route = replace(endpoint.route, collector=collector)
        endpoint = replace(endpoint, route=route, ciphering=ciphering, protection=protection, suite=1, signed=signed)
        bench.database.endpoints.put([endpoint])
        secrets = bench.keys.by_meter[self.meter.meter_id]
        known = replace(secrets, signing=CLIENT_KEY, meter_signing=public(METER_KEY).signing)
        bench.keys.by_meter[self.meter.meter_id] = known
        self.numbers = count(1)

    def sealing(self, **changes: Any) -> PushSealing:
        keys = Keys(self.meter.keys.guek, self.meter.keys.gak, signing=changes.pop("signing", METER_KEY))
        settled: dict[str, Any] = {
            "protector": KeyRing(1, keys),
            "system_title": self.meter.system_title,
            "protection": BOTH,
            "next_invocation_counter": self.numbers.__next__,
            "recipient_keys": public(CLIENT_KEY),
        }
        return PushSealing(**(settled | changes))

    def push(self, *, confirmed: bool = False, **changes: Any) -> bytes:
        return data_notification(
            body(self.meter), long_invoke_id=7, confirmed=confirmed, sealing=self.sealing(**changes)
        )


@pytest.fixture
def bench(make_bench: Callable) -> Any:
    return make_bench(25)


@pytest.fixture
def listener(bench: Any) -> PushDesk:
    return PushDesk(bench.surroundings, bench.database.push_counters)


WAYS: dict[str, tuple[dict[str, Any], type]] = {
    "general-glo": ({}, Ciphered),
    "general-glo, signed inside": ({"signed": True}, Ciphered),
    "general-ciphering": ({"ciphering": Ciphering.GENERAL}, GeneralCiphering),
    "general-ciphering to us": ({"ciphering": Ciphering.GENERAL, "recipient": OURSELVES}, GeneralCiphering),
    "general-ciphering, signed inside": ({"ciphering": Ciphering.GENERAL, "signed": True}, GeneralCiphering),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_push_in_each_wrapping_is_taken_once(bench: Any, listener: PushDesk, way: str):
    changes, kind = WAYS[way]
    octets = Sender(bench).push(**changes)
    assert isinstance(decode(octets), kind)
    await listener.take(Frame(1, 1, octets), CallingFrom(HOME))
    assert (listener.parking.counts, len(bench.deliveries())) == ({}, 1)
    await listener.take(Frame(1, 1, octets), CallingFrom(HOME))
    assert (listener.parking.counts, len(bench.deliveries())) == ({"not-believed": 1}, 1)


async def test_a_push_that_is_signed_only_proves_itself_where_nothing_is_ciphered(bench: Any, listener: PushDesk):
    sender = Sender(bench, ciphering="none")
    octets = sender.push(protection=Protection.NONE, signed=True)
    assert isinstance(decode(octets), GeneralSigning)
    await listener.take(Frame(1, 1, octets), CallingFrom(HOME))
    assert (listener.parking.counts, len(bench.deliveries())) == ({}, 1)
    await listener.take(Frame(1, 1, octets), CallingFrom(HOME))
    assert "heard before" in listener.parking.newest[0].error.what


async def test_a_signed_push_is_not_taken_a_second_time_in_a_new_wrapping(bench: Any, listener: PushDesk):
    sender = Sender(bench, signed=True)
    octets, title = sender.push(signed=True), sender.meter.system_title
    keys = KeyRing(1, Keys(sender.meter.keys.guek, sender.meter.keys.gak))
    inner = unwrap(keys, None, title, decode(octets))
    await listener.take(Frame(1, 1, octets), CallingFrom(HOME))
    await listener.take(Frame(1, 1, wrap_general_glo(keys, 0x31, title, 500, inner)), CallingFrom(HOME))
    assert len(bench.deliveries()) == 1
    assert "signed under number" in listener.parking.newest[0].error.what


async def test_of_signed_pushes_that_a_collector_kept_the_older_may_come_after_the_newer_and_each_once(
    bench: Any, listener: PushDesk
):
    sender, now = Sender(bench, signed=True, collector="DC7"), bench.clock.now()
    older, newer = sender.push(signed=True), sender.push(signed=True)
    for octets in (newer, older, older):
        await listener.take_forwarded(Frame(1, 1, octets), HeardBy("DC7", "10.0.0.7"), now, nullcontext)
    assert (len(bench.deliveries()), listener.parking.counts) == (2, {"not-believed": 1})


@pytest.mark.parametrize(("collector", "believed"), [("DC7", 3), ("", 2)])
async def test_what_was_held_back_gets_no_more_time_by_way_of_a_collector_that_the_meter_is_not_behind(
    bench: Any, listener: PushDesk, collector: str, believed: int
):
    sender, heard_at = Sender(bench, collector=collector), bench.clock.now()
    first, held_back, newer = (Frame(1, 1, sender.push()) for _ in range(3))
    for frame in (first, newer):
        await listener.take(frame, CallingFrom(HOME))
    bench.clock.advance(seconds=86_400)
    later = bench.clock.now()
    assert later > heard_at
    await listener.take_forwarded(held_back, HeardBy("DC7", "10.0.0.7"), later, nullcontext)
    assert len(bench.deliveries()) == believed


async def test_of_signed_pushes_straight_from_the_meter_the_overtaken_one_is_believed_once_and_only_soon(
    bench: Any, listener: PushDesk
):
    sender = Sender(bench, signed=True)
    first, held_back, older, newer = (sender.push(signed=True) for _ in range(4))
    for octets in (first, newer, older, older):
        await listener.take(Frame(1, 1, octets), CallingFrom(HOME))
    assert (len(bench.deliveries()), listener.parking.counts) == (3, {"not-believed": 1})
    bench.clock.advance(minutes=4)
    await listener.take(Frame(1, 1, held_back), CallingFrom(HOME))
    assert (len(bench.deliveries()), listener.parking.counts) == (3, {"not-believed": 2})


async def test_a_signature_that_the_disk_did_not_take_is_no_old_one(bench: Any, full_disk: Callable):
    store = full_disk(bench.database.collection)
    listener = PushDesk(replace(bench.surroundings, collection=store), bench.database.push_counters)
    octets = Sender(bench, signed=True).push(signed=True)
    await listener.take(Frame(1, 1, octets), CallingFrom(HOME))
    assert listener.parking.counts == {"not-kept": 1}
    store.full = False
    await listener.take(Frame(1, 1, octets), CallingFrom(HOME))
    assert len(bench.deliveries()) == 1


@pytest.mark.parametrize(("changes", "words"), [
    ({"signed": True, "signing": OTHER_KEY}, "signature does not verify"),
    ({"ciphering": Ciphering.GENERAL, "recipient": b"SOMEBODY"}, "a message for system title"),
    ({"ciphering": Ciphering.GENERAL, "protection": Protection.AUTHENTICATED}, "the policy demands"),
    ({"ciphering": Ciphering.GENERAL, "protection": Protection.ENCRYPTED}, "the policy demands"),
    ({"signed": True, "protection": Protection.NONE}, "an unprotected message"),
    ({"system_title": b"STRANGER"}, "no meter of the fleet has"),
    ({"ciphering": Ciphering.GENERAL, "system_title": b"STRANGER"}, "no meter of the fleet has"),
    ({"protector": KeyRing(0, Keys(bytes(16), bytes(16)))}, "security suite 0"),
    ({"protector": KeyRing(1, Keys(bytes(16), bytes(16)))}, "does not verify"),
])  # fmt: skip
async def test_what_proves_less_than_was_agreed_is_parked(
    bench: Any, listener: PushDesk, changes: dict[str, Any], words: str
):
    await listener.take(Frame(1, 1, Sender(bench).push(**changes)), CallingFrom(HOME))
    assert bench.deliveries() == []
    (parked,) = listener.parking.newest
    assert words in parked.error.what


async def test_an_unsigned_push_is_a_downgrade_where_the_meter_signs(bench: Any, listener: PushDesk):
    sender = Sender(bench, signed=True)
    await listener.take(Frame(1, 1, sender.push()), CallingFrom(HOME))
    assert "unsigned" in listener.parking.newest[0].error.what
    await listener.take(Frame(1, 1, sender.push(signed=True)), CallingFrom(HOME))
    assert len(bench.deliveries()) == 1


async def test_a_transaction_id_beyond_belief_is_parked(bench: Any, listener: PushDesk):
    sender = Sender(bench, ciphering="none")
    huge = sender.push(protection=Protection.NONE, signed=True, next_invocation_counter=lambda: 1 << 63)
    await listener.take(Frame(1, 1, huge), CallingFrom(HOME))
    assert "beyond what is believed" in listener.parking.newest[0].error.what


# ------------------------------------------------------------------ confirmation
@pytest.fixture
async def port(bench: Any, listener: PushDesk) -> AsyncIterator[int]:
    door = CallerListener(CallDesk(listener, CalledLines(), bench.surroundings))
    yield await door.start(HOME, 0)
    await door.close()


async def answer_to(port: int, octets: bytes) -> Frame | None:
    reader, writer = await asyncio.open_connection(HOME, port)
    writer.write(encode(1, 16, octets))
    writer.write_eof()
    heard = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return next(iter(Reader().feed(heard)), None)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("signed", [False, True])
async def test_a_meter_that_waits_is_answered_in_kind(bench: Any, port: int, way: str, signed: bool):
    changes, kind = WAYS[way]
    sender = Sender(bench, signed=signed)
    settled = changes | ({"signed": True} if signed else {})
    frame = await answer_to(port, sender.push(confirmed=True, **settled))
    assert frame is not None
    assert (frame.source, frame.destination, type(decode(frame.payload))) == (16, 1, kind)
    reading = sender.sealing(**(settled | {"signed": signed}))
    plain = reading.open(frame.payload)
    assert decode(plain) == DataNotificationConfirm(0x4000_0007)
    assert confirmed_number(plain) == 7


async def test_a_signed_push_is_answered_with_a_signature(bench: Any, port: int):
    sender = Sender(bench, ciphering="none")
    settled = {"protection": Protection.NONE, "signed": True}
    frame = await answer_to(port, sender.push(confirmed=True, **settled))
    assert frame is not None
    assert isinstance(decode(frame.payload), GeneralSigning)
    assert confirmed_number(sender.sealing(**settled).open(frame.payload)) == 7


async def test_a_plain_push_is_confirmed_in_the_clear(bench: Any, port: int):
    meter = bench.meter_with("norrvik_n1")
    frame = await answer_to(port, data_notification(body(meter), long_invoke_id=9, confirmed=True))
    assert frame is not None
    assert frame.payload.hex() == "104000000900"


async def test_who_asks_for_nothing_or_is_not_believed_hears_nothing(bench: Any, listener: PushDesk, port: int):
    sender = Sender(bench)
    assert await answer_to(port, sender.push()) is None
    assert await answer_to(port, sender.push(confirmed=True, signed=True, signing=OTHER_KEY)) is None
    assert listener.parking.counts == {"not-believed": 1}


async def test_what_was_not_kept_is_not_confirmed(bench: Any, listener: PushDesk, port: int, monkeypatch: Any):
    sender = Sender(bench)

    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise SecurityError("the disk is full")

    monkeypatch.setattr(type(bench.database.collection), "save_all", refuse)
    assert await answer_to(port, sender.push(confirmed=True)) is None
    assert listener.parking.counts.total() == 1


async def test_a_confirmation_that_cannot_be_made_is_parked_and_the_push_is_kept(
    bench: Any, listener: PushDesk, port: int
):
    sender = Sender(bench, signed=True)
    meter_id = sender.meter.meter_id
    bench.keys.by_meter[meter_id] = replace(bench.keys.by_meter[meter_id], signing=b"")
    assert await answer_to(port, sender.push(confirmed=True, signed=True)) is None
    assert (len(bench.deliveries()), listener.parking.counts) == (1, {"not-believed": 1})


async def test_confirmations_spend_counters_that_no_session_uses(bench: Any, port: int):
    sender = Sender(bench)
    used = []
    for _ in range(3):
        frame = await answer_to(port, sender.push(confirmed=True))
        assert frame is not None
        used.append(decode(frame.payload).invocation_counter)  # type: ignore[union-attr]
        used.append(bench.database.counters.reserve(sender.meter.meter_id, 1))
    assert used == sorted(set(used))


async def test_a_confirmed_push_that_comes_again_is_one_delivery_and_confirmed_again(
    bench: Any, listener: PushDesk, port: int
):
    sender = Sender(bench)
    anew = [sender.push(confirmed=True) for _ in range(2)]  # protected anew: other counters
    frames = [await answer_to(port, octets) for octets in anew]
    plains = [sender.sealing().open(frame.payload) for frame in frames if frame is not None]
    assert [confirmed_number(plain) for plain in plains] == [7, 7]
    assert (len(bench.deliveries()), listener.taken, listener.parking.counts) == (1, 1, {})
    counters = bench.database.counters
    before = counters.reserve(sender.meter.meter_id, 1)
    for octets, confirmed in zip(anew, frames, strict=True):  # to the same octets the same confirmation
        assert await answer_to(port, octets) == confirmed
    assert counters.reserve(sender.meter.meter_id, 1) == before + 1
    assert (len(bench.deliveries()), listener.parking.counts) == (1, {})


async def test_at_another_node_the_same_octets_are_a_recording_and_protected_anew_the_push_is_confirmed(
    bench: Any, port: int
):
    """A new confirmation of an old push would confirm whatever has its number now."""
    sender, other = Sender(bench), PushDesk(bench.surroundings, bench.database.push_counters)
    octets = sender.push(confirmed=True)
    assert await answer_to(port, octets) is not None
    assert await other.take(Frame(1, 1, octets), CallingFrom(HOME)) is None
    assert "heard before" in other.parking.newest[0].error.what
    anew = Frame(1, 1, sender.push(confirmed=True))
    opened = await other.take(anew, CallingFrom(HOME))
    assert opened is not None
    answer = await other.confirmation(opened, anew)
    assert answer is not None
    assert confirmed_number(sender.sealing().open(answer)) == 7


async def test_a_plain_confirmed_push_is_one_delivery_until_its_number_comes_round(bench: Any, port: int):
    meter = bench.meter_with("norrvik_n1")
    push = data_notification(body(meter), long_invoke_id=9, confirmed=True)
    for _ in range(3):
        assert await answer_to(port, push) == Frame(16, 1, bytes.fromhex("104000000900"))
        bench.clock.advance(seconds=30)
    assert len(bench.deliveries()) == 1
    bench.clock.advance(hours=1)
    await answer_to(port, push)
    assert len(bench.deliveries()) == 2


async def test_an_unconfirmed_push_is_taken_each_time(bench: Any, port: int):
    meter = bench.meter_with("norrvik_n1")
    for _ in range(2):
        assert await answer_to(port, data_notification(body(meter), long_invoke_id=9)) is None
        bench.clock.advance(seconds=30)
    assert len(bench.deliveries()) == 2


# ------------------------------------------------------------------ the simulated meter
@pytest.mark.parametrize("key", ["norrvik_n1", "castellan_c3", "tarn_t4"])
async def test_a_simulated_meter_hears_its_confirmation(bench: Any, port: int, key: str):
    meter = bench.meter_with(key)
    pusher = Pusher(meter, MeterCounter(reservation_by_time(bench.clock.now())), confirmed=True)
    hearing = pusher.hearing(alarm=False)
    assert hearing is not None
    now = bench.clock.now()
    start_s = int(now.timestamp()) // 900 * 900 - 900
    first, again = (pusher.interval(start_s, now) for _ in range(2))
    assert first is not None
    assert again is not None
    assert (first == again) is (key == "norrvik_n1")  # plain ones are the same; a protected one counts on
    answer = await answer_to(port, Reader().feed(again)[0].payload)
    assert answer is not None
    octets = encode(*answer)
    assert not hearing(octets[:-1])
    assert not hearing(encode(1, 1, b"\x10\x40\x00\x00\x63\x00"))
    assert hearing(octets)
    assert not hearing(octets)  # nobody waits for it any more
    assert pusher.interval(start_s, now) != again


def test_an_event_notification_waits_for_nothing(bench: Any):
    counter = MeterCounter(reservation_by_time(bench.clock.now()))
    assert Pusher(bench.meter_with("tarn_t4"), counter, confirmed=True).hearing(alarm=True) is None
    assert Pusher(bench.meter_with("norrvik_n1"), counter, confirmed=True).hearing(alarm=True) is not None
    assert Pusher(bench.meter_with("norrvik_n1"), counter).hearing(alarm=False) is None


def test_a_meter_that_nobody_confirms_does_not_wait_for_ever_more_confirmations(bench: Any):
    now = bench.clock.now()
    pusher = Pusher(bench.meter_with("norrvik_n1"), MeterCounter(reservation_by_time(now)), confirmed=True)

    def number_at(minutes: int) -> int:
        (frame,) = Reader().feed(pusher.of_objects((), lambda _wanted: None, now + timedelta(minutes=minutes)))
        return decode(frame.payload).long_invoke_id_and_priority & 0xFFFFFF

    first = number_at(0)
    assert number_at(0) == first
    others = [number_at(minutes) for minutes in range(1, 70)]
    assert number_at(69) == others[-1]
    assert number_at(0) > others[-1]
