"""Which part of the negotiated conformance each service request needs (IEC 62056-5-3, 7.3.1): one table, both sides."""

from amity.protocols.dlms.apdu import (
    AccessRequest,
    ActionRequestNextPBlock,
    ActionRequestNormal,
    ActionRequestWithFirstPBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstPBlock,
    ActionRequestWithPBlock,
    Apdu,
    Conformance,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
)

_NOTHING = Conformance(0)
_GET_BLOCKS = Conformance.GET | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
_SET_BLOCKS = Conformance.SET | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
_ACTION_BLOCKS = Conformance.ACTION | Conformance.BLOCK_TRANSFER_WITH_ACTION

_NEEDS: dict[type, Conformance] = {
    GetRequestNormal: Conformance.GET,
    GetRequestNext: _GET_BLOCKS,
    GetRequestWithList: Conformance.GET | Conformance.MULTIPLE_REFERENCES,
    SetRequestNormal: Conformance.SET,
    SetRequestWithFirstDataBlock: _SET_BLOCKS,
    SetRequestWithDataBlock: _SET_BLOCKS,
    SetRequestWithList: Conformance.SET | Conformance.MULTIPLE_REFERENCES,
    SetRequestWithListAndFirstDataBlock: _SET_BLOCKS | Conformance.MULTIPLE_REFERENCES,
    ActionRequestNormal: Conformance.ACTION,
    ActionRequestNextPBlock: _ACTION_BLOCKS,
    ActionRequestWithList: Conformance.ACTION | Conformance.MULTIPLE_REFERENCES,
    ActionRequestWithFirstPBlock: _ACTION_BLOCKS,
    ActionRequestWithListAndFirstPBlock: _ACTION_BLOCKS | Conformance.MULTIPLE_REFERENCES,
    ActionRequestWithPBlock: _ACTION_BLOCKS,
    AccessRequest: Conformance.ACCESS,
}


def needs(request: Apdu, *, ciphered: bool = False) -> Conformance:
    """What must have been granted for this request; nothing for APDUs that are none.

    ACCESS has no tag of its own for a `ciphered` association: there it travels in general protection.
    """
    needed = _NEEDS.get(type(request), _NOTHING)
    in_general = ciphered and Conformance.ACCESS in needed
    return needed | Conformance.GENERAL_PROTECTION if in_general else needed


def names(conformance: Conformance) -> str:
    """`set, block-transfer-with-set-or-write`: the words of the standard."""
    return ", ".join(str(bit.name).lower().replace("_", "-") for bit in conformance)
