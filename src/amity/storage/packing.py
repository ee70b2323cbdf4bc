"""A channel-day as octets: the narrowest integers that hold its values, a quality octet each, compressed if it helps.

Layout (version 1), all integers little-endian:

    octet 0      width of a value in octets (1, 2, 4 or 8) | 0x10 one quality for all | 0x20 the rest is a zstd frame
    qualities    one octet if all slots share it, else one octet for each slot
    values       two's complement, 0 where the slot is EMPTY; first the low octet of every slot, then the next octet of
                 every slot, and so on (Parquet's BYTE_STREAM_SPLIT: a sixth less room after zstd than slot by slot)

The content hash is BLAKE2b-128 over the octets before compression, so two blocks with the same known values have the
same hash whatever library packed them.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from amity.domain.readings import Int64Column, QualityColumn
from amity.kernel.errors import StorageError

_UNIFORM = 0x10
_ZSTD = 0x20
_WIDTH = 0x0F
_WIDTHS = (1, 2, 4, 8)
_LIMITS = np.array([2**7, 2**15, 2**31], np.int64)
_HASH_OCTETS = 16
_ZSTD_LEVEL = 1  # blocks are short: higher levels cost time and win nothing


class Packed(NamedTuple):
    """One channel-day ready to be stored."""

    content_hash: bytes
    contents: bytes


def pack(values: Int64Column, qualities: QualityColumn) -> list[Packed]:
    """Pack many channel-days at once: int64[blocks, slots] and uint8[blocks, slots], in the same order."""
    known = np.where(qualities == 0, 0, values)
    widths = _narrowest(known)
    planes = {width: _byte_planes(known, width) for width in set(widths)}
    uniform = (qualities == qualities[:, :1]).all(axis=1).tolist()
    octets = np.ascontiguousarray(qualities)
    compress = ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=False).compress
    return [
        _pack_one(
            width | _UNIFORM if same else width,
            (octets[row, :1] if same else octets[row]).tobytes() + planes[width][row].tobytes(),
            compress,
        )
        for row, (width, same) in enumerate(zip(widths, uniform, strict=True))
    ]


def unpack(contents: Iterable[bytes]) -> list[tuple[Int64Column, QualityColumn]]:
    """Each channel-day's values (int64[slots]) and qualities (uint8[slots]); raise StorageError for damaged octets."""
    decompress = ZstdDecompressor().decompress  # one for all: making it costs more than using it
    try:
        return [_unpack_one(octets, decompress) for octets in contents]
    except (ZstdError, ValueError, IndexError, MemoryError) as error:
        raise StorageError(
            "a stored channel-day cannot be unpacked",
            tried="read its octets as packed integers",
            answer=str(error),
            next_step="the database file is damaged: restore the last backup, or rebuild from the deliveries",
        ) from error


def _narrowest(values: Int64Column) -> list[int]:
    """The least width of each row, in octets."""
    reach = np.maximum(values.max(axis=1), ~values.min(axis=1))  # two's complement: -128 fits where 127 does
    steps = np.searchsorted(_LIMITS, reach, side="right")
    return [_WIDTHS[step] for step in steps.tolist()]


def _byte_planes(values: Int64Column, width: int) -> NDArray[np.uint8]:
    """int64[blocks, slots] as uint8[blocks, width, slots]."""
    octets = values.astype(f"<i{width}").view(np.uint8).reshape(*values.shape, width)
    return np.ascontiguousarray(octets.transpose(0, 2, 1))


def _pack_one(flags: int, plain: bytes, compress: Callable[[bytes], bytes]) -> Packed:
    content_hash = blake2b(bytes((flags,)) + plain, digest_size=_HASH_OCTETS).digest()
    short = compress(plain)
    if len(short) < len(plain):
        return Packed(content_hash, bytes((flags | _ZSTD,)) + short)
    return Packed(content_hash, bytes((flags,)) + plain)


def _unpack_one(contents: bytes, decompress: Callable[[bytes], bytes]) -> tuple[Int64Column, QualityColumn]:
    flags, rest = contents[0], contents[1:]
    plain = decompress(rest) if flags & _ZSTD else rest
    return _columns(flags & _WIDTH, plain, uniform=bool(flags & _UNIFORM))


def _columns(width: int, plain: bytes, *, uniform: bool) -> tuple[Int64Column, QualityColumn]:
    if width not in _WIDTHS:
        raise ValueError(f"{width} octets is no width of a value")
    slots = (len(plain) - 1) // width if uniform else len(plain) // (width + 1)
    if slots <= 0:
        raise ValueError("there is no value in it")
    quality_octets = 1 if uniform else slots
    planes = np.frombuffer(plain, np.uint8, offset=quality_octets).reshape(width, slots)
    values = np.ascontiguousarray(planes.T).view(f"<i{width}").reshape(slots).astype(np.int64)
    qualities = np.frombuffer(plain, np.uint8, count=quality_octets)
    return values, np.repeat(qualities, slots) if uniform else qualities.copy()
