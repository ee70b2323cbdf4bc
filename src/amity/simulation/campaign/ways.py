"""How the meters of a world are reached: what carries them, through whom, and how they call in; drawn from the seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from amity.devices.profiles import Framing
from amity.devices.server import Neighbour
from amity.simulation.campaign.collector import Station
from amity.simulation.campaign.settings import PORT, WorldSettings
from amity.simulation.carriers import OVER_TCP, Carried
from amity.simulation.dialling import Greeting
from amity.simulation.fleet import document_entry
from amity.simulation.meter import SimulatedMeter
from amity.simulation.outgoing_ways import Over

_OVER: Final = (Carried(), Carried(), Carried(udp=True), Carried(framing=Framing.HDLC))
_OVER_STREAMS: Final = (Carried(), Carried(), Carried(framing=Framing.HDLC))
_PUSHED: Final = (Over.TCP, Over.TCP, Over.UDP, Over.HDLC)
_PUSHED_TO_COLLECTORS: Final = (Over.TCP, Over.TCP, Over.UDP)
_BEHIND_MAX: Final = 4
_NETWORK: Final = 1


@dataclass(frozen=True, slots=True)
class Way:
    """How everything at one host is reached.

    `calls` is how a meter that opens the connection begins to speak, None for one that listens; `handed_on` says how
    many meters stand behind this one.
    """

    carried: Carried
    collector: str = ""
    calls: Greeting | None = None
    handed_on: int = 0
    over: Over = Over.TCP
    confirmed: bool = False

    def described(self, meter: SimulatedMeter, host: str, place: Neighbour | None, server: int) -> dict[str, Any]:
        """The meter as the fleet document has it; `place` is where it stands behind the gateway `server`."""
        entry = document_entry(meter, host, PORT) | self.carried.described()
        if self.calls is not None:
            entry = {key: value for key, value in entry.items() if key not in ("port", "udp")} | {"calls_in": True}
        if place is not None:
            entry |= {"server": server, "gateway": {"network": place.network, "device": place.device.hex()}}
        return entry | ({"collector": self.collector} if self.collector else {})


def drawn_way(chance: Random, settings: WorldSettings, stations: Sequence[Station]) -> Way:
    """A way to a host, and to those behind it. Who calls and says nothing is asked for its name over the wrapper."""
    behind, calling, handing_on, which = (chance.random() for _ in range(4))
    station = stations[int(which * len(stations))] if stations and behind < settings.behind else None
    calls = None if station or calling >= settings.calling else chance.choice(tuple(Greeting))
    handed_on = 0 if calls is not None or handing_on >= settings.handing_on else chance.randrange(1, _BEHIND_MAX)
    loses = station is not None and station.loses_datagrams
    carried = chance.choice(_OVER_STREAMS if calls is not None or loses else _OVER)
    if calls is Greeting.SILENCE and carried != OVER_TCP:
        calls = Greeting.NAME
    return Way(
        carried=carried,
        collector="" if station is None else station.name,
        calls=calls,
        handed_on=handed_on,
        over=chance.choice(_PUSHED_TO_COLLECTORS if station else _PUSHED),
        confirmed=chance.random() < 0.5,  # noqa: PLR2004 - one or the other
    )


def place_of(number: int) -> Neighbour | None:
    """Where the so-maniest meter of a host stands behind the first."""
    return Neighbour(_NETWORK, number.to_bytes(2, "big")) if number else None
