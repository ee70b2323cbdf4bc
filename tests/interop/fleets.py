"""`amity simulate` as a child process, and the truth behind it computed here from the same settings."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from amity.devices.settings import Authentication
from amity.kernel.time import isoformat
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.meter import SimulatedMeter

AMITY = Path(sys.executable).with_name("amity")
SEED = 7
STOP_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Served:
    """A meter on a socket: its entry in the fleet document and the simulated meter that it is."""

    entry: dict[str, Any]
    meter: SimulatedMeter


@dataclass(frozen=True, slots=True)
class RunningFleet:
    """What `amity simulate` printed, and the same fleet built in this process."""

    document: list[dict[str, Any]]
    truth: Fleet

    def meter(self, number: int) -> Served:
        """By its number from 0."""
        entry = self.document[number]
        return Served(entry, self.truth.meter(entry["logical_device_name"]))

    def of_model(self, profile: str) -> Served:
        """The first meter of a model."""
        numbers = (number for number, entry in enumerate(self.document) if entry["profile"] == profile)
        return self.meter(next(numbers))


@contextmanager
def running_fleet(
    meters: int, auth: Authentication | None, anchor: datetime, *options: str, suite: int = 0
) -> Iterator[RunningFleet]:
    """Run `amity simulate` on free ports, with more options, while the block lasts; end it by its own process id."""
    command = [AMITY, "simulate", "--meters", str(meters), "--port-base", "0", "--seed", str(SEED), "--json"]
    command += ["--anchor", isoformat(anchor), "--suite", str(suite), *options]
    command += ["--auth", auth.value] if auth else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own program
        assert child.stdout is not None
        try:
            printed = child.stdout.readline()
            assert printed, f"amity simulate printed nothing and ended with status {child.wait(STOP_TIMEOUT_S)}"
            truth = build_fleet(FleetSettings(meters, SEED, anchor, auth=auth, suite=suite))
            yield RunningFleet(json.loads(printed), truth)
        finally:
            child.terminate()
            assert child.wait(STOP_TIMEOUT_S) == 0, "amity simulate did not end quietly"
