"""Blind mutation for where atheris does not run: octets changed, cut, repeated, joined; one seed replays a run."""

# ruff: noqa: S311, T201 - seeded chance is wanted, and findings are printed

import random
import sys
import time
import traceback

from fuzz.targets import Target

SLOW_S = 1.0
_TELLING_OCTETS = (0x00, 0x01, 0x02, 0x13, 0x7E, 0x68, 0x80, 0x82, 0x84, 0xDB, 0xE0, 0xFF)


def run(name: str, target: Target, originals: list[bytes], *, seed: int, seconds: float) -> tuple[int, int]:
    """Mutate for so long; return executions and findings, each of which is printed with its octets."""
    chance = random.Random(f"{seed}/{name}")
    executions = findings = 0
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        findings += not holds(name, target, mutated(chance, originals))
        executions += 1
    return executions, findings


def mutated(chance: random.Random, originals: list[bytes]) -> bytes:
    """One original with octets changed, cut, repeated, or joined with another."""
    work = bytearray(chance.choice(originals))
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(work) + 1)
        match chance.randrange(7):
            case 0 if at < len(work):
                work[at] ^= 1 << chance.randrange(8)
            case 1:
                work[at:at] = chance.randbytes(chance.randrange(1, 5))
            case 2:
                del work[at : at + chance.randrange(1, 9)]
            case 3 if at < len(work):
                work[at] = chance.choice(_TELLING_OCTETS)
            case 4:
                work[at:at] = work[at : at + chance.randrange(1, 40)]
            case 5:
                work[at:] = chance.choice(originals)
            case _:  # what recursion and quadratic loops stumble over
                start = chance.randrange(len(work) + 1)
                work[at:at] = work[start : start + chance.randrange(1, 12)] * chance.choice((3, 40, 1500))
    return bytes(work)


def holds(name: str, target: Target, octets: bytes) -> bool:
    """True when a target comes back in time with a value or with the error it may raise."""
    start_s = time.process_time()
    try:
        target.run(octets)
    except target.allowed:
        pass
    except Exception:  # noqa: BLE001 - whatever else comes out is the finding
        print(f"{name}: {octets.hex()}", file=sys.stderr)
        traceback.print_exc()
        return False
    if (used_s := time.process_time() - start_s) > SLOW_S:
        print(f"{name}: {used_s:.1f} s for {octets.hex()}", file=sys.stderr)
        return False
    return True
