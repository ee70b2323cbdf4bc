"""The block store against a dictionary: whatever arrives in whatever order, both know the same."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from amity.domain.blocks import Stage
from tests.unit.storage.databases import DAY, IMPORT, NOON, block, empty_database, known

SLOTS = st.dictionaries(st.integers(0, 95), st.integers(-5, 3000), min_size=1, max_size=12)
ARRIVALS = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), SLOTS), min_size=1, max_size=4), min_size=1, max_size=5
)

Model = dict[tuple[int, int], dict[int, int]]


@settings(max_examples=60)
@given(ARRIVALS)
def test_the_store_knows_what_a_dictionary_knows_at_every_time(
    arrivals: list[list[tuple[int, int, dict[int, int]]]],
) -> None:
    with TemporaryDirectory() as folder:
        database = empty_database(Path(folder))
        ids = [database.blocks.channel(f"M{number}", IMPORT).channel_id for number in range(2)]
        model: Model = {}
        history: list[Model] = []
        for hours, arrival in enumerate(arrivals):
            blocks = [block(ids[channel], slots, day=DAY + day) for channel, day, slots in arrival]
            before = {key: dict(slots) for key, slots in model.items()}
            for channel, day, slots in arrival:
                model[ids[channel], DAY + day] = {**model.get((ids[channel], DAY + day), {}), **slots}
            at = NOON + timedelta(hours=hours)
            changed = database.blocks.merge(Stage.RAW, blocks, source=str(hours), recorded_at=at)
            assert changed == sum(slots != before.get(key) for key, slots in model.items())
            assert database.blocks.merge(Stage.RAW, blocks, source="again", recorded_at=at) == 0
            history.append({key: dict(slots) for key, slots in model.items()})
        for hours, then in enumerate(history):
            at = NOON + timedelta(hours=hours)
            found = database.blocks.read(Stage.RAW, ids, DAY, DAY + 1, as_known_at=at)
            assert {(one.channel_id, one.day): known(one) for one in found} == then
        found = database.blocks.read(Stage.RAW, ids, DAY, DAY + 1)
        assert {(one.channel_id, one.day): known(one) for one in found} == model
        database.close()
