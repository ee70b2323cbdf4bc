"""`python -m fuzz [--seed N] [--rounds N]`: mutate, decode, and report anything but a value or a typed error."""

# ruff: noqa: T201, S311 - a command that prints, with seeded chance

import argparse
import json
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from amity.devices.push_body import read_body
from amity.devices.telegram_json import telegram_to_json
from amity.devices.telegrams import decode_telegram, protector_from_keys
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms import acse, apdu, data
from amity.protocols.dlms.profile_buffer import ClockReading, decode_columns
from amity.protocols.hdlc import frame as hdlc
from amity.protocols.mbus import frame as mbus
from amity.protocols.wrapper import frame as wrapper

VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors" / "dlms"
# Enough to start from where the shared vectors are missing: one of each kind.
SEEDS = (
    "7ea02a410883130413e6e7000f40000000000101020309060100010700ff060000067d02020f00161b1c057e",
    "01020203090c07e20c050300000000800000110006000186a00203090c07e20c05030100000080000011000600018840",
    "c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b",
    "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000381f009b0007",
)
SLOW_S = 1.0
KEYS = protector_from_keys(bytes(range(16)), bytes(16))
DECODERS: dict[str, Callable[[bytes], object]] = {
    "telegram": lambda octets: json.dumps(telegram_to_json(decode_telegram(octets, KEYS)), allow_nan=False),
    "apdu": apdu.decode,
    "acse": acse.decode,
    "data": data.decode_all,
    "push body": read_body,
    "profile": lambda octets: decode_columns(octets, ClockReading(0, capture_period_s=900)),
    "hdlc": lambda octets: hdlc.Reader().feed(octets),
    "m-bus": mbus.find,
    "wrapper": lambda octets: wrapper.Reader().feed(octets),
}


def main() -> int:
    """Run as many rounds as asked; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20_000)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    corpus = list(_corpus())
    findings = sum(_round(_mutated(chance, corpus)) for _ in range(options.rounds))
    print(f"{options.rounds} rounds, {len(corpus)} originals, seed {options.seed}: {findings} findings")
    return 1 if findings else 0


def _corpus() -> Iterator[bytes]:
    yield from map(bytes.fromhex, SEEDS)
    for path in sorted(VECTORS.glob("*.json")):
        yield from (bytes.fromhex(one["hex"]) for one in json.loads(path.read_text(encoding="utf-8")))


def _mutated(chance: random.Random, corpus: list[bytes]) -> bytes:
    """One original with octets changed, cut, repeated, or joined with another."""
    work = bytearray(chance.choice(corpus))
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
                work[at] = chance.choice((0x00, 0x01, 0x02, 0x13, 0x7E, 0x68, 0x80, 0x82, 0x84, 0xDB, 0xE0, 0xFF))
            case 4:
                work[at:at] = work[at : at + chance.randrange(1, 40)]
            case 5:
                work[at:] = chance.choice(corpus)
            case _:  # what recursion and quadratic loops stumble over
                start = chance.randrange(len(work) + 1)
                work[at:at] = work[start : start + chance.randrange(1, 12)] * chance.choice((3, 40, 1500))
    return bytes(work)


def _round(octets: bytes) -> int:
    return sum(not _holds(name, decode, octets) for name, decode in DECODERS.items())


def _holds(name: str, decode: Callable[[bytes], object], octets: bytes) -> bool:
    start_s = time.process_time()
    try:
        decode(octets)
    except RemoteProtocolError:
        pass
    except Exception:  # noqa: BLE001 - whatever else comes out is the finding
        print(f"{name}: {octets.hex()}", file=sys.stderr)
        traceback.print_exc()
        return False
    if (used_s := time.process_time() - start_s) > SLOW_S:
        print(f"{name}: {used_s:.1f} s for {octets.hex()}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
