"""How a failed session is told: whose failure it was, and lines that name the meter and the next thing to try."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from amity.devices.client import AssociationRejectedError, InvocationCounterError
from amity.devices.client.refusals import MethodRefusedError, WriteRefusedError
from amity.domain.collection import Outcome
from amity.headend.ports import Connector, Endpoint
from amity.kernel.errors import (
    AmityError,
    ConfigurationError,
    LocalProtocolError,
    RemoteProtocolError,
    RemoteRefusalError,
    SecurityError,
    TransportError,
)
from amity.protocols.dlms.acse import AssociationResult, SourceDiagnostic

_ANOTHER_CLIENT_S: Final = frozenset({"READ_WRITE_DENIED", "SCOPE_OF_ACCESS_VIOLATED"})


def outcome_of(error: AmityError, connector: Connector) -> Outcome:
    """The outcome that this error is, by its type."""
    match error:
        case TransportError():
            return connector.outcome_of(error)
        case AssociationRejectedError(diagnostic=SourceDiagnostic.AUTHENTICATION_FAILURE) | SecurityError():
            return Outcome.WRONG_KEY
        case RemoteRefusalError() | ConfigurationError() | LocalProtocolError():
            return Outcome.REJECTED
        case _:
            return Outcome.BROKEN


def worth_retrying(error: AmityError) -> bool:
    """False where the same would happen again at once: keys, settings, a refusal that has its reason."""
    if isinstance(error, InvocationCounterError):
        return error.expected is not None
    if isinstance(error, AssociationRejectedError):
        return error.result is AssociationResult.REJECTED_TRANSIENT
    return isinstance(error, TransportError | RemoteProtocolError) and not isinstance(error, SecurityError)


def in_use(error: AmityError) -> bool:
    """True when the meter refused only for now: another association stands."""
    return (
        isinstance(error, AssociationRejectedError)
        and error.result is AssociationResult.REJECTED_TRANSIENT
        and error.diagnostic is not SourceDiagnostic.AUTHENTICATION_FAILURE
    )


def denied(error: AmityError) -> bool:
    """True when the meter would let another client change this."""
    return isinstance(error, WriteRefusedError | MethodRefusedError) and error.result.name in _ANOTHER_CLIENT_S


def told(error: AmityError, endpoint: Endpoint, attempts: int) -> tuple[str, ...]:
    """The error as lines, the meter and its address first."""
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    heading = f"meter {endpoint.meter_id} at {endpoint.route}, {times}: {error.what}"
    return (heading, *error.lines()[1:])


class Failure(NamedTuple):
    """What `told` told, taken apart again."""

    what: str
    address: str = ""
    attempts: int = 1
    tried: str = ""
    answer: str = ""
    next_step: str = ""


_HEADING: Final = re.compile(r"meter .*? at (?P<address>.+?), (?P<attempts>\d+) attempts?: (?P<what>.*)", re.DOTALL)


def read_told(lines: Sequence[str]) -> Failure:
    """The parts of lines that `told` made, also when they come back from the disk; other lines are what happened."""
    if not lines:
        return Failure("no reason was given")
    heading = _HEADING.fullmatch(lines[0])
    if heading is None:
        return Failure("; ".join(lines))
    facts = dict(line.partition(": ")[::2] for line in lines[1:])
    return Failure(
        heading["what"],
        heading["address"],
        int(heading["attempts"]),
        facts.get("tried", ""),
        facts.get("answer", ""),
        facts.get("next", ""),
    )
