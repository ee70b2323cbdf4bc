"""Calling methods in an open association: ACTION normal, with-list, in blocks (IEC 62056-5-3, 6.8 and 9.4.6.8)."""

from collections.abc import Sequence

from amity.devices.client.blocks import Piece, receive_in_blocks, send_in_blocks
from amity.devices.client.conversation import Conversation
from amity.devices.client.refusals import MethodRefusedError
from amity.devices.client.session import Session
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms import fields
from amity.protocols.dlms.action_service import decode_outcome, decode_outcomes
from amity.protocols.dlms.apdu import (
    ActionOutcome,
    ActionRequestNextPBlock,
    ActionRequestNormal,
    ActionRequestWithFirstPBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstPBlock,
    ActionRequestWithPBlock,
    ActionResponseNextPBlock,
    ActionResponseNormal,
    ActionResponseWithList,
    ActionResponseWithPBlock,
    ActionResult,
    Apdu,
    Method,
)
from amity.protocols.dlms.attributes import DESCRIPTOR_OCTETS
from amity.protocols.dlms.data import Data, encode
from amity.protocols.dlms.data_types import NULL_DATA

Call = tuple[Method, Data | None]
"""A method and its parameters, None where it takes none."""


def act(session: Session, method: Method, parameters: Data | None = None) -> Conversation[Data | None]:
    """Call one method; return what it returns; parameters and return value go in blocks where they are long.

    Raises:
        MethodRefusedError: the meter gives another action-result than success.
        LocalProtocolError: the association was not granted what this needs.
        RemoteProtocolError: the answer does not fit the request (invoke id, block number, type).
    """
    outcome = yield from _outcome(session, method, parameters)
    if outcome.result is not ActionResult.SUCCESS:
        raise MethodRefusedError(method, outcome.result)
    if isinstance(outcome.return_value, Data | None):
        return outcome.return_value
    raise MethodRefusedError(method, outcome.return_value)


def act_unconfirmed(session: Session, method: Method, parameters: Data | None = None) -> Conversation[None]:
    """Call one method and wait for no answer; raises as `Session.tell` does."""
    return session.tell(ActionRequestNormal(session.next_unconfirmed_invoke(), method, parameters))


def act_list(session: Session, calls: Sequence[Call]) -> Conversation[tuple[ActionOutcome, ...]]:
    """Call several methods; return how each went and what it returned.

    Uses ACTION with-list where it was granted, single ACTIONs where not; raises as `act` does, but for refusals.
    """
    outcomes: list[ActionOutcome] = []
    step = session.list_parts(DESCRIPTOR_OCTETS)
    call = _act_one if step == 1 else _act_some
    for start in range(0, len(calls), step):
        outcomes += yield from call(session, calls[start : start + step])
    return tuple(outcomes)


def _outcome(session: Session, method: Method, parameters: Data | None) -> Conversation[ActionOutcome]:
    invoke = session.next_invoke()
    request = ActionRequestNormal(invoke, method, parameters)
    if parameters is None or session.takes(request):
        answer = yield from session.ask(request)
    else:
        answer = yield from send_in_blocks(
            session,
            encode(parameters),
            lambda block: ActionRequestWithFirstPBlock(invoke, method, block),
            lambda block: ActionRequestWithPBlock(invoke, block),
            ActionResponseNextPBlock,
            tried=f"ACTION {method}",
        )
    if isinstance(answer, ActionResponseNormal):
        return ActionOutcome(answer.result, answer.return_value)
    return decode_outcome((yield from _joined(session, answer, invoke, f"ACTION {method}")))


def _act_one(session: Session, calls: Sequence[Call]) -> Conversation[tuple[ActionOutcome, ...]]:
    return ((yield from _outcome(session, *calls[0])),)


def _act_some(session: Session, calls: Sequence[Call]) -> Conversation[tuple[ActionOutcome, ...]]:
    invoke = session.next_invoke()
    methods = tuple(method for method, _ in calls)
    parameters = tuple(NULL_DATA if given is None else given for _, given in calls)
    request = ActionRequestWithList(invoke, methods, parameters)
    if session.takes(request):
        answer = yield from session.ask(request)
    else:
        answer = yield from send_in_blocks(
            session,
            fields.data_list(parameters),
            lambda block: ActionRequestWithListAndFirstPBlock(invoke, methods, block),
            lambda block: ActionRequestWithPBlock(invoke, block),
            ActionResponseNextPBlock,
            tried="ACTION with-list",
        )
    if isinstance(answer, ActionResponseNormal) and answer.result is not ActionResult.SUCCESS:
        return (ActionOutcome(answer.result),) * len(calls)  # the transfer failed as a whole: nothing was called
    if isinstance(answer, ActionResponseWithList):
        outcomes = answer.outcomes
    else:
        outcomes = decode_outcomes((yield from _joined(session, answer, invoke, "ACTION with-list")))
    if len(outcomes) != len(calls):
        raise RemoteProtocolError(
            f"{len(calls)} methods were called and {len(outcomes)} results came", tried="ACTION with-list"
        )
    return outcomes


def _joined(session: Session, first: Apdu, invoke: int, tried: str) -> Conversation[bytes]:
    return receive_in_blocks(
        session, first, _piece, lambda number: ActionRequestNextPBlock(invoke, number), tried=tried
    )  # fmt: skip


def _piece(answer: Apdu) -> Piece:
    if isinstance(answer, ActionResponseWithPBlock):
        return Piece(answer.block.last_block, answer.block.block_number, answer.block.raw)
    raise RemoteProtocolError(f"an ACTION was answered with {type(answer).__name__}", tried="ACTION")
