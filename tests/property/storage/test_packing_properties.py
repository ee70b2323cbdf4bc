import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from amity.kernel.errors import StorageError
from amity.storage.packing import pack, unpack

INT64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 3000), st.just(0))
DAYS = st.sampled_from([1, 24, 48, 96]).flatmap(
    lambda slots: st.lists(
        st.lists(st.tuples(INT64, st.integers(0, 255)), min_size=slots, max_size=slots), min_size=1, max_size=5
    )
)


@given(DAYS)
def test_what_is_packed_comes_back(days: list[list[tuple[int, int]]]) -> None:
    values = np.array([[value for value, _ in day] for day in days], np.int64)
    qualities = np.array([[quality for _, quality in day] for day in days], np.uint8)
    for row, packed in enumerate(pack(values, qualities)):
        unpacked_values, unpacked_qualities = unpack([packed.contents])[0]
        assert (unpacked_qualities == qualities[row]).all()
        assert (unpacked_values == np.where(qualities[row] == 0, 0, values[row])).all()
        (alone,) = pack(values[row : row + 1], qualities[row : row + 1])
        assert alone == packed  # whoever is packed beside it


@given(st.binary(max_size=300))
@example(b"\x21\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8)
@example(b"\x00" * 10)
def test_any_octets_give_a_day_or_one_storage_error(octets: bytes) -> None:
    try:
        ((values, qualities),) = unpack([octets])
    except StorageError:
        return
    assert len(values) == len(qualities) > 0
