"""An APDU in a few words for people: its name and its key fields, never a secret."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import Aare, Aarq, AcseApdu
from amity.protocols.dlms.apdu import (
    AccessOutcome,
    AccessRequest,
    AccessResponse,
    ActionOutcome,
    ActionRequestNextPBlock,
    ActionRequestNormal,
    ActionRequestWithFirstPBlock,
    ActionRequestWithList,
    ActionRequestWithPBlock,
    ActionResponseNextPBlock,
    ActionResponseNormal,
    ActionResponseWithList,
    ActionResponseWithPBlock,
    Apdu,
    ConfirmedServiceError,
    DataAccessResult,
    DataBlock,
    ExceptionResponse,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithBlock,
    GetResponseWithList,
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
    SetResponseWithList,
)

_ACSE_TAGS = frozenset({acse.AARQ_TAG, acse.AARE_TAG, acse.RLRQ_TAG, acse.RLRE_TAG})
_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


def describe(plain: bytes) -> tuple[str, str]:
    """Name and key fields of a plain APDU; octets that are none are called `unreadable`."""
    if not plain:
        return "unreadable", ""
    try:
        decoded = acse.decode(plain) if plain[0] in _ACSE_TAGS else apdu.decode(plain)
    except RemoteProtocolError as error:
        return "unreadable", error.what
    return _name(decoded), _FIELDS.get(type(decoded), _nothing)(decoded)


def _name(decoded: Apdu | AcseApdu) -> str:
    return _WORD_START.sub("-", type(decoded).__name__).lower()


def _nothing(_: Any) -> str:
    return ""


def _aarq(aarq: Aarq) -> str:
    words = [f"context={_word(aarq.context.name)}"]
    if aarq.mechanism is not None:
        words.append(f"mechanism={_word(aarq.mechanism.name)} authentication-value=***")
    if aarq.calling_ap_title:
        words.append(f"title={aarq.calling_ap_title.hex()}")
    return " ".join(words)


def _aare(aare: Aare) -> str:
    words = [f"result={aare.result.label}", f"diagnostic={aare.diagnostic.label}"]
    if aare.responding_ap_title:
        words.append(f"title={aare.responding_ap_title.hex()}")
    return " ".join(words)


def _get_request(request: GetRequestNormal) -> str:
    access = "" if request.access is None else f" selector={request.access.selector}"
    return f"{request.attribute}{access}"


def _get_response(response: GetResponseNormal) -> str:
    if response.error is not None:
        return f"refused={response.error.label}"
    return f"data={_shortened(response.raw)}"


def _get_block(response: GetResponseWithBlock) -> str:
    last = " last" if response.last_block else ""
    if isinstance(response.result, bytes):
        return f"block={response.block_number}{last} data={_shortened(response.result)}"
    return f"block={response.block_number}{last} refused={response.result.label}"


def _block(block: DataBlock) -> str:
    last = " last" if block.last_block else ""
    return f"block={block.block_number}{last} octets={len(block.raw)}"


def _labels(results: Iterable[DataAccessResult | ActionOutcome | AccessOutcome]) -> str:
    named = (one if isinstance(one, DataAccessResult) else one.result for one in results)
    return ",".join(result.label for result in named)


def _shortened(octets: bytes) -> str:
    shown_octets_max = 16
    return octets.hex() if len(octets) <= shown_octets_max else f"{octets[:shown_octets_max].hex()}…"


def _word(name: str) -> str:
    return name.lower().replace("_", "-")


_FIELDS: dict[type, Callable[[Any], str]] = {
    Aarq: _aarq,
    Aare: _aare,
    GetRequestNormal: _get_request,
    GetRequestNext: lambda request: f"block={request.block_number}",
    GetRequestWithList: lambda request: " ".join(str(attribute) for attribute, _ in request.attributes),
    GetResponseNormal: _get_response,
    GetResponseWithBlock: _get_block,
    GetResponseWithList: lambda response: f"results={len(response.results)}",
    SetRequestNormal: lambda request: str(request.attribute),  # not the value: it may be a key
    SetRequestWithFirstDataBlock: lambda request: f"{request.attribute} {_block(request.block)}",
    SetRequestWithDataBlock: lambda request: _block(request.block),
    SetRequestWithList: lambda request: " ".join(str(attribute) for attribute, _ in request.attributes),
    SetResponseNormal: lambda response: f"result={response.result.label}",
    SetResponseDataBlock: lambda response: f"block={response.block_number}",
    SetResponseLastDataBlock: lambda response: f"block={response.block_number} result={response.result.label}",
    SetResponseWithList: lambda response: f"results={_labels(response.results)}",
    SetResponseLastDataBlockWithList: lambda response: f"results={_labels(response.results)}",
    ActionRequestNormal: lambda request: str(request.method),
    ActionRequestWithFirstPBlock: lambda request: f"{request.method} {_block(request.block)}",
    ActionRequestWithPBlock: lambda request: _block(request.block),
    ActionRequestNextPBlock: lambda request: f"block={request.block_number}",
    ActionRequestWithList: lambda request: " ".join(map(str, request.methods)),
    ActionResponseNormal: lambda response: f"result={response.result.label}",
    ActionResponseWithPBlock: lambda response: _block(response.block),
    ActionResponseNextPBlock: lambda response: f"block={response.block_number}",
    ActionResponseWithList: lambda response: f"results={_labels(response.outcomes)}",
    AccessRequest: lambda request: " ".join(f"{_word(one.kind.name)}={one.target}" for one in request.specifications),
    AccessResponse: lambda response: f"results={_labels(response.outcomes)}",
    ExceptionResponse: lambda error: f"{error.state_error.label} {error.service_error.label}",
    ConfirmedServiceError: lambda error: f"service={error.service} error={error.kind}.{error.code}",
}
