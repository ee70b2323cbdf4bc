"""A meter with a new key counts its pushes from the beginning; what was recorded under the old one is dead."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from amity.headend.calls.callers import CallingFrom
from amity.headend.pushes.desk import PushDesk
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.wrapper.frame import Frame
from tests.unit.headend.pushes.test_protected_pushes import HOME, METER_KEY, OTHER_KEY, Sender, public

NEW_KEY, NEWER_KEY = (bytes([number]) * 16 for number in (0x77, 0x78))


@pytest.fixture
def bench(make_bench: Callable) -> Any:
    return make_bench(25)


@pytest.fixture
def listener(bench: Any) -> PushDesk:
    return PushDesk(bench.surroundings, bench.database.push_counters)


class Rekeyed(Sender):
    """The same meter, whose keys are changed here and there."""

    def __init__(self, bench: Any, **how: Any) -> None:
        super().__init__(bench, **how)
        self.guek, self.signing = self.meter.keys.guek, METER_KEY
        self._stored = bench.keys.by_meter

    def take_over(self, key: bytes) -> None:
        """A new encryption key, or one of before: both sides have it, and the meter begins anew."""
        self.give(key)
        self._store(guek=key)

    def give(self, key: bytes) -> None:
        """The meter has it; the head-end is still to learn of it."""
        self.guek, self.numbers = key, count(1)

    def take_over_signing(self, key: bytes) -> None:
        self.signing, self.numbers = key, count(1)
        self._store(meter_signing=public(key).signing)

    def push(self, **changes: Any) -> bytes:
        keys = Keys(self.guek, self.meter.keys.gak, signing=self.signing)
        return super().push(protector=KeyRing(1, keys), **changes)

    def _store(self, **secrets: bytes) -> None:
        meter_id = self.meter.meter_id
        self._stored[meter_id] = replace(self._stored[meter_id], **secrets)


async def taken(listener: PushDesk, *pushes: bytes) -> list[bool]:
    return [await listener.take(Frame(1, 1, octets), CallingFrom(HOME)) is not None for octets in pushes]


async def test_a_meter_that_has_a_new_key_counts_from_the_beginning(listener: PushDesk, bench: Any) -> None:
    sender = Rekeyed(bench)
    assert all(await taken(listener, *(sender.push() for _ in range(5))))
    sender.take_over(NEW_KEY)
    anew = [sender.push() for _ in range(3)]
    assert await taken(listener, *anew, *anew) == [True] * 3 + [False] * 3


async def test_a_new_signing_key_begins_anew_too(listener: PushDesk, bench: Any) -> None:
    sender = Rekeyed(bench, signed=True)
    before = [sender.push(signed=True) for _ in range(3)]
    assert all(await taken(listener, *before))
    sender.take_over_signing(OTHER_KEY)
    sender.numbers = iter((1, 7))  # the encryption key is as it was, so its counter goes on
    assert await taken(listener, sender.push(signed=True), *before) == [True, False, False, False]


@pytest.mark.parametrize("heard", [True, False])
async def test_a_recording_under_the_old_key_is_not_believed_by_whoever_had_that_key_at_hand(
    listener: PushDesk, bench: Any, *, heard: bool
) -> None:
    """No push under the new one has told that node yet that there is one."""
    sender = Rekeyed(bench)
    first, recorded = sender.push(), sender.push()
    assert await taken(listener, first)
    assert not heard or await taken(listener, recorded)
    sender.take_over(NEW_KEY)
    assert await taken(listener, recorded) == [False]
    assert "does not verify" in listener.parking.newest[0].error.what
    assert await taken(listener, sender.push(), recorded) == [True, False]


async def test_two_nodes_of_which_one_has_still_the_old_key_believe_no_recording(
    listener: PushDesk, bench: Any
) -> None:
    """The same keys are copied to each node, one after the other."""
    behind = PushDesk(replace(bench.surroundings, keys=StillOld(bench.keys.by_meter)), bench.database.push_counters)
    sender = Rekeyed(bench)
    recorded = [sender.push() for _ in range(3)]
    assert all(await taken(behind, *recorded))
    sender.take_over(NEW_KEY)
    anew = [sender.push() for _ in range(3)]
    assert await taken(listener, *anew) == [True] * 3
    assert await taken(behind, *recorded) == [False] * 3
    assert await taken(listener, *anew) == [False] * 3


async def test_a_key_that_comes_back_brings_no_recording_back(listener: PushDesk, bench: Any) -> None:
    sender = Rekeyed(bench)
    old, recorded = sender.guek, [sender.push() for _ in range(3)]
    assert all(await taken(listener, *recorded))
    for key in (NEW_KEY, NEWER_KEY):
        sender.take_over(key)
        assert await taken(listener, sender.push()) == [True]
    sender.take_over(old)
    assert await taken(listener, *recorded) == [False] * 3
    sender.numbers = count(4)
    assert await taken(listener, sender.push()) == [True]


class StillOld:
    """The keys as they were when this was made."""

    def __init__(self, by_meter: Any) -> None:
        self._kept = dict(by_meter)

    def secrets(self, meter_id: str) -> Any:
        return self._kept[meter_id]
