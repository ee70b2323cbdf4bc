"""CPU seconds of processes and of the machine, from /proc (proc(5))."""

import os
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_IDLE: Final = slice(3, 5)  # idle and iowait, of the line "cpu"


def cpu_s(pid: int) -> float:
    """Of a process, and of its children that have ended."""
    return sum(map(int, _fields(pid)[11:15])) / _TICKS


def cpu_s_with_children(pid: int) -> float:
    """Of a process and of all its children, as PostgreSQL has one for each connection."""
    return cpu_s(pid) + sum(map(cpu_s, children(pid)))


def children(pid: int) -> list[int]:
    """Those that run."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory_octets(pid: int) -> int:
    """What a process alone holds in memory (Pss: shared pages by their share)."""
    (line,) = [one for one in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if one.startswith("Pss:")]
    return int(line.split()[1]) * 1024


def machine_busy_s() -> float:
    """Of all cores together, whoever used them."""
    times = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(times) - sum(times[_IDLE])) / _TICKS


def _fields(pid: int) -> list[str]:
    """Behind the name in brackets, which may have spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
