"""`python -m fuzz [--seconds S] [--target NAME]`: every target for so long, then a table of executions and escapes.

With atheris installed each target runs coverage-guided in a process of its own, otherwise it is mutated blindly. What
atheris finds interesting is kept in .cache/fuzz and goes on from there in the next run.
"""

# ruff: noqa: T201 - a command that prints

import argparse
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from fuzz import corpus, mutation
from fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT / ".cache" / "fuzz"
INPUT_OCTETS_MAX = 8192
MEMORY_MB_MAX = 1024
ANSWER_S_MAX = 5
STARTING_S = 60
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def main() -> int:
    """Run what was asked for; 1 when anything escaped."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="may be repeated; all without it")
    parser.add_argument("--blind", action="store_true", help="mutate blindly although atheris is there")
    parser.add_argument("--make-corpus", action="store_true", help="write the kept originals anew and end")
    options = parser.parse_args()
    if options.make_corpus:
        print(f"{corpus.write()} originals in {corpus.KEPT}")
        return 0
    guided = not options.blind and importlib.util.find_spec("atheris") is not None
    print(f"{'atheris' if guided else 'blind mutation'}, {options.seconds} s a target, seed {options.seed}")
    results = []
    for name in options.target or sorted(TARGETS):
        run = _guided if guided else _blind
        results.append(run(name, options.seconds, options.seed))
        print(f"{name:12} {results[-1][0]:>12,} executions {results[-1][1]:>3} escapes", flush=True)
    executions, escapes = (sum(column) for column in zip(*results, strict=True))
    print(f"{'all':12} {executions:>12,} executions {escapes:>3} escapes")
    return 1 if escapes else 0


def _blind(name: str, seconds: int, seed: int) -> tuple[int, int]:
    return mutation.run(name, TARGETS[name], corpus.kept(name), seed=seed, seconds=seconds)


def _guided(name: str, seconds: int, seed: int) -> tuple[int, int]:
    """Executions and escapes of one target; an escape's report goes to standard error, its octets to .cache/fuzz."""
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "fuzz.guided", name, f"-max_total_time={seconds}", f"-seed={seed}",
        f"-max_len={INPUT_OCTETS_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}", f"-timeout={ANSWER_S_MAX}",
        f"-artifact_prefix={FOUND}/{name}-", "-print_final_stats=1", "-verbosity=1",
        str(found), str(corpus.KEPT / name),
    ]  # fmt: skip
    finished = subprocess.run(  # noqa: S603 - our own program
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=seconds + STARTING_S, check=False
    )
    executed = _EXECUTED.search(finished.stderr)
    if finished.returncode:
        print(finished.stderr[-4000:] + finished.stdout[-4000:], file=sys.stderr)
    return int(executed[1]) if executed else 0, int(finished.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
