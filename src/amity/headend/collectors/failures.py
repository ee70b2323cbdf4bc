"""How the way through a collector fails; what went wrong beyond it comes with the words that it was met in.

TransportError
├── CollectorNotConnectedError   (NoWayHereError) the collector is not there, or nobody accepted it
├── CollectorGoneError           it went in the midst of a session
├── CollectorSlowError           it is there and brought no answer in time
└── BeyondCollectorError         the collector could not reach the meter; carries the outcome
RemoteProtocolError
└── GarbledBeyondCollectorError  the meter broke the standard
"""

from typing import Final

from amity.domain.collection import Outcome
from amity.headend.ports import NoWayHereError
from amity.kernel.errors import AmityError, ConfigurationError, LocalProtocolError, RemoteProtocolError, TransportError
from amity.protocols.relay.messages import Failed, FailureKind


class CollectorNotConnectedError(NoWayHereError):
    """The collector is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "Collector Not Connected",
            tried=f"a meter through collector {name}",
            answer="no link with an accepted collector of that name",
            next_step=f"amity collector list; if {name} is parked: amity collector accept {name}",
        )


class CollectorGoneError(TransportError):
    """The collector went in the midst of a session."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "Collector Gone",
            tried=f"a session through collector {name}",
            answer="its link ended",
            next_step="nothing: the meter is tried again when the collector is back",
        )


class CollectorSlowError(TransportError):
    """The collector is there and brought no answer in time."""

    def __init__(self, name: str, waited_s: float) -> None:
        super().__init__(
            "Collector Slow",
            tried=f"a request through collector {name}",
            answer=f"nothing within {waited_s:.0f} s, the way to it included",
            next_step="amity collector list shows its link; read fewer of its meters at once",
        )


class BeyondCollectorError(TransportError):
    """The collector could not reach the meter."""

    def __init__(self, name: str, failed: Failed, outcome: Outcome) -> None:
        super().__init__(
            failed.what,
            tried=f"{failed.tried}, from collector {name}",
            answer=failed.answer or None,
            next_step=failed.next_step or None,
        )
        self.outcome = outcome


class GarbledBeyondCollectorError(RemoteProtocolError):
    """The meter broke the standard."""


_OUTCOMES: Final = {
    FailureKind.REFUSED: Outcome.REFUSED,
    FailureKind.SILENT: Outcome.SILENT,
    FailureKind.BROKEN: Outcome.BROKEN,
    FailureKind.BUSY: Outcome.SILENT,
}
_OTHERS: Final[dict[FailureKind, type[AmityError]]] = {
    FailureKind.GARBLED: GarbledBeyondCollectorError,
    FailureKind.IMPOSSIBLE: LocalProtocolError,
    FailureKind.NOT_ALLOWED: ConfigurationError,
}


def error_of(name: str, failed: Failed) -> AmityError:
    """What to raise for a failure that a collector tells."""
    outcome = _OUTCOMES.get(failed.kind)
    if outcome is not None:
        return BeyondCollectorError(name, failed, outcome)
    tried = f"{failed.tried or 'a meter'}, from collector {name}"
    return _OTHERS[failed.kind](
        failed.what, tried=tried, answer=failed.answer or None, next_step=failed.next_step or None
    )
