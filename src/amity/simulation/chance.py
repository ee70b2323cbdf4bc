"""Seeded chance with random access: the n-th draw of a stream is computed, not reached by drawing n - 1 others.

A sequential generator would force a meter to replay its history; here any interval of any day can be asked at any
time. The mixing function is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = (np.uint64(bits) for bits in (27, 30, 31, 11))
_ULP = 2.0**-53


def stream(seed: int, *names: str | int) -> int:
    """The 64-bit key of one stream of chance, named by words and numbers: `stream(7, "weather", "cloud")`."""
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def uniform(key: int, indexes: Ints) -> Floats:
    """Draws in [0, 1) of stream `key` at the given positions, any shape."""
    mixed = np.asarray(indexes).astype(np.uint64) * _GOLDEN + np.uint64(key)
    mixed = (mixed ^ (mixed >> _S30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _S27)) * _MIX_2
    mixed ^= mixed >> _S31
    return (mixed >> _S11).astype(np.float64) * _ULP


def draw(key: int, index: int = 0) -> float:
    """One draw in [0, 1)."""
    return float(uniform(key, np.array([index], np.int64))[0])


def between(key: int, low: float, high: float, index: int = 0) -> float:
    """One draw in [low, high)."""
    return low + (high - low) * draw(key, index)


def smooth(key: int, positions: Floats) -> Floats:
    """A smooth curve in [0, 1) through one draw per whole position (value noise with a cosine ramp)."""
    left = np.floor(positions)
    ramp = (1 - np.cos(np.pi * (positions - left))) / 2
    whole = left.astype(np.int64)
    return uniform(key, whole) * (1 - ramp) + uniform(key, whole + 1) * ramp
