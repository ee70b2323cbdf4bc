"""Reading attributes in an open association: GET normal, with-list, next (IEC 62056-5-3, 6.6 and 6.8)."""

from collections.abc import Sequence

from amity.devices.client.conversation import Conversation
from amity.devices.client.refusals import AttributeRefusedError
from amity.devices.client.session import Session
from amity.kernel.errors import LocalProtocolError, RemoteProtocolError
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

ANSWER_OCTETS_MAX = 16 << 20
"""A long answer is cut off here: a year of quarter hours with 30 columns stays below."""

_LIST_ATTRIBUTES_MAX = 16  # what small meters still take in one request
_LIST_ATTRIBUTE_OCTETS = 10  # class id, logical name, attribute, no access
_LIST_FRAME_OCTETS = 40  # the head of the request, and what sealing adds
_LIST_HEAD = bytes([GetResponseWithList.TAG, 3, 0])
_Response = GetResponseNormal | GetResponseWithBlock | GetResponseWithList
_INVOKE_ID = 0x0F


def get_octets(session: Session, attribute: Attribute, access: Access | None = None) -> Conversation[bytes]:
    """Read one attribute; return the A-XDR octets of its value, joined if they came in blocks.

    Raises:
        AttributeRefusedError: the meter gives a data-access-result instead.
        LocalProtocolError: the association was not granted what this needs.
        RemoteProtocolError: the answer does not fit the request (invoke id, block number, type).
    """
    _demand(session, Conformance.GET, "GET")
    if access is not None:
        _demand(session, Conformance.SELECTIVE_ACCESS, "selective access")
    invoke = session.next_invoke()
    answer = yield from _ask(session, GetRequestNormal(invoke, attribute, access), invoke)
    if isinstance(answer, GetResponseNormal):
        if answer.error is not None:
            raise AttributeRefusedError(attribute, answer.error)
        return answer.raw
    if isinstance(answer, GetResponseWithBlock):
        return (yield from _joined(session, answer, attribute, invoke))
    raise _unexpected(answer)


def get(session: Session, attribute: Attribute, access: Access | None = None) -> Conversation[Data]:
    """Read one attribute as Data; raises as `get_octets` does."""
    return decode_all((yield from get_octets(session, attribute, access)))


def get_list(session: Session, attributes: Sequence[Attribute]) -> Conversation[tuple[Data | DataAccessResult, ...]]:
    """Read several attributes, each answered by its value or by the reason why there is none.

    Uses GET with-list where it was granted, single GETs where not.
    """
    results: list[Data | DataAccessResult] = []
    together = bool(session.conformance & Conformance.MULTIPLE_REFERENCES)
    read, step = (_get_some, _attributes_per_request(session)) if together else (_get_one, 1)
    for start in range(0, len(attributes), step):
        results += yield from read(session, attributes[start : start + step])
    return tuple(results)


def _attributes_per_request(session: Session) -> int:
    if not session.max_pdu_octets:
        return _LIST_ATTRIBUTES_MAX
    room_octets = session.max_pdu_octets - _LIST_FRAME_OCTETS
    return max(1, min(_LIST_ATTRIBUTES_MAX, room_octets // _LIST_ATTRIBUTE_OCTETS))


def _get_one(session: Session, attributes: Sequence[Attribute]) -> Conversation[tuple[Data | DataAccessResult, ...]]:
    try:
        return ((yield from get(session, attributes[0])),)
    except AttributeRefusedError as refusal:
        return (refusal.result,)


def _get_some(session: Session, attributes: Sequence[Attribute]) -> Conversation[tuple[Data | DataAccessResult, ...]]:
    _demand(session, Conformance.GET, "GET")
    invoke = session.next_invoke()
    request = GetRequestWithList(invoke, tuple((attribute, None) for attribute in attributes))
    answer = yield from _ask(session, request, invoke)
    if isinstance(answer, GetResponseWithBlock):
        joined = yield from _joined(session, answer, attributes[0], invoke)
        answer = _listed(joined)
    if not isinstance(answer, GetResponseWithList):
        raise _unexpected(answer)
    if len(answer.results) != len(attributes):
        raise RemoteProtocolError(
            f"{len(attributes)} attributes were asked for and {len(answer.results)} answers came", tried="GET with-list"
        )
    return answer.results


def _listed(joined: bytes) -> _Response:
    """A list that came in blocks holds what follows the head of an unblocked one."""
    answer = decode(_LIST_HEAD + joined)
    if not isinstance(answer, GetResponseWithList):
        raise _unexpected(answer)
    return answer


def _joined(session: Session, first: GetResponseWithBlock, attribute: Attribute, invoke: int) -> Conversation[bytes]:
    blocks: list[bytes] = []
    answer, number, octet_count = first, 1, 0
    while True:
        if isinstance(answer.result, DataAccessResult):
            raise AttributeRefusedError(attribute, answer.result)
        if answer.block_number != number:
            raise RemoteProtocolError(
                f"block {number} was due and block {answer.block_number} came", tried=f"GET {attribute}"
            )
        blocks.append(answer.result)
        octet_count += len(answer.result)
        if answer.last_block:
            return b"".join(blocks)
        _check_progress(octet_count, answer.result, attribute)
        following = yield from _ask(session, GetRequestNext(invoke, number), invoke)
        if not isinstance(following, GetResponseWithBlock):
            raise _unexpected(following)
        answer, number = following, number + 1


def _check_progress(octet_count: int, block: bytes, attribute: Attribute) -> None:
    if not block or octet_count > ANSWER_OCTETS_MAX:
        raise RemoteProtocolError(
            "a long answer does not come to an end", tried=f"GET {attribute}", answer=f"{octet_count} octets so far"
        )


def _ask(
    session: Session, request: GetRequestNormal | GetRequestNext | GetRequestWithList, invoke: int
) -> Conversation[_Response]:
    answer = yield from session.exchange(request.encode())
    if not isinstance(answer, GetResponseNormal | GetResponseWithBlock | GetResponseWithList):
        raise _unexpected(answer)
    if (answer.invoke_id_and_priority ^ invoke) & _INVOKE_ID:
        raise RemoteProtocolError(
            f"the answer belongs to request {answer.invoke_id_and_priority & _INVOKE_ID},"
            f" not to request {invoke & _INVOKE_ID}",
            tried="GET",
            next_step="an answer came late: open a new association, with a longer timeout",
        )
    return answer


def _demand(session: Session, service: Conformance, name: str) -> None:
    if not session.conformance & service:
        raise LocalProtocolError(
            f"the meter did not grant {name} to this association",
            next_step="use a client that may, or take it out of the meter's profile",
        )


def _unexpected(answer: Apdu) -> RemoteProtocolError:
    return RemoteProtocolError(f"a GET was answered with {type(answer).__name__}", tried="GET")
