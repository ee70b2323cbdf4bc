"""A simulated meter as a DLMS/COSEM device: its objects on a MeterServer, its associations, its pushes."""

from collections.abc import Callable, Iterator
from datetime import datetime

from amity.devices.cosem.push import PushDestination
from amity.devices.equipment.living import LateObjects
from amity.devices.equipment.push_setup import PushSetup
from amity.devices.interface_classes import CURRENT_ASSOCIATION, Role
from amity.devices.objects import ObjectTree, value_in
from amity.devices.profiles import CLOCK_OBIS
from amity.devices.server import PUBLIC_CLIENT, ClientAccess, MeterServer, MeterSettings, invocation_counter_obis
from amity.devices.server.settings import SERVER_CONFORMANCE
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.protocols.dlms.apdu import Conformance
from amity.protocols.dlms.key_ring import KeyRing
from amity.simulation.cosem_objects import LOGICAL_DEVICE_NAME, cosem_objects
from amity.simulation.counters import MeterCounter, Reservation
from amity.simulation.equipment import equipped
from amity.simulation.keys import SimulatedKeys, keys_of
from amity.simulation.meter import SimulatedMeter
from amity.simulation.pushes import Pusher

Send = Callable[[PushDestination, bytes], bool]
"""Takes the frame of a push away; False when there is no way to where it is to go."""

_KEYED_CLIENTS = 3  # reader, management, control
_PUBLIC = frozenset(
    (LOGICAL_DEVICE_NAME, CLOCK_OBIS, *map(invocation_counter_obis, range(_KEYED_CLIENTS)), CURRENT_ASSOCIATION)
)
_MANAGEMENT_CLIENT, _CONTROL_CLIENT = 1, 3
_MANAGEMENT_CLIENT_BESIDE_READER = 2


def meter_server(
    meter: SimulatedMeter,
    *,
    started: datetime,
    reservation: Reservation,
    random_octets: Callable[[int], bytes],
    push_to: str = "",
    send: Send | None = None,
    remembers_counters: bool = True,
    confirmed: bool = False,
) -> tuple[MeterServer, Pusher]:
    """The server side of a meter and what it sends unasked; `push_to` is what its push setups name.

    `send` takes the frame of a push away when the meter is told to push; without it there is no way out. `confirmed`:
    what it sends unasked asks for a confirmation.
    """
    counter = MeterCounter(reservation)
    told = Pusher(meter, counter)

    def push(setup: PushSetup, now: datetime) -> bool:
        frame = told.of_objects(setup.objects, lambda wanted: value_in(objects, wanted, now), now)
        return send is not None and send(setup.destination, frame)

    daily = ObjectTree(cosem_objects(meter, push_to, push))
    objects = LateObjects(daily, lambda: equipped(meter, started, daily))
    server = MeterServer(
        meter_settings(meter, random_octets, remembers_counters=remembers_counters),
        objects,
        random_octets=random_octets,
        next_invocation_counter=counter,
    )
    return server, Pusher(meter, counter, confirmed=confirmed, advance=objects.advance)


def meter_settings(
    meter: SimulatedMeter, random_octets: Callable[[int], bytes] | None = None, *, remembers_counters: bool = True
) -> MeterSettings:
    """Who the meter is and which clients it lets in.

    The one of its profile reads, management and control change what is theirs, the public one sees a few objects.
    """
    association = meter.profile.association
    reader = ClientAccess(
        client=association.client,
        authentication=association.authentication,
        ciphering=association.ciphering,
        protection=association.protection,
        password=meter.keys.password,
        protector=keys_held(meter, random_octets),
        client_keys=meter.keys.client_public,
    )
    public = [] if association.client == PUBLIC_CLIENT else [ClientAccess(PUBLIC_CLIENT, visible=_PUBLIC)]
    with_list = SERVER_CONFORMANCE if association.with_list else SERVER_CONFORMANCE & ~Conformance.MULTIPLE_REFERENCES
    return MeterSettings(
        logical_device_name=meter.meter_id,
        system_title=meter.system_title,
        clients=(reader, *_other_clients(meter, random_octets), *public),
        server=association.server,
        max_pdu_octets=association.max_pdu_octets,
        conformance=with_list,
        answers_release=association.answers_release,
        answers_unconfirmed=False,
        remembers_counters=remembers_counters,
    )


def role_clients(meter: SimulatedMeter) -> dict[Role, tuple[int, SimulatedKeys]]:
    """Client address and keys of those who may change something; the reader keeps the address of its profile."""
    reader, seed = meter.profile.association.client, meter.element.faults.seed
    management = _MANAGEMENT_CLIENT if reader != _MANAGEMENT_CLIENT else _MANAGEMENT_CLIENT_BESIDE_READER
    return {
        role: (client, keys_of(seed, f"{meter.serial}/{role.value}", meter.keys.suite))
        for role, client in ((Role.MANAGEMENT, management), (Role.CONTROL, _CONTROL_CLIENT))
    }


def _other_clients(meter: SimulatedMeter, random_octets: Callable[[int], bytes] | None) -> Iterator[ClientAccess]:
    """Whoever changes something comes with keys of its own, ciphered and authenticated."""
    for role, (client, keys) in role_clients(meter).items():
        yield ClientAccess(
            client=client,
            authentication=Authentication.HLS_GMAC,
            ciphering=Ciphering.GLO,
            protection=Protection.AUTHENTICATED_ENCRYPTED,
            protector=keys.held_by_meter(keys.guek, random_octets),
            client_keys=keys.client_public,
            role=role,
        )


def keys_held(meter: SimulatedMeter, random_octets: Callable[[int], bytes] | None = None) -> KeyRing:
    """The keys the meter really holds; without chance it agrees on no new ones."""
    return meter.keys.held_by_meter(meter.own_guek, random_octets)
