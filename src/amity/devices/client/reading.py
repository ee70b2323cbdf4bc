"""Reading attributes in an open association: GET normal, with-list, next (IEC 62056-5-3, 6.6 and 6.8)."""

from collections.abc import Callable, Sequence

from amity.devices.client.blocks import Piece, receive_in_blocks
from amity.devices.client.conversation import Conversation
from amity.devices.client.refusals import AttributeRefusedError
from amity.devices.client.session import Session
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.apdu import (
    Apdu,
    Attribute,
    Conformance,
    DataAccessResult,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithBlock,
    GetResponseWithList,
    decode,
)
from amity.protocols.dlms.data import Data, decode_all
from amity.protocols.dlms.selective_access import Access

LISTED_ATTRIBUTE_OCTETS = 11
"""An attribute of a list without access: class id, logical name, index, absence."""

_LIST_HEAD = bytes([GetResponseWithList.TAG, 3, 0])


def get_octets(session: Session, attribute: Attribute, access: Access | None = None) -> Conversation[bytes]:
    """Read one attribute; return the A-XDR octets of its value, joined if they came in blocks.

    Raises:
        AttributeRefusedError: the meter gives a data-access-result instead.
        LocalProtocolError: the association was not granted what this needs.
        RemoteProtocolError: the answer does not fit the request (invoke id, block number, type).
    """
    if access is not None:
        session.demand(Conformance.SELECTIVE_ACCESS)
    invoke = session.next_invoke()
    answer = yield from session.ask(GetRequestNormal(invoke, attribute, access))
    if isinstance(answer, GetResponseNormal):
        if answer.error is not None:
            raise AttributeRefusedError(attribute, answer.error)
        return answer.raw
    return (yield from _joined(session, answer, attribute, invoke))


def get(session: Session, attribute: Attribute, access: Access | None = None) -> Conversation[Data]:
    """Read one attribute as Data; raises as `get_octets` does."""
    return decode_all((yield from get_octets(session, attribute, access)))


def get_list(session: Session, attributes: Sequence[Attribute]) -> Conversation[tuple[Data | DataAccessResult, ...]]:
    """Read several attributes, each answered by its value or by the reason why there is none.

    Uses GET with-list where it was granted, single GETs where not.
    """
    results: list[Data | DataAccessResult] = []
    step = session.list_parts(LISTED_ATTRIBUTE_OCTETS)
    read = _get_one if step == 1 else _get_some
    for start in range(0, len(attributes), step):
        results += yield from read(session, attributes[start : start + step])
    return tuple(results)


def _get_one(session: Session, attributes: Sequence[Attribute]) -> Conversation[tuple[Data | DataAccessResult, ...]]:
    try:
        return ((yield from get(session, attributes[0])),)
    except AttributeRefusedError as refusal:
        return (refusal.result,)


def _get_some(session: Session, attributes: Sequence[Attribute]) -> Conversation[tuple[Data | DataAccessResult, ...]]:
    invoke = session.next_invoke()
    answer = yield from session.ask(GetRequestWithList(invoke, tuple((attribute, None) for attribute in attributes)))
    if isinstance(answer, GetResponseWithBlock):
        joined = yield from _joined(session, answer, attributes[0], invoke)
        answer = decode(_LIST_HEAD + joined)  # the blocks hold what follows the head of an unblocked list
    if not isinstance(answer, GetResponseWithList):
        raise _unexpected(answer)
    if len(answer.results) != len(attributes):
        raise RemoteProtocolError(
            f"{len(attributes)} attributes were asked for and {len(answer.results)} answers came", tried="GET with-list"
        )
    return answer.results


def _joined(session: Session, first: Apdu, attribute: Attribute, invoke: int) -> Conversation[bytes]:
    return receive_in_blocks(
        session,
        first,
        _piece_of(attribute),
        lambda number: GetRequestNext(invoke, number),
        tried=f"GET {attribute}",
    )


def _piece_of(attribute: Attribute) -> Callable[[Apdu], Piece]:
    def piece(answer: Apdu) -> Piece:
        if not isinstance(answer, GetResponseWithBlock):
            raise _unexpected(answer)
        if isinstance(answer.result, DataAccessResult):
            raise AttributeRefusedError(attribute, answer.result)
        return Piece(answer.last_block, answer.block_number, answer.result)

    return piece


def _unexpected(answer: Apdu) -> RemoteProtocolError:
    return RemoteProtocolError(f"a GET was answered with {type(answer).__name__}", tried="GET")
