"""A campaign: many seeds over several processes, told as they end; a failure with the command that replays it."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, TextIO

from amity.simulation.campaign.disk import Workshop
from amity.simulation.campaign.plan import plan_of
from amity.simulation.campaign.pool import Size, verdicts
from amity.simulation.campaign.settings import settings_of
from amity.simulation.campaign.tally import Tally
from amity.simulation.campaign.telling import Verdict, tell

_TOLD_EVERY_S: Final = 15.0
_TRACE_LINES: Final = 12
_OWN: Final = Size()


@dataclass(frozen=True, slots=True)
class Choice:
    """Which worlds: so many seeds from `first` on, of what size, over how many processes."""

    seeds: int
    first: int = 1
    size: Size = _OWN
    processes: int = 2


def run_campaign(choice: Choice, out: TextIO) -> int:
    """Tell every seed's story; return how many failed. Interrupted, it says how to go on, and raises what it was."""
    tally = Tally(choice.seeds, choice.first, time.monotonic())
    told_at_s = tally.began_s
    seeds = range(choice.first, choice.first + choice.seeds)
    try:
        with closing(verdicts(seeds, choice.size, choice.processes)) as found:
            for verdict in found:
                tally.add(verdict)
                _print(failure_lines(verdict, choice), out)
                if time.monotonic() - told_at_s >= _TOLD_EVERY_S:
                    told_at_s = time.monotonic()
                    _print([tally.line(told_at_s)], out)
    except KeyboardInterrupt:
        _print([*tally.table(time.monotonic()), f"interrupted; go on with: {_going_on(tally, choice)}"], out)
        raise
    _print(tally.table(time.monotonic()), out)
    if tally.failed:
        _print([f"failed: {' '.join(map(str, sorted(tally.failed)))}"], out)
    return len(tally.failed)


def failure_lines(verdict: Verdict, choice: Choice) -> Iterator[str]:
    """What a person needs to begin with; nothing for a world in which all held."""
    if not verdict.violations:
        return
    yield f"seed {verdict.seed} failed, trace {verdict.digest}"
    for invariant, what, at_s in verdict.violations[:_TRACE_LINES]:
        yield f"  {invariant}, at {at_s:.1f} s: {what}"
    for line in verdict.trace[-_TRACE_LINES:]:
        yield f"    {line}"
    yield f"  replay: {replay_command(verdict.seed, choice)}"


def replay_command(seed: int, choice: Choice) -> str:
    """The one command that tells this story again."""
    return f'make simulate SEEDS=1 FROM={seed} ARGS="{" ".join([*_arguments(choice.size), "--trace"])}"'


def replay(choice: Choice, out: TextIO) -> int:
    """Tell one seed's story with every line of its trace."""
    settings = settings_of(choice.first, meters=choice.size.meters, hours=choice.size.hours)
    workshop = Workshop()
    try:
        verdict = tell(settings, workshop, keep_trace=True)
    finally:
        workshop.close()
    _print((f"plan: {event.at_s:9.1f} s  {event}" for event in plan_of(settings)), out)
    _print([*verdict.trace, *failure_lines(verdict, choice), f"trace {verdict.digest}"], out)
    return len(verdict.violations)


def _going_on(tally: Tally, choice: Choice) -> str:
    left = choice.first + choice.seeds - tally.next_seed
    arguments = " ".join(_arguments(choice.size))
    return f"make simulate SEEDS={left} FROM={tally.next_seed}" + (f' ARGS="{arguments}"' if arguments else "")


def _arguments(size: Size) -> list[str]:
    meters = [f"--meters {size.meters}"] if size.meters is not None else []
    return meters + ([f"--hours {size.hours:g}"] if size.hours is not None else [])


def _print(lines: Iterator[str] | list[str], out: TextIO) -> None:
    for line in lines:
        print(line, file=out, flush=True)
