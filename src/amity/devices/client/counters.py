"""Invocation counters of a client: they only rise; a meter can be asked where it stands (IEC 62056-5-3, 5.3.4.7)."""

from collections.abc import Callable
from dataclasses import replace

from amity.devices.client.association import associate, release
from amity.devices.client.conversation import Conversation, Ports
from amity.devices.client.reading import get
from amity.devices.client.refusals import InvocationCounterError
from amity.devices.client.session import Session
from amity.devices.interface_classes import DATA
from amity.devices.settings import AssociationSettings
from amity.kernel.errors import LocalProtocolError, RemoteProtocolError, SecurityError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute
from amity.protocols.dlms.ciphering import COUNTER_MAX

_VALUE = 2

RESYNC_MAX = 0xEFFF_FFFF
"""An ExceptionResponse is not authenticated, nor is what the public client reads: whoever stands in between can name
any counter. So what is believed of such answers, however many come, never passes this: the last sixteenth of the range
stays ours, 268 million numbers, more than a meter uses in its life. Counters that are a time in seconds since 2000 lie
below it until 2127."""


class ImplausibleCounterError(SecurityError):
    """A counter that nobody vouches for and that would all but spend the key."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"the meter asks for invocation counter {number}, which would all but spend the key",
            next_step="check that nobody is in between; if the meter does stand there, say the counter yourself"
            " (--counter), and have its encryption key changed",
        )


class RisingCounter:
    """Gives each number once; it can be raised, never lowered. Whoever keeps it on disk tells it where to begin."""

    __slots__ = ("_next",)

    def __init__(self, first: int = 0) -> None:
        self._next = first

    def __call__(self) -> int:
        """The next number; raise LocalProtocolError when 32 bits are spent."""
        if self._next > COUNTER_MAX:
            raise LocalProtocolError(
                "the invocation counter is spent", next_step="change the encryption key; that starts it again"
            )
        number, self._next = self._next, self._next + 1
        return number

    @property
    def next(self) -> int:
        """What comes next, to be kept on disk."""
        return self._next

    def raise_to(self, number: int) -> None:
        """Go on from this number, if that is ahead; a lower one changes nothing.

        Raises ImplausibleCounterError for a number that nobody should believe.
        """
        if number > RESYNC_MAX:
            raise ImplausibleCounterError(number)
        self._next = max(self._next, number)


def read_invocation_counter(session: Session, obis: Obis) -> Conversation[int]:
    """The highest counter that the meter has seen of the client that the object (0.0.43.1.x.255) is about."""
    data = yield from get(session, Attribute(DATA.class_id, obis, _VALUE))
    if isinstance(data.value, int) and 0 <= data.value <= COUNTER_MAX:
        return data.value
    raise RemoteProtocolError(f"object {obis} holds no invocation counter", tried=f"GET {obis}")


def discover_invocation_counter(public: AssociationSettings, ports: Ports, obis: Obis) -> Conversation[int]:
    """Ask as the public client which counter the keyed client has to be above; `public` needs neither key nor password.

    What comes back is not authenticated: use it through `RisingCounter.raise_to` only.
    """
    session = yield from associate(public, ports)
    counter = yield from read_invocation_counter(session, obis)
    yield from release(session)
    return counter


def associate_in_step(settings: AssociationSettings, ports: Ports, counter: RisingCounter) -> Conversation[Session]:
    """Open an association; a meter that waits for a higher counter is given it, once. Raises as `associate` does."""
    rising: Callable[[], int] = counter
    ports, first = replace(ports, next_invocation_counter=rising), counter.next
    try:
        return (yield from associate(settings, ports))
    except InvocationCounterError as error:
        if error.expected is None or error.expected <= first:
            raise
        counter.raise_to(error.expected)
    return (yield from associate(settings, ports))
