"""Exchanges as sequence diagrams: `<<` goes out to the meter, `>>` comes in from it, `#` says what it is.

Several `<<` in a row are a stream of blocks, several `>>` one from the meter; `>>` alone is silence.
"""

import itertools
import re
from collections.abc import Generator, Iterator
from typing import TypeVar

from amity.devices.client import AssociationSettings, Ports, Session
from amity.devices.client.conversation import Unanswered
from amity.devices.client.journal import Journal
from amity.devices.settings import CLIENT_CONFORMANCE
from amity.protocols.dlms.apdu import Conformance

Result = TypeVar("Result")
READING = (
    Conformance.GET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.MULTIPLE_REFERENCES
)
"""What the scripts of an opening propose: 001215."""


def play(conversation: Generator[bytes, bytes, Result], script: str) -> Result:
    """Lead a conversation along a script; what it returns is returned, what it raises is raised."""
    steps = list(_steps(script))
    sent = next(conversation)
    for number, (direction, octets) in enumerate(steps):
        if direction == "<<":
            assert sent.hex() == octets.hex(), f"step {number}: another request went out"
            if not isinstance(sent, Unanswered):
                continue
        try:
            sent = conversation.send(octets if direction == ">>" else b"")
        except StopIteration as finished:
            assert number == len(steps) - 1, f"the conversation ended at step {number} of {len(steps)}"
            return finished.value
    raise AssertionError(f"the conversation goes on after the script: {sent.hex()}")


def ports(challenge: bytes = b"", first_counter: int = 1) -> Ports:
    """The chance and the counters of a script: always the same, the challenge first."""
    draws = itertools.chain([challenge], itertools.repeat(b""))
    return Ports(lambda count: next(draws)[:count].ljust(count, b"\0"), itertools.count(first_counter).__next__)


def open_session(
    settings: AssociationSettings | None = None,
    conformance: Conformance = CLIENT_CONFORMANCE,
    max_pdu_octets: int = 0,
) -> Session:
    """A plain association that is open already."""
    return Session(settings or AssociationSettings(), Journal(), None, conformance, max_pdu_octets)


def _steps(script: str) -> Iterator[tuple[str, bytes]]:
    """A line that starts with neither arrow goes on with the octets of the line before."""
    plain = " ".join(line.partition("#")[0] for line in script.splitlines())
    for step in re.split(r"(?=<<|>>)", plain.strip()):
        if step:
            yield step[:2], bytes.fromhex(step[2:])
