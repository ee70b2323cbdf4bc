"""Writing attributes in an open association: SET normal, with-list, in blocks (IEC 62056-5-3, 6.7 and 9.4.6.7)."""

from collections.abc import Sequence

from amity.devices.client.blocks import send_in_blocks
from amity.devices.client.conversation import Conversation
from amity.devices.client.reading import LISTED_ATTRIBUTE_OCTETS
from amity.devices.client.refusals import WriteRefusedError
from amity.devices.client.session import Session
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms import fields
from amity.protocols.dlms.apdu import (
    Apdu,
    Attribute,
    Conformance,
    DataAccessResult,
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
    SetResponseWithList,
)
from amity.protocols.dlms.data import Data, encode
from amity.protocols.dlms.selective_access import Access

Assignment = tuple[Attribute, Data]
"""An attribute and the value it is to take."""


def set_attribute(
    session: Session, attribute: Attribute, value: Data, access: Access | None = None
) -> Conversation[None]:
    """Write one attribute, in blocks when it is longer than the meter takes at once.

    Raises:
        WriteRefusedError: the meter gives another data-access-result than success; nothing was written.
        LocalProtocolError: the association was not granted what this needs.
        RemoteProtocolError: the answer does not fit the request (invoke id, block number, type).
    """
    if access is not None:
        session.demand(Conformance.SELECTIVE_ACCESS)
    invoke = session.next_invoke()
    request = SetRequestNormal(invoke, attribute, access, value)
    if session.takes(request):
        answer = yield from session.ask(request)
    else:
        answer = yield from send_in_blocks(
            session,
            encode(value),
            lambda block: SetRequestWithFirstDataBlock(invoke, attribute, access, block),
            lambda block: SetRequestWithDataBlock(invoke, block),
            SetResponseDataBlock,
            tried=f"SET {attribute}",
        )
    if not isinstance(answer, SetResponseNormal | SetResponseLastDataBlock):
        raise _unexpected(answer)
    if answer.result is not DataAccessResult.SUCCESS:
        raise WriteRefusedError(attribute, answer.result)


def set_unconfirmed(session: Session, attribute: Attribute, value: Data) -> Conversation[None]:
    """Write one attribute and wait for no answer; raises as `Session.tell` does."""
    return session.tell(SetRequestNormal(session.next_unconfirmed_invoke(), attribute, None, value))


def set_list(session: Session, assignments: Sequence[Assignment]) -> Conversation[tuple[DataAccessResult, ...]]:
    """Write several attributes; return how each went, for some may be written and others not.

    Uses SET with-list where it was granted, single SETs where not; raises as `set_attribute` does, but for refusals.
    """
    results: list[DataAccessResult] = []
    step = session.list_parts(LISTED_ATTRIBUTE_OCTETS, result_octets=1)
    write = _set_one if step == 1 else _set_some
    for start in range(0, len(assignments), step):
        results += yield from write(session, assignments[start : start + step])
    return tuple(results)


def _set_one(session: Session, assignments: Sequence[Assignment]) -> Conversation[tuple[DataAccessResult, ...]]:
    try:
        yield from set_attribute(session, *assignments[0])
    except WriteRefusedError as refusal:
        return (refusal.result,)
    return (DataAccessResult.SUCCESS,)


def _set_some(session: Session, assignments: Sequence[Assignment]) -> Conversation[tuple[DataAccessResult, ...]]:
    invoke = session.next_invoke()
    attributes = tuple((attribute, None) for attribute, _ in assignments)
    values = tuple(value for _, value in assignments)
    request = SetRequestWithList(invoke, attributes, values)
    if session.takes(request):
        answer = yield from session.ask(request)
    else:
        answer = yield from send_in_blocks(
            session,
            fields.data_list(values),
            lambda block: SetRequestWithListAndFirstDataBlock(invoke, attributes, block),
            lambda block: SetRequestWithDataBlock(invoke, block),
            SetResponseDataBlock,
            tried="SET with-list",
        )
    if isinstance(answer, SetResponseLastDataBlock) and answer.result is not DataAccessResult.SUCCESS:
        return (answer.result,) * len(assignments)  # the transfer failed as a whole: nothing was written
    if not isinstance(answer, SetResponseWithList | SetResponseLastDataBlockWithList):
        raise _unexpected(answer)
    if len(answer.results) != len(assignments):
        raise RemoteProtocolError(
            f"{len(assignments)} values were written and {len(answer.results)} results came", tried="SET with-list"
        )
    return answer.results


def _unexpected(answer: Apdu) -> RemoteProtocolError:
    return RemoteProtocolError(f"a SET was answered with {type(answer).__name__}", tried="SET")
