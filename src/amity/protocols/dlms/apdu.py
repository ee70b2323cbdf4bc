"""Every xDLMS APDU that Amity speaks, by its tag (IEC 62056-5-3, XDLMS-APDU)."""

from collections.abc import Callable

from amity.protocols.dlms import (
    access_service,
    action_service,
    block_transfer,
    exceptions,
    get_service,
    initiate,
    notification,
    set_service,
)
from amity.protocols.dlms.access_service import (
    AccessKind,
    AccessOutcome,
    AccessRequest,
    AccessResponse,
    AccessSpecification,
)
from amity.protocols.dlms.action_service import (
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
)
from amity.protocols.dlms.attributes import Attribute, Method
from amity.protocols.dlms.block_transfer import GeneralBlockTransfer
from amity.protocols.dlms.ciphered import (
    Ciphered,
    CipherTag,
    GeneralCiphering,
    GeneralSigning,
    read_ciphered,
    read_general_ciphering,
    read_general_signing,
)
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data_types import DecodeError
from amity.protocols.dlms.exceptions import ConfirmedServiceError, ExceptionResponse, ServiceError, StateError
from amity.protocols.dlms.fields import DEFAULT_INVOKE, DataBlock
from amity.protocols.dlms.get_service import (
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithBlock,
    GetResponseWithList,
)
from amity.protocols.dlms.initiate import Conformance, InitiateRequest, InitiateResponse
from amity.protocols.dlms.notification import DataNotification, DataNotificationConfirm, EventNotification
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from amity.protocols.dlms.selective_access import EntryAccess, OtherAccess, RangeAccess, parse_access
from amity.protocols.dlms.set_service import (
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

__all__ = [
    "DEFAULT_INVOKE", "AccessKind", "AccessOutcome", "AccessRequest", "AccessResponse", "AccessSpecification",
    "ActionOutcome", "ActionRequestNextPBlock", "ActionRequestNormal", "ActionRequestWithFirstPBlock",
    "ActionRequestWithList", "ActionRequestWithListAndFirstPBlock", "ActionRequestWithPBlock",
    "ActionResponseNextPBlock", "ActionResponseNormal", "ActionResponseWithList", "ActionResponseWithPBlock",
    "ActionResult", "Apdu", "Attribute", "CipherTag", "Ciphered", "ConfirmedServiceError", "Conformance",
    "DataAccessResult", "DataBlock", "DataNotification", "DataNotificationConfirm", "EntryAccess", "EventNotification",
    "ExceptionResponse",
    "GeneralBlockTransfer", "GeneralCiphering", "GeneralSigning", "GetRequestNext", "GetRequestNormal",
    "GetRequestWithList",
    "GetResponseNormal", "GetResponseWithBlock", "GetResponseWithList", "InitiateRequest", "InitiateResponse",
    "Method", "OtherAccess", "RangeAccess", "ServiceError", "SetRequestNormal", "SetRequestWithDataBlock",
    "SetRequestWithFirstDataBlock", "SetRequestWithList", "SetRequestWithListAndFirstDataBlock",
    "SetResponseDataBlock", "SetResponseLastDataBlock", "SetResponseLastDataBlockWithList", "SetResponseNormal",
    "SetResponseWithList", "StateError", "decode", "decode_prefix", "encode", "parse_access",
]  # fmt: skip

Apdu = (
    get_service.GetRequest
    | get_service.GetResponse
    | set_service.SetRequest
    | set_service.SetResponse
    | action_service.ActionRequest
    | action_service.ActionResponse
    | EventNotification
    | DataNotification
    | DataNotificationConfirm
    | ExceptionResponse
    | ConfirmedServiceError
    | GeneralBlockTransfer
    | AccessRequest
    | AccessResponse
    | InitiateRequest
    | InitiateResponse
    | Ciphered
    | GeneralCiphering
    | GeneralSigning
)

_READERS: dict[int, Callable[[Cursor], Apdu]] = {
    get_service.REQUEST_TAG: get_service.read_request,
    get_service.RESPONSE_TAG: get_service.read_response,
    set_service.REQUEST_TAG: set_service.read_request,
    set_service.RESPONSE_TAG: set_service.read_response,
    action_service.REQUEST_TAG: action_service.read_request,
    action_service.RESPONSE_TAG: action_service.read_response,
    notification.EVENT_TAG: notification.read_event_notification,
    notification.DATA_TAG: notification.read_data_notification,
    notification.CONFIRM_TAG: notification.read_data_notification_confirm,
    exceptions.RESPONSE_TAG: exceptions.read_exception,
    exceptions.SERVICE_ERROR_TAG: exceptions.read_service_error,
    block_transfer.BLOCK_TAG: block_transfer.read_block,
    access_service.REQUEST_TAG: access_service.read_request,
    access_service.RESPONSE_TAG: access_service.read_response,
    initiate.REQUEST_TAG: initiate.read_request,
    initiate.RESPONSE_TAG: initiate.read_response,
    GeneralCiphering.TAG: read_general_ciphering,
    GeneralSigning.TAG: read_general_signing,
}
_CIPHER_TAGS: dict[int, CipherTag] = {tag.value: tag for tag in CipherTag}


def encode(apdu: Apdu) -> bytes:
    """The octets of an APDU; raise LocalProtocolError when a value does not fit its field."""
    return apdu.encode()


def decode(buffer: bytes) -> Apdu:
    """The APDU that fills the buffer; raise DecodeError for any other octets."""
    apdu, end = decode_prefix(buffer)
    if end != len(buffer):
        raise DecodeError(f"{len(buffer) - end} octets are left over", end)
    return apdu


def decode_prefix(buffer: bytes) -> tuple[Apdu, int]:
    """The APDU that the buffer starts with and where it ends; raise DecodeError when it starts with none.

    A Get-Response-Normal and a Data-Notification take all that follows, for they keep their value undecoded.
    """
    cursor = Cursor(buffer)
    tag = cursor.unsigned()
    reader = _READERS.get(tag)
    if reader is not None:
        apdu = reader(cursor)
    elif tag in _CIPHER_TAGS:
        apdu = read_ciphered(_CIPHER_TAGS[tag], cursor)
    else:
        raise DecodeError(f"{tag:#04x} is no APDU that Amity knows", 0)
    return apdu, cursor.offset


def known_tags() -> frozenset[int]:
    """The first octets that `decode` takes."""
    return frozenset(_READERS) | frozenset(_CIPHER_TAGS)
