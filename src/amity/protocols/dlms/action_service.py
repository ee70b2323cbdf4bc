"""The ACTION service (IEC 62056-5-3, Action-Request and Action-Response)."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from amity.protocols.dlms import fields
from amity.protocols.dlms.attributes import Method, descriptor_octets
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import Data, DecodeError, decode_all, encode_length
from amity.protocols.dlms.fields import DataBlock
from amity.protocols.dlms.results import ActionResult, DataAccessResult

REQUEST_TAG = 0xC3
RESPONSE_TAG = 0xC7
_LAST_CHOICE = b"\x01"  # of Get-Data-Result: data (0) or a result (1)


class ActionOutcome(NamedTuple):
    """How one method call of a list went, and what it returned."""

    result: ActionResult
    return_value: Data | DataAccessResult | None = None


@dataclass(frozen=True, slots=True)
class ActionRequestNormal:
    """Call one method."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    method: Method
    parameters: Data | None = None

    def encode(self) -> bytes:
        """The octets of the APDU."""
        call = descriptor_octets(self.method) + fields.optional_data(self.parameters)
        return fields.head(REQUEST_TAG, 1, self.invoke_id_and_priority) + call


@dataclass(frozen=True, slots=True)
class ActionRequestNextPBlock:
    """Acknowledge block `block_number` of a long answer and ask for the next."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    block_number: int

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(REQUEST_TAG, 2, self.invoke_id_and_priority) + fields.number(self.block_number, 4)


@dataclass(frozen=True, slots=True)
class ActionRequestWithList:
    """Call several methods; one parameter each, in the same order."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    methods: tuple[Method, ...]
    parameters: tuple[Data, ...]

    def encode(self) -> bytes:
        """The octets of the APDU."""
        calls = _method_list(self.methods) + fields.data_list(self.parameters)
        return fields.head(REQUEST_TAG, 3, self.invoke_id_and_priority) + calls


@dataclass(frozen=True, slots=True)
class ActionRequestWithFirstPBlock:
    """Begin to call one method with a parameter in blocks."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    method: Method
    block: DataBlock

    def encode(self) -> bytes:
        """The octets of the APDU."""
        call = descriptor_octets(self.method) + self.block.encode()
        return fields.head(REQUEST_TAG, 4, self.invoke_id_and_priority) + call


@dataclass(frozen=True, slots=True)
class ActionRequestWithListAndFirstPBlock:
    """Begin to call several methods with parameters in blocks."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    methods: tuple[Method, ...]
    block: DataBlock

    def encode(self) -> bytes:
        """The octets of the APDU."""
        calls = _method_list(self.methods) + self.block.encode()
        return fields.head(REQUEST_TAG, 5, self.invoke_id_and_priority) + calls


@dataclass(frozen=True, slots=True)
class ActionRequestWithPBlock:
    """Go on with the parameters in blocks."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    block: DataBlock

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(REQUEST_TAG, 6, self.invoke_id_and_priority) + self.block.encode()


@dataclass(frozen=True, slots=True)
class ActionResponseNormal:
    """How the call went and what it returned."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    result: ActionResult
    return_value: Data | DataAccessResult | None = None

    def encode(self) -> bytes:
        """The octets of the APDU."""
        outcome = _outcome(ActionOutcome(self.result, self.return_value))
        return fields.head(RESPONSE_TAG, 1, self.invoke_id_and_priority) + outcome


@dataclass(frozen=True, slots=True)
class ActionResponseWithPBlock:
    """One block of a long answer."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    block: DataBlock

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(RESPONSE_TAG, 2, self.invoke_id_and_priority) + self.block.encode()


@dataclass(frozen=True, slots=True)
class ActionResponseWithList:
    """How each call went."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    outcomes: tuple[ActionOutcome, ...]

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(RESPONSE_TAG, 3, self.invoke_id_and_priority) + outcomes_octets(self.outcomes)


@dataclass(frozen=True, slots=True)
class ActionResponseNextPBlock:
    """A block of parameters has arrived; the next one may come."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    block_number: int

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(RESPONSE_TAG, 4, self.invoke_id_and_priority) + fields.number(self.block_number, 4)


ActionRequest = (
    ActionRequestNormal
    | ActionRequestNextPBlock
    | ActionRequestWithList
    | ActionRequestWithFirstPBlock
    | ActionRequestWithListAndFirstPBlock
    | ActionRequestWithPBlock
)
ActionResponse = ActionResponseNormal | ActionResponseWithPBlock | ActionResponseWithList | ActionResponseNextPBlock


def _method_list(methods: tuple[Method, ...]) -> bytes:
    return encode_length(len(methods)) + b"".join(map(descriptor_octets, methods))


def _outcome(outcome: ActionOutcome) -> bytes:
    if outcome.return_value is None:
        return fields.number(outcome.result) + b"\x00"
    return fields.number(outcome.result) + b"\x01" + fields.data_result(outcome.return_value)


def _read_method_list(cursor: Cursor) -> tuple[Method, ...]:
    return tuple(fields.read_method(cursor) for _ in range(cursor.count(9)))


def _read_outcome(cursor: Cursor) -> ActionOutcome:
    result = ActionResult(cursor.unsigned())
    if not cursor.remaining:  # gurux-dlms 1.0.203 leaves out even the mark that nothing is returned
        return ActionOutcome(result)
    return ActionOutcome(result, _read_returned(cursor, result) if cursor.flag() else None)


def _read_returned(cursor: Cursor, result: ActionResult) -> Data | DataAccessResult | None:
    """Get-Data-Result; some meters leave out its choice, others say success in place of nothing."""
    choice = cursor.buffer[cursor.offset : cursor.offset + 1]
    if result is ActionResult.SUCCESS and choice > _LAST_CHOICE:
        return cursor.data()
    returned = fields.read_data_result(cursor)
    return None if returned is DataAccessResult.SUCCESS else returned


def outcome_octets(outcome: ActionOutcome) -> bytes:
    """What the blocks of a long answer to one call hold together: Action-Response-With-Optional-Data."""
    return _outcome(outcome)


def outcomes_octets(outcomes: tuple[ActionOutcome, ...]) -> bytes:
    """What the blocks of a long answer to a list of calls hold together."""
    return encode_length(len(outcomes)) + b"".join(map(_outcome, outcomes))


def decode_outcome(octets: bytes) -> ActionOutcome:
    """Read the joined blocks of an answer to one call; raise DecodeError.

    Some meters leave result and choice out and send the bare return value: that is taken as success.
    """
    try:
        cursor = Cursor(octets)
        outcome: ActionOutcome | None = _read_outcome(cursor)
        cursor.finish()
    except DecodeError:
        outcome = None
    if outcome is None or not outcome.result.named:
        return ActionOutcome(ActionResult.SUCCESS, decode_all(octets))
    return outcome


def decode_outcomes(octets: bytes) -> tuple[ActionOutcome, ...]:
    """Read the joined blocks of an answer to a list of calls; raise DecodeError."""
    cursor = Cursor(octets)
    outcomes = tuple(_read_outcome(cursor) for _ in range(cursor.count(2)))
    cursor.finish()
    return outcomes


def read_request(cursor: Cursor) -> ActionRequest:
    """What follows the tag of an Action-Request."""
    choice, invoke = cursor.unsigned(), cursor.unsigned()
    match choice:
        case 1:
            return ActionRequestNormal(invoke, fields.read_method(cursor), fields.read_optional_data(cursor))
        case 2:
            return ActionRequestNextPBlock(invoke, cursor.unsigned(4))
        case 3:
            return ActionRequestWithList(invoke, _read_method_list(cursor), fields.read_data_list(cursor))
        case 4:
            return ActionRequestWithFirstPBlock(invoke, fields.read_method(cursor), fields.read_block(cursor))
        case 5:
            return ActionRequestWithListAndFirstPBlock(invoke, _read_method_list(cursor), fields.read_block(cursor))
        case 6:
            return ActionRequestWithPBlock(invoke, fields.read_block(cursor))
        case _:
            raise fields.unknown_choice("an action-request", choice)


def read_response(cursor: Cursor) -> ActionResponse:
    """What follows the tag of an Action-Response."""
    choice, invoke = cursor.unsigned(), cursor.unsigned()
    match choice:
        case 1:
            return ActionResponseNormal(invoke, *_read_outcome(cursor))
        case 2:
            return ActionResponseWithPBlock(invoke, fields.read_block(cursor))
        case 3:
            return ActionResponseWithList(invoke, tuple(_read_outcome(cursor) for _ in range(cursor.count(2))))
        case 4:
            return ActionResponseNextPBlock(invoke, cursor.unsigned(4))
        case _:
            raise fields.unknown_choice("an action-response", choice)
