"""The meter side of DLMS/COSEM: APDUs in, APDUs out; time, chance and counters are passed in."""

from amity.devices.server.association import MeterAssociation, State
from amity.devices.server.gateway import Neighbour
from amity.devices.server.meter import MeterServer
from amity.devices.server.own_objects import invocation_counter_obis
from amity.devices.server.settings import PUBLIC_CLIENT, ClientAccess, MeterSettings

__all__ = [
    "PUBLIC_CLIENT", "ClientAccess", "MeterAssociation", "MeterServer", "MeterSettings", "Neighbour", "State",
    "invocation_counter_obis",
]  # fmt: skip
