"""No input makes a decoder work or remember out of proportion: length bombs, nesting, repetition.

Work is counted in calls of Python functions, so the tests say the same on every machine; memory as tracemalloc sees it.
"""

import sys
import tracemalloc
from collections.abc import Callable

import pytest

from amity.kernel.errors import RemoteProtocolError
from fuzz.corpus import kept
from fuzz.targets import TARGETS

CALLS_PER_OCTET_MAX = 60
CALLS_FREE = 2_000  # what a target needs before it sees the first octet
OCTETS_PER_OCTET_MAX = 700
MEMORY_FREE_OCTETS = 64 << 10

BOMBS = {
    "array of four thousand million": bytes.fromhex("0184ffffffff"),
    "octet string of four thousand million": bytes.fromhex("0984ffffffff00"),
    "bit string of four thousand million": bytes.fromhex("0484ffffffff00"),
    "length of a length": bytes.fromhex("09ff"),
    "compact array of arrays of nothing": bytes.fromhex("1302010113020101000001000001"),
    "compact array of a structure of 65535": bytes.fromhex("130282ffff") + bytes(64),
    "compact array of an array of 65535": bytes.fromhex("1301ffff110102"),
    "arrays in arrays": bytes.fromhex("0101") * 4000,
    "structures of two in each other": bytes.fromhex("0202") * 4000,
    "compact arrays in arrays": bytes.fromhex("0101") * 20 + bytes.fromhex("13") * 4000,
    "array of nulls": bytes.fromhex("01821000") + bytes(4096),
    "access request with 65535 parts": bytes.fromhex("d9c0000001 00 82ffff") + b"\x01" * 4000,
    "get response with 65535 results": bytes.fromhex("c403c1 82ffff") + b"\x00" * 4000,
    "general block of 16 MB": bytes.fromhex("e0c0 0001 0000 84 01000000"),
    "glo of four thousand million": bytes.fromhex("c884ffffffff30"),
    "general-glo with a title of four thousand million": bytes.fromhex("db84ffffffff"),
    "aarq in aarq": bytes.fromhex("6080") * 2000,
    "aare with lengths of lengths": bytes.fromhex("61fe") + b"\xa1\xfc" * 100,
    "wrapper of 65535": bytes.fromhex("000100100001ffff") + bytes(2000),
    "many empty wrapper frames": bytes.fromhex("0001001000010000") * 1000,
    "flags": b"\x7e" * 8000,
    "hdlc that never ends": b"\x7e\xa7\xff" + b"\x7d" * 4000,
    "hdlc starts in each other": b"\x7e\xa7\xff" * 2000,
    "m-bus starts": b"\x68\xff\xff\x68" * 1000,
    "gateway with a long address": bytes.fromhex("e600ff") + bytes(255),
    "sign-on without an end": b"/AMY5" + b"\\" * 4000,
    "records without anything": bytes(4000),
}  # fmt: skip


def work_of(run: Callable[[bytes], object], octets: bytes) -> int:
    """Calls of Python functions until it comes back."""
    calls = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run(octets)
    finally:
        sys.setprofile(before)
    return calls


def memory_of(run: Callable[[bytes], object], octets: bytes) -> int:
    """Octets held at the peak."""
    tracemalloc.start()
    try:
        run(octets)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def shielded(name: str) -> Callable[[bytes], object]:
    """A target whose own error is an answer like any other."""
    target = TARGETS[name]

    def run(octets: bytes) -> object:
        try:
            return target.run(octets)
        except target.allowed:
            return None

    return run


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_work_and_memory_stay_in_proportion(target: str):
    run = shielded(target)
    run(b"")  # whatever is built once
    for name, octets in BOMBS.items():
        assert work_of(run, octets) <= CALLS_FREE + CALLS_PER_OCTET_MAX * len(octets), name
        assert memory_of(run, octets) <= MEMORY_FREE_OCTETS + OCTETS_PER_OCTET_MAX * len(octets), name


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_twice_the_input_is_about_twice_the_work(target: str):
    """Quadratic loops show here: the largest original, repeated 8 and 16 times."""
    run, original = shielded(target), max(kept(target), key=len)[:512]
    run(original)
    once, twice = (work_of(run, original * times) for times in (8, 16))
    assert twice <= 3 * once + CALLS_FREE


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_kept_corpus_goes_through_every_target(target: str):
    for name in TARGETS:
        for octets in kept(name):
            shielded(target)(octets)


@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"hdlc", "hdlc-client", "hdlc-meter", "m-bus", "wrapper"}))
def test_some_original_is_understood(target: str):
    """A corpus that every decoder refuses would test refusals only."""

    def understood(octets: bytes) -> bool:
        try:
            TARGETS[target].run(octets)
        except RemoteProtocolError:
            return False
        return True

    assert any(understood(octets) for octets in kept(target))
