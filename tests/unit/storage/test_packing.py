import numpy as np
import pytest

from amity.kernel.errors import StorageError
from amity.storage.packing import pack, unpack

ONES = np.ones((1, 96), np.uint8)


def day(*head: int) -> np.ndarray:
    values = np.zeros((1, 96), np.int64)
    values[0, : len(head)] = head
    return values


@pytest.mark.parametrize(
    ("extreme", "width"),
    [(127, 1), (-128, 1), (128, 2), (-129, 2), (2**15, 4), (2**31 - 1, 4), (-(2**31) - 1, 8), (-(2**63), 8)],
)
def test_values_take_the_narrowest_width_that_holds_them(extreme: int, width: int) -> None:
    (packed,) = pack(day(extreme), ONES)
    assert packed.contents[0] & 0x0F == width
    values, qualities = unpack([packed.contents])[0]
    assert values[0] == extreme
    assert (qualities == 1).all()


def test_what_stands_in_an_empty_slot_does_not_count() -> None:
    qualities = ONES.copy()
    qualities[0, 5] = 0
    dirty, clean = day(*range(96)), day(*range(96))
    clean[0, 5] = 0
    (first,), (second,) = pack(dirty, qualities), pack(clean, qualities)
    assert first == second


def test_another_quality_is_another_content() -> None:
    doubted = ONES.copy()
    doubted[0, 7] = 17
    (first,), (second,) = pack(day(1, 2), ONES), pack(day(1, 2), doubted)
    assert first.content_hash != second.content_hash
    assert (unpack([second.contents])[0][1] == doubted[0]).all()


def test_a_usual_day_takes_less_than_two_octets_a_reading() -> None:
    household = np.random.default_rng(1).gamma(2, 60, (1, 96)).astype(np.int64)
    (packed,) = pack(household, ONES)
    assert len(packed.contents) < 2 * 96


def test_many_days_of_different_widths_keep_their_order() -> None:
    values = np.concatenate([day(5), day(2**40), day(300), day(6)])
    packed = pack(values, np.repeat(ONES, 4, axis=0))
    assert [int(values[0]) for values, _ in unpack(contents for _, contents in packed)] == [5, 2**40, 300, 6]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x12",
        b"\x10\x01\x02",
        b"\x03abc",
        b"\x02abcd",
        b"\x21not zstd at all",
        b"\x32\x28\xb5\x2f\xfd\x00",
    ],
)
def test_damaged_octets_are_a_storage_error(octets: bytes) -> None:
    with pytest.raises(StorageError, match="cannot be unpacked") as raised:
        unpack([octets])
    assert "backup" in str(raised.value.next_step)
