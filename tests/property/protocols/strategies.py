"""Values and octets for the property tests: any COSEM data, and published telegrams with a few octets changed."""

from hypothesis import strategies as st

from amity.protocols.dlms.data import BitString, Data, Tag, TypeDescription, compact_array

WHOLE = {
    Tag.DOUBLE_LONG: (-(1 << 31), (1 << 31) - 1),
    Tag.DOUBLE_LONG_UNSIGNED: (0, (1 << 32) - 1),
    Tag.BCD: (0, 255),
    Tag.INTEGER: (-128, 127),
    Tag.LONG: (-(1 << 15), (1 << 15) - 1),
    Tag.UNSIGNED: (0, 255),
    Tag.LONG_UNSIGNED: (0, 65_535),
    Tag.LONG64: (-(1 << 63), (1 << 63) - 1),
    Tag.LONG64_UNSIGNED: (0, (1 << 64) - 1),
    Tag.ENUM: (0, 255),
    Tag.DELTA_INTEGER: (-128, 127),
    Tag.DELTA_LONG: (-(1 << 15), (1 << 15) - 1),
    Tag.DELTA_DOUBLE_LONG: (-(1 << 31), (1 << 31) - 1),
    Tag.DELTA_UNSIGNED: (0, 255),
    Tag.DELTA_LONG_UNSIGNED: (0, 65_535),
    Tag.DELTA_DOUBLE_LONG_UNSIGNED: (0, (1 << 32) - 1),
}


def bit_strings() -> st.SearchStrategy[Data]:
    bits = st.text("01", max_size=40)
    return bits.map(lambda text: Data(Tag.BIT_STRING, BitString.from_bits(text)))


def leaves() -> st.SearchStrategy[Data]:
    whole = [st.integers(*bounds).map(lambda n, tag=tag: Data(tag, n)) for tag, bounds in WHOLE.items()]
    return st.one_of(
        st.sampled_from([Data(Tag.NULL), Data(Tag.DONT_CARE)]),
        st.booleans().map(lambda flag: Data(Tag.BOOLEAN, flag)),
        st.floats(width=32, allow_nan=False).map(lambda x: Data(Tag.FLOAT32, x)),
        st.floats(allow_nan=False).map(lambda x: Data(Tag.FLOAT64, x)),
        st.binary(max_size=300).map(lambda octets: Data(Tag.OCTET_STRING, octets)),
        st.text(st.characters(max_codepoint=255), max_size=20).map(lambda text: Data(Tag.VISIBLE_STRING, text)),
        st.text(max_size=20).map(lambda text: Data(Tag.UTF8_STRING, text)),
        st.binary(min_size=12, max_size=12).map(lambda octets: Data(Tag.DATE_TIME, octets)),
        st.binary(min_size=5, max_size=5).map(lambda octets: Data(Tag.DATE, octets)),
        st.binary(min_size=4, max_size=4).map(lambda octets: Data(Tag.TIME, octets)),
        bit_strings(),
        *whole,
    )


def compact_arrays() -> st.SearchStrategy[Data]:
    pair = TypeDescription(Tag.STRUCTURE, (TypeDescription(Tag.LONG_UNSIGNED), TypeDescription(Tag.OCTET_STRING)))
    element = st.builds(
        lambda n, octets: Data(Tag.STRUCTURE, (Data(Tag.LONG_UNSIGNED, n), Data(Tag.OCTET_STRING, octets))),
        st.integers(0, 65_535),
        st.binary(max_size=8),
    )
    return st.lists(element, max_size=6).map(lambda items: compact_array(pair, items))


def values() -> st.SearchStrategy[Data]:
    """Any COSEM data, a few levels deep."""
    return st.recursive(
        leaves() | compact_arrays(),
        lambda inner: st.builds(
            lambda tag, items: Data(tag, tuple(items)),
            st.sampled_from([Tag.ARRAY, Tag.STRUCTURE]),
            st.lists(inner, max_size=6),
        ),
        max_leaves=25,
    )


def mutated(originals: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of these with some octets changed, cut or put in: closer to what breaks decoders than pure noise."""

    def mutate(octets: bytes, changes: list[tuple[float, int, int]]) -> bytes:
        work = bytearray(octets)
        for place, kind, octet in changes:
            at = int(place * len(work))
            if kind == 0 and work:
                work[min(at, len(work) - 1)] = octet
            elif kind == 1:
                work.insert(at, octet)
            else:
                del work[at : at + 1 + octet % 4]
        return bytes(work)

    change = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 2), st.integers(0, 255))
    return st.builds(mutate, st.sampled_from(originals), st.lists(change, min_size=1, max_size=6))
