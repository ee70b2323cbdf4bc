"""How a server says that it cannot serve at all (IEC 62056-5-3, Exception-Response and confirmedServiceError)."""

from dataclasses import dataclass
from typing import ClassVar

from amity.protocols.dlms import fields
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.results import Code

RESPONSE_TAG = 0xD8
SERVICE_ERROR_TAG = 0x0E


class StateError(Code):
    """Why the state of the server does not allow the service."""

    SERVICE_NOT_ALLOWED = 1
    SERVICE_UNKNOWN = 2


class ServiceError(Code):
    """Why the service failed."""

    OPERATION_NOT_POSSIBLE = 1
    SERVICE_NOT_SUPPORTED = 2
    OTHER_REASON = 3
    PDU_TOO_LONG = 4
    DECIPHERING_ERROR = 5
    INVOCATION_COUNTER_ERROR = 6


@dataclass(frozen=True, slots=True)
class ExceptionResponse:
    """The request was not understood or not allowed; the counter is the lowest one the server would accept."""

    TAG: ClassVar[int] = RESPONSE_TAG
    state_error: StateError
    service_error: ServiceError
    invocation_counter: int | None = None

    def encode(self) -> bytes:
        """The octets of the APDU."""
        counter = b"" if self.invocation_counter is None else fields.number(self.invocation_counter, 4)
        return bytes([RESPONSE_TAG, self.state_error, self.service_error]) + counter


@dataclass(frozen=True, slots=True)
class ConfirmedServiceError:
    """`service` 1 is initiate, 5 read, 6 write; `kind` and `code` are the choice and value of ServiceError."""

    TAG: ClassVar[int] = SERVICE_ERROR_TAG
    service: int
    kind: int
    code: int

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return bytes([SERVICE_ERROR_TAG, self.service, self.kind, self.code])


def read_exception(cursor: Cursor) -> ExceptionResponse:
    """What follows the tag of an Exception-Response."""
    state, service = StateError(cursor.unsigned()), ServiceError(cursor.unsigned())
    counter = None
    if service is ServiceError.INVOCATION_COUNTER_ERROR and cursor.remaining:
        counter = cursor.unsigned(4)
    return ExceptionResponse(state, service, counter)


def read_service_error(cursor: Cursor) -> ConfirmedServiceError:
    """What follows the tag of a confirmedServiceError."""
    return ConfirmedServiceError(*cursor.take(3))
