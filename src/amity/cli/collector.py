"""`amity collector`: who may serve at the head-end, and how a collector does."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer

from amity.cli.last_sign import say_if_stopped
from amity.cli.options import address
from amity.headend.collectors.ports import Admission, KnownCollector
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.databases import head_end_of, open_ot_database
from amity.runtime.installation import find_installation
from amity.runtime.processes.supervisor import until_told_to_stop
from amity.simulation.network.medium import ways
from amity.simulation.network.presets import preset, presets
from amity.simulation.network.proxy import ShapingProxy, Target

_FINGERPRINT_SHOWN = 16
_MEASURED = {"rtt_ms": "round trip {} ms", "rssi_dbm": "signal {} dBm", "ratio": "{} : 1 on the wire"}

Configuration = Annotated[Path | None, typer.Option("--config", help="Default: /etc/ami-gateway.")]
Directory = Annotated[Path | None, typer.Option("--dir", help="An installation in one folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Fingerprint = Annotated[str, typer.Option(help="The beginning of the key's fingerprint, where a name has several.")]
Name = Annotated[str, typer.Argument(help="The collector's name, from its certificate.")]

collector_app = typer.Typer(help="Collectors: who may serve, and how they do.", no_args_is_help=True)


@collector_app.command("list")
def list_collectors(configuration: Configuration = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """At the head-end: every collector that ever called, what was decided of it, and how its link does."""
    folder, settings = find_installation(configuration, directory)
    with closing(open_ot_database(folder, settings.headend)) as database:
        known = database.collectors.all()
    say_if_stopped(folder, as_json=as_json)
    if as_json:
        print(json.dumps([_document(one) for one in known], ensure_ascii=False))
        return
    if not known:
        print("no collector has called here yet; next: docs/collectors.md, `amity doctor` shows the port for them")
    for one in known:
        print(", ".join(_told(one)))


@collector_app.command()
def accept(
    name: Name, fingerprint: Fingerprint = "", configuration: Configuration = None, directory: Directory = None
) -> None:
    """At the head-end: let a parked collector serve; it comes by itself within a quarter of a minute."""
    _decide(name, fingerprint, Admission.ACCEPTED, configuration, directory)


@collector_app.command()
def refuse(
    name: Name, fingerprint: Fingerprint = "", configuration: Configuration = None, directory: Directory = None
) -> None:
    """At the head-end: let a collector serve no longer; one that is connected is cut off within seconds."""
    _decide(name, fingerprint, Admission.REFUSED, configuration, directory)


@collector_app.command()
def status(configuration: Configuration = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """At the collector: its links, what it holds for the head-end, how much the backhaul is compressed."""
    folder = find_installation(configuration, directory).folder
    try:
        document = json.loads(folder.collector_status.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        by_systemd = "AMI_ROLES=collector in /etc/default/ami-collector, then sudo systemctl restart ami-collector"
        raise ConfigurationError(
            f"no collector tells of itself in {folder.root}",
            answer=str(error),
            next_step=by_systemd if folder.installed else f"amity serve --roles collector --dir {folder.root}",
        ) from error
    if as_json:
        print(json.dumps(document))
        return
    for line in _in_words(document):
        print(line)


@collector_app.command()
def wan(
    to: Annotated[str, typer.Argument(help="HOST:PORT that it leads to: where the head-end lets collectors in.")],
    listen: Annotated[int, typer.Option(help="The port of this machine that a collector dials instead.")],
    link: Annotated[str, typer.Option(help=f"Its kind: {', '.join(presets())}.")] = "gprs",
    seed: Annotated[int, typer.Option(help="From the same seed the same losses.")] = 1,
) -> None:
    """A WAN of the field on this machine, to try; SIGUSR1 cuts it without a word, SIGUSR2 mends it."""
    way = ways(preset(link), Random(seed))  # noqa: S311 - a simulation
    asyncio.run(_carry(ShapingProxy(Target(*address(to, "TO")), way), listen, f"{link} to {to}"))


async def _carry(proxy: ShapingProxy, listen: int, described: str) -> None:
    loop = asyncio.get_running_loop()
    for number, turned in ((signal.SIGUSR1, proxy.cut), (signal.SIGUSR2, proxy.mend)):
        loop.add_signal_handler(number, turned)
    told_to_stop = asyncio.create_task(until_told_to_stop(watch_stdin=False))
    port = await proxy.start(port=listen)
    try:
        print(f"{described}, dialled on 127.0.0.1:{port}. SIGUSR1 cuts it, SIGUSR2 mends it, Ctrl-C ends.", flush=True)
        await told_to_stop
    finally:
        await proxy.close()
        print(f"{proxy.octets} octets carried")


def _in_words(document: dict[str, Any]) -> Iterator[str]:
    yield f"as of {document['at']}; listening: " + ", ".join(f"{k} on {v}" for k, v in document["ports"].items())
    for headend, link in document["headends"].items():
        if "ratio" not in link:
            yield f"{headend}: not linked ({link['reason']})"
            continue
        packed, plain = link["packed_octets"], link["plain_octets"]
        yield (
            f"{headend}: {'linked' if link['linked'] else 'connected, not accepted yet'},"
            f" round trip {_shown(link['rtt_ms'], 'ms')}, {link['channels']} meters being read;"
            f" {plain['out'] + plain['in']} octets in {packed['out'] + packed['in']} on the wire,"
            f" {_shown(link['ratio'], ': 1')}"
        )
    held, pushes = document["held"], document["pushes"]
    yield f"held: {held['alarms']} alarms, {held['bulk']} others, {held['octets']} octets"
    yield f"dropped ever: {held['dropped']}"
    yield f"pushes since start: {pushes['taken']} taken, {pushes['forwarded']} forwarded, {pushes['refused']} refused"
    for meter, line in document["meters"].items():
        yield (
            f"meter {meter}: {line['exchanges']} exchanges, {line['failures']} failed,"
            f" {_shown(line['rtt_ms'], 'ms')} each"
        )


def _decide(
    name: str, fingerprint: str, admission: Admission, configuration: Path | None, directory: Path | None
) -> None:
    with head_end_of(configuration, directory) as database:
        known = database.collectors.decide(name, fingerprint, admission)
    print(f"collector {known.name} with key {known.fingerprint[:_FINGERPRINT_SHOWN]} is {known.admission}")


def _document(one: KnownCollector) -> dict[str, Any]:
    return {
        "name": one.name,
        "fingerprint": one.fingerprint,
        "admission": one.admission,
        "address": one.address,
        "first_seen": isoformat(one.first_seen),
        "last_seen": isoformat(one.last_seen),
        "connected_to": one.connected_to,
        "quality": _quality(one),
    }


def _quality(one: KnownCollector) -> dict[str, Any]:
    quality: dict[str, Any] = json.loads(one.quality or "{}")
    return quality


def _told(one: KnownCollector) -> Iterator[str]:
    """A collector in words, what is not known left out."""
    quality = _quality(one)
    yield f"{one.name} with key {one.fingerprint[:_FINGERPRINT_SHOWN]}: {one.admission}"
    yield f"connected to {one.connected_to}" if one.connected_to else "not connected"
    yield f"last seen {isoformat(one.last_seen.replace(microsecond=0))}"
    for name, form in _MEASURED.items():
        if quality.get(name) is not None:
            yield form.format(quality[name])
    if held := quality.get("held"):
        yield f"holds {held['alarms']} alarms and {held['bulk']} other pushes, dropped {held['dropped']} ever"
    lines = quality.get("meters", {}).values()
    if exchanges := sum(line["exchanges"] for line in lines):
        yield f"{sum(line['failures'] for line in lines)} of {exchanges} exchanges with meters failed"


def _shown(value: object, unit: str) -> str:
    return "" if value is None else f"{value} {unit}"
