"""Runs a peer's benchmark in the peer's own virtual environment and takes its CPU seconds back."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PEERS = {"gurux-dlms": ("gurux", "gurux_bench.py"), "dlms-cosem": ("dlms-cosem", "dlms_cosem_bench.py")}


class PeerMissingError(Exception):
    """The virtual environment of a peer is not there."""


def measure(peer: str, workload: dict[str, dict[str, Any]]) -> dict[str, float]:
    """CPU seconds by job; raise PeerMissingError when the peer is not installed."""
    folder, script = PEERS[peer]
    python = ROOT / ".interop" / folder / "bin" / "python"
    if not python.exists():
        raise PeerMissingError(
            f"{peer} is not installed in {python.parents[1].relative_to(ROOT)}; make bench does that"
        )
    finished = subprocess.run(  # noqa: S603 - our own script in a virtual environment we made
        [python, ROOT / "benchmarks" / "peers" / script],
        input=json.dumps(workload),
        env={**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    seconds: dict[str, float] = json.loads(finished.stdout)
    return seconds
