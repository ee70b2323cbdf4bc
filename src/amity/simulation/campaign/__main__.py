"""`python -m amity.simulation.campaign`: what `make simulate` runs."""

import signal
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Final

from amity.simulation.campaign.pool import Size
from amity.simulation.campaign.running import Choice, replay, run_campaign

_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign that the arguments ask for; 1 when a seed failed, 130 when it was interrupted."""
    parser = ArgumentParser(prog="make simulate", description="the whole head-end on virtual time, seed by seed")
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="SEED", help="the first seed")
    parser.add_argument("--meters", type=int, help="so many meters instead of the seed's own number")
    parser.add_argument("--hours", type=float, help="so long instead of the seed's own span")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--trace", action="store_true", help="tell everything about the first seed, and no other")
    chosen = parser.parse_args(arguments)
    choice = Choice(chosen.seeds, chosen.first, Size(chosen.meters, chosen.hours), chosen.processes)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end that is asked for is a Ctrl-C
    try:
        failed = replay(choice, sys.stdout) if chosen.trace else run_campaign(choice, sys.stdout)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
