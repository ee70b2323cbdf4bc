"""The ACCESS service in an open association: gets, sets and actions in one exchange (IEC 62056-5-3, 6.9 and 9.3.10)."""

from collections.abc import Sequence
from typing import NamedTuple

from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.access_service import BREAK_ON_ERROR
from amity.protocols.dlms.apdu import (
    AccessKind,
    AccessRequest,
    AccessResponse,
    AccessSpecification,
    ActionResult,
    Attribute,
    Conformance,
    DataAccessResult,
    Method,
)
from amity.protocols.dlms.data_types import NULL_DATA, Data
from amity.protocols.dlms.selective_access import Access


class Getting(NamedTuple):
    """Read an attribute, or the part of it that `access` selects."""

    attribute: Attribute
    access: Access | None = None

    def part(self) -> tuple[AccessSpecification, Data]:
        """Specification and data as they travel."""
        kind = AccessKind.GET if self.access is None else AccessKind.GET_WITH_SELECTION
        return AccessSpecification(kind, self.attribute, self.access), NULL_DATA


class Setting(NamedTuple):
    """Write an attribute, or the part of it that `access` selects."""

    attribute: Attribute
    value: Data
    access: Access | None = None

    def part(self) -> tuple[AccessSpecification, Data]:
        """Specification and data as they travel."""
        kind = AccessKind.SET if self.access is None else AccessKind.SET_WITH_SELECTION
        return AccessSpecification(kind, self.attribute, self.access), self.value


class Acting(NamedTuple):
    """Call a method."""

    method: Method
    parameters: Data = NULL_DATA

    def part(self) -> tuple[AccessSpecification, Data]:
        """Specification and data as they travel."""
        return AccessSpecification(AccessKind.ACTION, self.method), self.parameters


class AccessAnswer(NamedTuple):
    """How one part went, and what it returned (null-data where it returned nothing)."""

    result: DataAccessResult | ActionResult
    data: Data


def access(
    session: Session, parts: Sequence[Getting | Setting | Acting], *, break_on_error: bool = False
) -> Conversation[tuple[AccessAnswer, ...]]:
    """Do all parts in their order; return how each went. With `break_on_error` the meter stops at the first refusal.

    Raises:
        LocalProtocolError: the association was not granted ACCESS (or selective access, where a part needs it).
        RemoteProtocolError: the answer does not fit the request.
    """
    specifications, data = zip(*(part.part() for part in parts), strict=True) if parts else ((), ())
    if any(one.access is not None for one in specifications):
        session.demand(Conformance.SELECTIVE_ACCESS)
    invoke = session.next_long_invoke() | (BREAK_ON_ERROR if break_on_error else 0)
    answer = yield from session.ask(AccessRequest(invoke, b"", specifications, data))
    if not isinstance(answer, AccessResponse):
        raise RemoteProtocolError(f"an ACCESS was answered with {type(answer).__name__}", tried="ACCESS")
    if not len(parts) == len(answer.outcomes) == len(answer.data):
        raise RemoteProtocolError(
            f"{len(parts)} parts were asked for; {len(answer.outcomes)} results and {len(answer.data)} values came",
            tried="ACCESS",
        )
    return tuple(
        AccessAnswer(outcome.result, value) for outcome, value in zip(answer.outcomes, answer.data, strict=True)
    )
