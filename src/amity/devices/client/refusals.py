"""What a meter refuses: typed errors with cause and remedy.

RemoteRefusalError
├── AssociationRejectedError    AARE with a result other than accepted, or a failed HLS exchange
├── ServiceRefusedError         ExceptionResponse or ConfirmedServiceError instead of an answer
│   └── InvocationCounterError  the meter says our counter is behind; `expected` is what it waits for
├── AttributeRefusedError       a data-access-result instead of a value
├── WriteRefusedError           a data-access-result other than success for a value we sent
└── MethodRefusedError          an action-result other than success
"""

from amity.kernel.errors import RemoteRefusalError
from amity.protocols.dlms.acse import AssociationResult, ProviderDiagnostic, SourceDiagnostic
from amity.protocols.dlms.apdu import ActionResult, Attribute, DataAccessResult, Method

REJECTED = "DLMS Association Rejected"


class AssociationRejectedError(RemoteRefusalError):
    """The meter did not open the association; `result` and `diagnostic` are what its AARE says, if it sent one."""

    def __init__(
        self,
        cause: str,
        *,
        remedy: str,
        tried: str | None = None,
        answer: str | None = None,
        result: AssociationResult | None = None,
        diagnostic: SourceDiagnostic | ProviderDiagnostic | None = None,
    ) -> None:
        super().__init__(f"{REJECTED}: {cause}", tried=tried, answer=answer, next_step=remedy)
        self.result = result
        self.diagnostic = diagnostic


class ServiceRefusedError(RemoteRefusalError):
    """The meter answered a request with an error of the service itself."""


_TOLD_COUNTER_REMEDY = "raise the stored counter of this meter and association to that number, then try again"
_UNTOLD_COUNTER_REMEDY = (
    "read the counter that the meter keeps for this client (class 1, 0.0.43.1.x.255) with a client that needs no key,"
    " raise the stored counter of this meter above it, then try again; or give the meter a new key"
)


class InvocationCounterError(ServiceRefusedError):
    """Our invocation counter is not above the last one the meter saw; `expected` is what it takes, None if untold."""

    def __init__(self, expected: int | None, *, tried: str) -> None:
        wanted = "the meter does not say which" if expected is None else f"the meter expects {expected} or more"
        super().__init__(
            f"the invocation counter we sent is not accepted: {wanted}",
            tried=tried,
            answer="ExceptionResponse invocation-counter-error",
            next_step=_UNTOLD_COUNTER_REMEDY if expected is None else _TOLD_COUNTER_REMEDY,
        )
        self.expected = expected


class AttributeRefusedError(RemoteRefusalError):
    """The meter gave a data-access-result instead of the value of `attribute`."""

    def __init__(self, attribute: Attribute, result: DataAccessResult) -> None:
        super().__init__(
            f"the meter does not give attribute {attribute}: {result.label}",
            tried=f"GET {attribute}",
            answer=f"data-access-result {result.label}",
            next_step=_ATTRIBUTE_REMEDIES.get(result, "read it again later, or ask for another attribute"),
        )
        self.attribute = attribute
        self.result = result


class WriteRefusedError(RemoteRefusalError):
    """The meter did not take a value for `attribute`."""

    def __init__(self, attribute: Attribute, result: DataAccessResult) -> None:
        super().__init__(
            f"the meter does not take a value for attribute {attribute}: {result.label}",
            tried=f"SET {attribute}",
            answer=f"data-access-result {result.label}",
            next_step=_CHANGE_REMEDIES.get(result.name, "check the value against the meter's profile"),
        )
        self.attribute = attribute
        self.result = result


class MethodRefusedError(RemoteRefusalError):
    """The meter did not do what `method` does, or gave the reason why it returns nothing."""

    def __init__(self, method: Method, result: ActionResult | DataAccessResult) -> None:
        super().__init__(
            f"the meter does not carry out method {method}: {result.label}",
            tried=f"ACTION {method}",
            answer=f"action-result {result.label}",
            next_step=_CHANGE_REMEDIES.get(result.name, "check the parameters against the meter's profile"),
        )
        self.method = method
        self.result = result


_ATTRIBUTE_REMEDIES = {
    DataAccessResult.OBJECT_UNDEFINED: "list what the meter has: read attribute 2 of 15/0.0.40.0.0.255",
    DataAccessResult.OBJECT_CLASS_INCONSISTENT: "ask with the class that the meter's object list names",
    DataAccessResult.READ_WRITE_DENIED: "use a client (association) that has the right to read it",
    DataAccessResult.SCOPE_OF_ACCESS_VIOLATED: "use a client (association) that has the right to read it",
    DataAccessResult.TEMPORARY_FAILURE: "try again in a moment",
}
_CHANGE_REMEDIES = {
    "OBJECT_UNDEFINED": "list what the meter has: read attribute 2 of 15/0.0.40.0.0.255",
    "OBJECT_CLASS_INCONSISTENT": "ask with the class that the meter's object list names",
    "READ_WRITE_DENIED": "use a client (association) that has the right to change it",
    "SCOPE_OF_ACCESS_VIOLATED": "use a client (association) that has the right to change it",
    "TYPE_UNMATCHED": "send the type that the meter gives when the attribute is read",
    "TEMPORARY_FAILURE": "try again in a moment",
}
