"""A simulated meter as a DLMS/COSEM device: its objects on a MeterServer, its associations, its pushes."""

from collections.abc import Callable
from dataclasses import replace

from amity.devices.objects import ObjectTree
from amity.devices.profiles import CLOCK_OBIS
from amity.devices.server import PUBLIC_CLIENT, ClientAccess, MeterServer, MeterSettings, invocation_counter_obis
from amity.devices.server.settings import SERVER_CONFORMANCE
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Conformance
from amity.protocols.dlms.ciphering import CipherKeys
from amity.simulation.cosem_objects import LOGICAL_DEVICE_NAME, cosem_objects
from amity.simulation.counters import MeterCounter, Reservation
from amity.simulation.meter import SimulatedMeter

_SUITE = 0
_PUBLIC = frozenset((LOGICAL_DEVICE_NAME, CLOCK_OBIS, invocation_counter_obis(0), Obis.parse("0.0.40.0.0.255")))


def meter_server(
    meter: SimulatedMeter,
    *,
    reservation: Reservation,
    random_octets: Callable[[int], bytes],
    push_to: str = "",
    remembers_counters: bool = True,
) -> tuple[MeterServer, MeterCounter]:
    """The server side of a meter and the counter that its pushes share; `push_to` is what its push setups name."""
    counter = MeterCounter(reservation)
    server = MeterServer(
        replace(meter_settings(meter), remembers_counters=remembers_counters),
        ObjectTree(cosem_objects(meter, push_to)),
        random_octets=random_octets,
        next_invocation_counter=counter,
    )
    return server, counter


def meter_settings(meter: SimulatedMeter) -> MeterSettings:
    """Who the meter is and which clients it lets in: the one of its profile, and the public one for a few objects."""
    association = meter.profile.association
    reader = ClientAccess(
        client=association.client,
        authentication=association.authentication,
        ciphering=association.ciphering,
        protection=association.protection,
        password=meter.keys.password,
        protector=keys_held(meter),
    )
    public = [] if association.client == PUBLIC_CLIENT else [ClientAccess(PUBLIC_CLIENT, visible=_PUBLIC)]
    with_list = SERVER_CONFORMANCE if association.with_list else SERVER_CONFORMANCE & ~Conformance.MULTIPLE_REFERENCES
    return MeterSettings(
        logical_device_name=meter.meter_id,
        system_title=meter.system_title,
        clients=(reader, *public),
        server=association.server,
        max_pdu_octets=association.max_pdu_octets,
        conformance=with_list,
        answers_release=association.answers_release,
    )


def keys_held(meter: SimulatedMeter) -> CipherKeys:
    """The keys the meter really holds."""
    return CipherKeys(_SUITE, meter.own_guek, meter.keys.gak)
