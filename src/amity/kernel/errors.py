"""The root of every error that Amity raises on purpose; the type says whose fault it was.

AmityError
├── LocalProtocolError      we (or our caller) asked for something the standard or the association forbids
├── RemoteProtocolError     the other side sent something the standard forbids, or that does not decode
│   └── SecurityError       a tag that does not verify, a counter that went back, a wrong key
├── RemoteRefusalError           the other side understood and said no (data-access-result, association rejected)
├── TransportError          no connection, closed early, no answer in time
├── RequestError            a person or program asked for something that cannot be answered as asked
│   ├── NotFoundError       what they named does not exist here
│   └── AccessError         they did not show who they are
├── ConfigurationError      a setting, mapping or profile that cannot be used as written
└── StorageError            the disk or the database did not take it

No HTTP status and no exit code lives here: the API and the CLI each hold one table.
"""


class AmityError(Exception):
    """An error with what was tried, what came back and what to do next, each a short sentence or None."""

    def __init__(
        self, what: str, *, tried: str | None = None, answer: str | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.tried = tried
        self.answer = answer
        self.next_step = next_step

    def lines(self) -> list[str]:
        """The error as a person reads it, one fact a line."""
        facts = (("tried", self.tried), ("answer", self.answer), ("next", self.next_step))
        return [self.what, *(f"{name}: {text}" for name, text in facts if text)]


class LocalProtocolError(AmityError):
    """We asked for something that the standard or the open association forbids."""


class RemoteProtocolError(AmityError):
    """The other side's bytes break the standard, or do not decode."""


class SecurityError(RemoteProtocolError):
    """A message that does not verify: wrong key, altered bytes, a counter that went back."""


class RemoteRefusalError(AmityError):
    """The other side understood and refused."""


class TransportError(AmityError):
    """The path to the other side failed: refused, closed early, silent."""


class RequestError(AmityError):
    """A person or program asked for something that cannot be answered as it was asked."""


class NotFoundError(RequestError):
    """What they named does not exist here."""


class AccessError(RequestError):
    """They did not show who they are, or what they showed is spent or out of date."""


class ConfigurationError(AmityError):
    """A setting, mapping or profile that cannot be used as it is written."""


class StorageError(AmityError):
    """The disk or the database did not take the data."""
