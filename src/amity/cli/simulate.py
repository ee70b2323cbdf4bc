"""`amity simulate`: a fleet of simulated DLMS meters on real sockets, described by one JSON document."""

import asyncio
import json
import resource
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer

from amity.cli.options import address, instant
from amity.devices.doctor import Secret, needed_for
from amity.devices.profiles import Framing
from amity.devices.settings import Authentication, Ciphering
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.installation import find_installation
from amity.runtime.logs.lines import configure_logs
from amity.runtime.processes.supervisor import until_told_to_stop
from amity.runtime.system import SystemClock
from amity.security.private_files import read_private, write_private
from amity.simulation.awkward import AWKWARD, serve_awkward
from amity.simulation.carriers import Carried
from amity.simulation.counters import Reservation
from amity.simulation.dialling import DialIn, Greeting
from amity.simulation.faults import FaultKind, demo_mix, parse_mix
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.mqtt_certificates import AUTHORITY, MeterCertificates
from amity.simulation.network.carried import CarriedOverLink
from amity.simulation.network.collecting import Collecting, collecting
from amity.simulation.network.presets import preset, presets
from amity.simulation.outgoing_ways import Over
from amity.simulation.push_schedule import Destination
from amity.simulation.serving import serve_fleet

Document = list[dict[str, Any]]
"""What `--json` prints: one entry for each meter."""

_FILES_PER_METER = 4  # a listener and a few callers


def simulate(  # noqa: PLR0913, PLR0917 - an option each
    meters: Annotated[int, typer.Option(help="How many meters.")] = 20,
    port_base: Annotated[int, typer.Option(help="Meter i listens on this port + i; 0 lets the system choose.")] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    framing: Annotated[
        Framing | None, typer.Option(help="What carries the APDUs; without it hdlc with --pty, else wrapper.")
    ] = None,
    udp: Annotated[bool, typer.Option("--udp", help="The wrapper in UDP datagrams instead of TCP.")] = False,
    pty: Annotated[bool, typer.Option("--pty", help="HDLC on a pseudo-terminal for each meter.")] = False,
    behind_gateway: Annotated[
        int, typer.Option(min=0, help="Each meter that listens is the DLMS gateway of this many others.")
    ] = 0,
    auth: Annotated[
        Authentication | None, typer.Option(help="All meters plain models with this authentication; default: a mix.")
    ] = None,
    suite: Annotated[int, typer.Option(min=0, max=2, help="Security suite of all meters; 0: as the model.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same town, keys and readings.")] = 1,
    faults: Annotated[bool, typer.Option(help="A share of every fault, and one area without power.")] = False,
    fault: Annotated[
        list[str] | None, typer.Option(help=f"name=share, may be repeated; names: {', '.join(FaultKind)}.")
    ] = None,
    push_to: Annotated[str | None, typer.Option(help="HOST:PORT that meters call with alarms and intervals.")] = None,
    push_over: Annotated[Over, typer.Option(help="What carries pushes.")] = Over.TCP,
    mqtt_ca: Annotated[
        Path | None, typer.Option(help="Folder of the simulated authority whose certificates MQTT pushes show.")
    ] = None,
    dial_in: Annotated[
        str | None, typer.Option(help="HOST:PORT that every meter opens a connection to; it is read on that.")
    ] = None,
    link: Annotated[
        str | None, typer.Option(help=f"What lies between the meters and who reads them: {', '.join(presets())}.")
    ] = None,
    collector: Annotated[
        Path | None,
        typer.Option(help="Folder of a collector: the first meter is that collector, and carries for the others."),
    ] = None,
    greeting: Annotated[Greeting, typer.Option(help="How a meter that dials in begins.")] = Greeting.NAME,
    push_confirmed: Annotated[
        bool, typer.Option("--push-confirmed", help="Meters call again until a push is confirmed.")
    ] = False,
    anchor: Annotated[
        str | None, typer.Option(help="Instant the story is told from (ISO 8601, UTC); the same one goes on with it.")
    ] = None,
    strict_counters: Annotated[
        bool,
        typer.Option(
            help="Invocation counters must rise from one association to the next, as in the field; without it a"
            " client may start from 1 in each association."
        ),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(help="File that keeps how far the meters' own counters went, so that none comes again."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the fleet document.")] = False,
    awkward: Annotated[
        str | None, typer.Option(help=f"One meter with a peculiarity instead: {', '.join(AWKWARD)}.")
    ] = None,
    with_parent: Annotated[bool, typer.Option(help="End when standard input closes.", hidden=True)] = False,
) -> None:
    """Serve simulated DLMS/COSEM meters until stopped.

    With --json one document is printed first: a list with address, association and keys of every meter. The keys are
    derived from the seed and must never be used for anything real.
    """
    if awkward is not None:
        served = serve_awkward(awkward, clock=SystemClock(), seed=seed, host=host, port=port_base)
        asyncio.run(_serve(served, awkward_in_words, as_json=as_json, with_parent=with_parent))
        return
    carried = _carried(framing or (Framing.HDLC if pty else Framing.WRAPPER), link, seed, udp=udp, pty=pty)
    settings = FleetSettings(
        meters=meters,
        seed=seed,
        anchor=instant("--anchor", anchor) if anchor else datetime.now(UTC),
        auth=auth,
        faults={**(demo_mix(meters) if faults else {}), **parse_mix(fault or ())},
        outage=faults,
        suite=suite,
    )
    _allow_open_files(meters * _FILES_PER_METER)
    fleet = build_fleet(settings)
    serving = serve_fleet(
        fleet,
        clock=SystemClock(),
        host=host,
        port_base=port_base,
        push_to=_destination(push_to, push_over, mqtt_ca, confirmed=push_confirmed) if push_to else None,
        dial_in=DialIn(*address(dial_in, "--dial-in"), greeting, carried.framing) if dial_in else None,
        remembers_counters=strict_counters,
        reservation=_reservation(state) if state else None,
        carried=carried,
        behind_gateway=behind_gateway,
        collecting=None if collector is None else _collecting(collector),
    )
    asyncio.run(_serve(serving, partial(_summary, fleet), as_json=as_json, with_parent=with_parent))


def _carried(framing: Framing, link: str | None, seed: int, *, udp: bool, pty: bool) -> Carried:
    if link is None:
        return Carried(framing, udp=udp, pty=pty)
    return CarriedOverLink(framing, udp=udp, pty=pty, link=preset(link), random=Random(seed))  # noqa: S311 - a simulation


def _collecting(directory: Path) -> Collecting:
    configure_logs()
    folder, settings = find_installation(None, directory)
    return collecting(folder, settings, SystemClock())


def _destination(push_to: str, over: Over, mqtt_ca: Path | None, *, confirmed: bool) -> Destination:
    if over is Over.MQTT and mqtt_ca is None:
        raise ConfigurationError("MQTT needs certificates", next_step="name the folder of an authority with --mqtt-ca")
    certificates = None if mqtt_ca is None else MeterCertificates(mqtt_ca)
    if certificates is not None and not (certificates.folder / f"{AUTHORITY}.crt").exists():
        MeterCertificates.make(certificates.folder)
    return Destination(*address(push_to, "--push-to"), confirmed, over, certificates)


async def _serve(
    serving: AbstractAsyncContextManager[Document],
    in_words: Callable[[Document], str],
    *,
    as_json: bool,
    with_parent: bool,
) -> None:
    told_to_stop = asyncio.create_task(until_told_to_stop(watch_stdin=with_parent))
    await asyncio.sleep(0)  # from here on a signal ends us quietly, also before anybody has read the document
    async with serving as document:
        print(json.dumps(document, ensure_ascii=False) if as_json else in_words(document), flush=True)
        await told_to_stop


def awkward_in_words(document: Document) -> str:
    """What is printed of an awkward meter: its story, and a probe with everything that its papers say."""
    (papers,) = document
    probe = shlex.join(["amity", "meter", "probe", papers["meter"], *_secrets(papers)])
    return f"A simulated meter that {papers['story']}. Try the connection doctor on it:\n{probe}\nCtrl-C ends."


def _secrets(papers: dict[str, Any]) -> Iterator[str]:
    """All that the papers have for this meter's authentication and ciphering, as options."""
    authentication = Authentication(papers["auth"])
    needed = needed_for(authentication, Ciphering(papers["ciphering"]))
    if Secret.PASSWORD in needed:
        yield from ("--password", papers["password"])
    if Secret.KEYS in needed:
        yield from ("--key", papers["guek"], "--auth-key", papers["gak"])
    if Secret.SIGNATURE in needed:
        yield from ("--signing-key", papers["client_signing_key"], "--meter-signing-key", papers["meter_signing_key"])
    if authentication.broken:
        yield "--allow-broken-digest"


def _summary(fleet: Fleet, document: Document) -> str:
    faulty = sum(bool(entry["faults"]) for entry in document)
    first, last = document[0], document[-1]
    if "calls_in" in first:
        return (
            f"{len(document)} simulated meters of {fleet.town.name} call in, {faulty} of them faulty;"
            f" told from {isoformat(fleet.settings.anchor)}.\n--json prints how each of them is known. Ctrl-C ends."
        )
    where = (
        f"{first['device']} to {last['device']}"
        if "device" in first
        else f"{first['host']}, ports {first['port']} to {last['port']}"
    )
    return (
        f"{len(document)} simulated meters of {fleet.town.name} on {where}, {faulty} of them faulty;"
        f" told from {isoformat(fleet.settings.anchor)}.\n"
        "--json prints how to reach each of them. Ctrl-C ends."
    )


def _reservation(state: Path) -> Reservation:
    """Begin above everything that an earlier start may have used."""
    text = read_private(state, missing="the simulator makes it at its first start") if state.exists() else "0"
    if not text.isdecimal():
        raise ConfigurationError(f"{state} holds no number", next_step="name another file with --state, with new keys")
    return Reservation(int(text), lambda mark: write_private(state, str(mark)))


def _allow_open_files(wanted: int) -> None:
    """Raise this process's own limit of open files as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > soft:
        limit = wanted + soft if hard == resource.RLIM_INFINITY else min(wanted + soft, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
