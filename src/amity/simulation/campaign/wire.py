"""What passes on the wires of a world: counters that are used, associations that are held, octets to replay."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from amity.kernel.errors import AmityError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import AARQ_TAG, Aarq
from amity.protocols.dlms.apdu import Ciphered, GeneralCiphering
from amity.protocols.dlms.ciphered import CipherTag
from amity.protocols.wrapper.frame import Reader
from amity.simulation.campaign.machine import Machine
from amity.simulation.campaign.witness import Witness

_RECORDED_MAX: Final = 200
_CIPHERED: Final = frozenset(int(tag) for tag in CipherTag)


class Known(Protocol):
    """As much as is to be known of a meter."""

    @property
    def meter_id(self) -> str:
        """Its name."""
        ...


class Recorded(NamedTuple):
    """Octets that somebody wrote down: to whom, and what."""

    host: str
    octets: bytes


class Wire:
    """Implements `network.Observer`."""

    def __init__(self, witness: Witness, meters: Mapping[str, Known], head_end: frozenset[str]) -> None:
        self._witness = witness
        self._meters = meters
        self._head_end = head_end
        self._held: dict[str, dict[object, Machine]] = {}
        self._used: dict[str, dict[int, bytes]] = {}
        self.pushes: list[Recorded] = []
        self.requests: dict[str, list[bytes]] = {}
        self.associations = 0
        self.counters = 0

    def opened(self, client: Machine, host: str, line: object) -> None:
        """A head-end's connection with a meter must be the only one there is.

        That of a process which stands still does not count: it cannot know that its lease is over until it goes on.
        """
        if host not in self._meters or client.host not in self._head_end:
            return
        held = self._held.setdefault(host, {})
        awake = [other.name for other in held.values() if not other.was_frozen(self._witness.now_s())]
        if awake:
            others = ", ".join(awake)
            self._witness.violated(
                "one association per meter", f"{client.name} connects to {self._name(host)}, held by {others}"
            )
        held[line] = client
        self.associations += 1

    def closed(self, client: Machine, host: str, line: object) -> None:
        """The connection is over."""
        del client
        self._held.get(host, {}).pop(line, None)

    def sent(self, sender: Machine, host: str, octets: bytes) -> None:
        """Note the counter of a request, and record what an attacker could."""
        if host in self._meters and sender.host in self._head_end:
            if len(self.requests.setdefault(host, [])) < _RECORDED_MAX:
                self.requests[host].append(octets)
            self._count(host, octets)
        elif sender.host in self._meters and host in self._head_end and len(self.pushes) < _RECORDED_MAX:
            self.pushes.append(Recorded(host, octets))

    def _count(self, host: str, octets: bytes) -> None:
        for counter in counters_in(octets):
            used = self._used.setdefault(host, {})
            if counter in used:
                self._witness.violated(
                    "no invocation counter repeats", f"{counter} was used before with {self._name(host)}"
                )
            used[counter] = octets
            self.counters += 1

    def _name(self, host: str) -> str:
        return self._meters[host].meter_id


def counters_in(octets: bytes) -> list[int]:
    """The invocation counters of the protected APDUs in wrapper frames; none in anything else (HDLC, answers)."""
    try:
        frames = Reader().feed(octets)
    except AmityError:
        return []
    return [counter for frame in frames if (counter := counter_of(frame.payload)) is not None]


def counter_of(payload: bytes) -> int | None:
    """The counter of one APDU, None for one that is not protected."""
    try:
        if payload[:1] == bytes([AARQ_TAG]):
            request = acse.decode(payload)
            payload = (request.user_information if isinstance(request, Aarq) else None) or b""
        if not payload or payload[0] not in _CIPHERED:
            return None
        message = apdu.decode(payload)
    except AmityError:
        return None
    return message.invocation_counter if isinstance(message, Ciphered | GeneralCiphering) else None
