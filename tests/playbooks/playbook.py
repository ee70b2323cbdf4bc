"""Exchanges as sequence diagrams: `<<` goes out to the meter, `>>` comes in from it, `#` says what it is."""

import itertools
import re
from collections.abc import Generator, Iterator
from typing import TypeVar

from amity.devices.client import AssociationSettings, Ports, Session
from amity.devices.client.journal import Journal
from amity.devices.settings import CLIENT_CONFORMANCE

Result = TypeVar("Result")


def play(conversation: Generator[bytes, bytes, Result], script: str) -> Result:
    """Lead a conversation along a script; what it returns is returned, what it raises is raised."""
    steps = list(_steps(script))
    sent = next(conversation)
    for number, (direction, octets) in enumerate(steps):
        if direction == "<<":
            assert sent.hex() == octets.hex(), f"step {number}: another request went out"
            continue
        try:
            sent = conversation.send(octets)
        except StopIteration as finished:
            assert number == len(steps) - 1, f"the conversation ended at step {number} of {len(steps)}"
            return finished.value
    raise AssertionError(f"the conversation goes on after the script: {sent.hex()}")


def ports(challenge: bytes = b"", first_counter: int = 1) -> Ports:
    """The chance and the counters of a script: always the same."""
    return Ports(lambda count: challenge[:count].ljust(count, b"\0"), itertools.count(first_counter).__next__)


def open_session(settings: AssociationSettings | None = None) -> Session:
    """A plain association that is open already, everything granted."""
    return Session(settings or AssociationSettings(), Journal(), None, CLIENT_CONFORMANCE, 0)


def _steps(script: str) -> Iterator[tuple[str, bytes]]:
    """A line that starts with neither arrow goes on with the octets of the line before."""
    plain = " ".join(line.partition("#")[0] for line in script.splitlines())
    for step in re.split(r"(?=<<|>>)", plain.strip()):
        if step:
            yield step[:2], bytes.fromhex(step[2:])
