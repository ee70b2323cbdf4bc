"""What a meter tells about itself once an association stands: name, security, counters, other clients, objects."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from amity.devices.client.association import associate
from amity.devices.client.conversation import Conversation, Ports
from amity.devices.client.reading import get
from amity.devices.client.refusals import AttributeRefusedError, ServiceRefusedError
from amity.devices.client.session import Session
from amity.devices.interface_classes import ASSOCIATION_LN, CURRENT_ASSOCIATION, DATA, SECURITY_SETUP
from amity.devices.settings import AssociationSettings
from amity.kernel.errors import RemoteProtocolError, SecurityError
from amity.kernel.obis import Obis
from amity.protocols.dlms.acse import Mechanism
from amity.protocols.dlms.apdu import Attribute, Conformance
from amity.protocols.dlms.data import Data

_NAME = Attribute(DATA.class_id, Obis.parse("0.0.42.0.0.255"), 2)
_SERIAL = Attribute(DATA.class_id, Obis.parse("0.0.96.1.0.255"), 2)
_SECURITY = Obis.parse("0.0.43.0.0.255")
_OBIS_OCTETS = 6
_OID_OCTETS = 7
_CLIENTS_MAX = 8
_LISTED_ASSOCIATION = b"\x00\x00\x28\x00"


class ListedObject(NamedTuple):
    """One entry of the object list."""

    class_id: int
    version: int
    obis: Obis


class ListedClient(NamedTuple):
    """Another association of the meter, as its own object tells: the client, what it must come with, whose keys."""

    client: int
    ciphered: bool | None
    mechanism: Mechanism | None
    security_setup: Obis | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What one client was told. None, or an empty collection, stands for what the meter does not tell this client.

    `counters` holds the invocation counters by the object that tells them. `policy` is security_policy of the security
    setup, as a number whose meaning depends on the object's version.
    """

    name: str | None
    serial: str | None
    suite: int | None
    policy: int | None
    server_title: bytes
    counters: dict[Obis, int]
    clients: tuple[ListedClient, ...]
    objects: tuple[ListedObject, ...]
    conformance: Conformance
    max_pdu_octets: int

    @property
    def measures(self) -> bool:
        """True when it lists something measured for this client: an object of a medium (value group A)."""
        return any(listed.obis[0] for listed in self.objects)

    def lists(self, obis: Obis) -> bool:
        """True when the object is in the list that this client is shown."""
        return any(listed.obis == obis for listed in self.objects)


class Visit(NamedTuple):
    """An open association and what was learnt in it."""

    session: Session
    facts: Facts


def visit(settings: AssociationSettings, ports: Ports, counters: Iterable[Obis]) -> Conversation[Visit]:
    """Associate and read what tells about the meter; raises what `associate` raises.

    `counters` are the objects that may hold an invocation counter, besides those that the object list names.
    """
    session = yield from associate(settings, ports)
    facts = yield from gather(session, counters)
    return Visit(session, facts)


def gather(session: Session, counters: Iterable[Obis]) -> Conversation[Facts]:
    """Read what tells about the meter in an open association; what it refuses is left out."""
    name = _text((yield from _value(session, _NAME)))
    serial = _text((yield from _value(session, _SERIAL)))
    listing = yield from _value(session, Attribute(ASSOCIATION_LN.class_id, CURRENT_ASSOCIATION, 2))
    objects = tuple(_listed(listing)) if listing is not None else ()
    suite, policy, title = yield from _security(session)
    return Facts(
        name=name,
        serial=serial,
        suite=suite,
        policy=policy,
        server_title=title,
        counters=(yield from _counters(session, {*counters, *_likely_counters(objects)})),
        clients=(yield from _clients(session, objects)),
        objects=objects,
        conformance=session.conformance,
        max_pdu_octets=session.max_pdu_octets,
    )


def _value(session: Session, attribute: Attribute) -> Conversation[Data | None]:
    """None where the meter refuses, or sends what does not decode."""
    try:
        return (yield from get(session, attribute))
    except (AttributeRefusedError, ServiceRefusedError):
        return None
    except SecurityError:
        raise
    except RemoteProtocolError:
        return None


def _security(session: Session) -> Conversation[tuple[int | None, int | None, bytes]]:
    def read(name: str) -> Conversation[object]:
        data = yield from _value(session, Attribute(SECURITY_SETUP.class_id, _SECURITY, SECURITY_SETUP.index_of(name)))
        return None if data is None else data.value

    policy = yield from read("security_policy")
    if policy is None:
        return None, None, b""
    suite = yield from read("security_suite")
    title = yield from read("server_system_title")
    return _whole(suite), _whole(policy), title if isinstance(title, bytes) else b""


def _counters(session: Session, places: Iterable[Obis]) -> Conversation[dict[Obis, int]]:
    counters: dict[Obis, int] = {}
    for obis in sorted(places):
        data = yield from _value(session, Attribute(DATA.class_id, obis, 2))
        if data is not None and (counter := _whole(data.value)) is not None:
            counters[obis] = counter
    return counters


def _clients(session: Session, objects: tuple[ListedObject, ...]) -> Conversation[tuple[ListedClient, ...]]:
    """The meter's other associations, where their objects may be looked at (0.0.40.0.e)."""
    places = [found.obis for found in objects if found.obis.startswith(_LISTED_ASSOCIATION)]
    clients: list[ListedClient] = []
    for obis in [place for place in places if place != CURRENT_ASSOCIATION][:_CLIENTS_MAX]:
        partners = yield from _value(session, _of_association(obis, "associated_partners_id"))
        if (client := _client_of(partners)) is None:
            continue
        context = yield from _value(session, _of_association(obis, "application_context_name"))
        mechanism = yield from _value(session, _of_association(obis, "authentication_mechanism_name"))
        setup = yield from _value(session, _of_association(obis, "security_setup_reference"))
        clients.append(ListedClient(client, _ciphered(context), _mechanism(mechanism), _name_in(setup)))
    return tuple(clients)


def _of_association(obis: Obis, name: str) -> Attribute:
    return Attribute(ASSOCIATION_LN.class_id, obis, ASSOCIATION_LN.index_of(name))


# ------------------------------------------------------------------ reading values
def _listed(listing: Data) -> Iterator[ListedObject]:
    for entry in listing.value if isinstance(listing.value, tuple) else ():
        match [field.value for field in entry.value] if isinstance(entry.value, tuple) else []:
            case [int(class_id), int(version), bytes(name), *_] if len(name) == _OBIS_OCTETS:
                yield ListedObject(class_id, version, Obis(name))


def _likely_counters(objects: Iterable[ListedObject]) -> Iterator[Obis]:
    """0.b.43.1.e.255 is an invocation counter (IEC 62056-6-1, table of abstract objects)."""
    for found in objects:
        if found.class_id == DATA.class_id and found.obis[0] == 0 and found.obis[2:4] == b"\x2b\x01":
            yield found.obis


def _client_of(partners: Data | None) -> int | None:
    match [field.value for field in partners.value] if partners and isinstance(partners.value, tuple) else []:
        case [int(client), int()] if client > 0:
            return client
    return None


def _ciphered(context: Data | None) -> bool | None:
    number = _last_arc(context)
    return None if number is None else number in {3, 4}


def _mechanism(name: Data | None) -> Mechanism | None:
    number = _last_arc(name)
    return Mechanism(number) if number is not None and number in list(Mechanism) else None


def _name_in(reference: Data | None) -> Obis | None:
    value = None if reference is None else reference.value
    return Obis(value) if isinstance(value, bytes) and len(value) == _OBIS_OCTETS else None


def _last_arc(name: Data | None) -> int | None:
    """The last number of an object identifier, which some meters send as octets and others as a structure."""
    if name is None:
        return None
    if isinstance(name.value, bytes):
        return name.value[-1] if len(name.value) == _OID_OCTETS else None
    return _whole(name.value[-1].value) if isinstance(name.value, tuple) and name.value else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(data: Data | None) -> str | None:
    value = None if data is None else data.value
    if isinstance(value, bytes):
        text = value.decode("ascii", errors="replace").strip("\x00 ")
        return text if text.isprintable() and "\ufffd" not in text else value.hex()
    return value if isinstance(value, str) else None
