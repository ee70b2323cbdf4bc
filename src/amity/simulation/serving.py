"""A fleet on the network: one process, one asyncio loop, a listening port for each meter."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from amity.devices.server import MeterServer, Neighbour
from amity.kernel.errors import ConfigurationError, TransportError
from amity.kernel.time import Clock
from amity.runtime.system import random_octets as random_octets_of_system
from amity.simulation.carriers import OVER_TCP, Carried
from amity.simulation.counters import Reservation, reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.dialling import DialIn, dialling
from amity.simulation.faults import FaultKind
from amity.simulation.fleet import Fleet, document_entry
from amity.simulation.line_faults import LineFaults
from amity.simulation.meter import SimulatedMeter
from amity.simulation.network.collecting import Collecting
from amity.simulation.network.meter_collector import SELF
from amity.simulation.outgoing import Outgoing
from amity.simulation.push_schedule import Destination, PushSchedule

_PORT_MAX = 65_535
_NETWORK = 1


@contextlib.asynccontextmanager
async def serve_fleet(  # noqa: PLR0913 - an option each
    fleet: Fleet,
    *,
    clock: Clock,
    host: str = "127.0.0.1",
    port_base: int = 0,
    push_to: Destination | None = None,
    random_octets: Callable[[int], bytes] = random_octets_of_system,
    remembers_counters: bool = True,
    reservation: Reservation | None = None,
    carried: Carried = OVER_TCP,
    behind_gateway: int = 0,
    dial_in: DialIn | None = None,
    collecting: Collecting | None = None,
) -> AsyncIterator[list[dict[str, Any]]]:
    """Serve every meter while the context is open; give the fleet document with the ports they listen on.

    Meter i listens on `port_base` + i; with 0 the system chooses free ports. `random_octets` makes the challenges of
    HLS; `remembers_counters` is as in `MeterSettings`; `reservation` keeps how far the meters' own counters went.
    `carried` says what carries their APDUs. With `behind_gateway` each meter that listens is the gateway of that many
    others, to which the document gives its address, and a network and device behind it. With `dial_in` nobody listens:
    every meter opens a connection to there, and is read on it. With `collecting` the first meter is the collector
    through which the document has all of them reached, and listens nowhere itself.

    Raises ConfigurationError for ports that do not exist and TransportError that names the port that is taken.
    """
    _check_ports(port_base, len(fleet.meters))
    reservation = reservation or reservation_by_time(clock.now())
    async with contextlib.AsyncExitStack() as stack:
        outgoing = Outgoing()
        stack.push_async_callback(outgoing.close)
        document: list[dict[str, Any]] = []
        pushers = []
        servers = []
        for meter in fleet.meters:
            server, pusher = meter_server(
                meter,
                started=clock.now(),
                reservation=reservation,
                random_octets=random_octets,
                push_to=str(push_to or ""),
                send=outgoing.send,
                remembers_counters=remembers_counters,
                confirmed=push_to is not None and push_to.confirmed,
            )
            servers.append(server)
            pushers.append((meter, pusher))
        via: dict[str, str] = {}
        if dial_in is not None:
            document += [_calling(meter, host, dial_in) for meter in fleet.meters]
            callers = [(meter, pusher, server) for (meter, pusher), server in zip(pushers, servers, strict=True)]
            await stack.enter_async_context(dialling(dial_in, callers, clock))
        for first in range(0, len(servers) if dial_in is None else 0, behind_gateway + 1):
            meters = fleet.meters[first : first + behind_gateway + 1]
            gateway, *others = servers[first : first + behind_gateway + 1]
            places = {Neighbour(_NETWORK, number.to_bytes(2, "big")): other for number, other in enumerate(others, 1)}
            gateway.hand_on_to(places)
            wanted = port_base + first if port_base else 0
            if collecting is not None and first == 0:
                where: dict[str, Any] = {"host": SELF, "port": 1}
                via = {"collector": await stack.enter_async_context(collecting(gateway))}
            elif FaultKind.REFUSED in meters[0].kinds and not carried.pty:
                where = {"port": stack.enter_context(_held(host, wanted))}
            else:
                where = await carried.serve(stack, gateway, LineFaults(meters[0], clock), clock, (host, wanted))
            reached = carried.described() | where | via
            document.append(document_entry(meters[0], host, 0) | reached)
            for meter, place in zip(meters[1:], places, strict=True):
                document.append(document_entry(meter, host, 0) | reached | _behind(gateway, place))
        if push_to is not None:
            await stack.enter_async_context(_running(PushSchedule(push_to, pushers, clock)))
        yield document


def _calling(meter: SimulatedMeter, host: str, dial_in: DialIn) -> dict[str, Any]:
    """How the document says that a meter calls, from this host."""
    reached: dict[str, Any] = {"framing": dial_in.framing.value, "calls_in": True}
    if dial_in.place is not None:
        reached["physical"] = dial_in.place.physical
    return {key: value for key, value in document_entry(meter, host, 0).items() if key != "port"} | reached


def _behind(gateway: MeterServer, place: Neighbour) -> dict[str, Any]:
    """How the document says that a meter is reached through another one, under the address of that one."""
    return {
        "server": gateway.settings.server,
        "gateway": {"network": place.network, "device": place.device.hex()},
    }


@contextlib.contextmanager
def _held(host: str, number: int) -> Iterator[int]:
    """A port that belongs to a meter which does not listen on it: whoever calls is refused."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left by an earlier run is free
        try:
            held.bind((host, number))
        except OSError as error:
            raise TransportError(
                f"cannot hold {host}:{number}: {error.strerror or error}", next_step="choose another --port-base"
            ) from error
        yield int(held.getsockname()[1])


@contextlib.asynccontextmanager
async def _running(schedule: PushSchedule) -> AsyncIterator[None]:
    task = asyncio.create_task(schedule.run(), name="pushes")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _check_ports(port_base: int, meters: int) -> None:
    if port_base and not 0 < port_base <= _PORT_MAX - meters + 1:
        raise ConfigurationError(
            f"{meters} meters from port {port_base} on would need ports up to {port_base + meters - 1}",
            next_step=f"choose a --port-base from 1 to {_PORT_MAX - meters + 1}, or 0 for free ports",
        )
