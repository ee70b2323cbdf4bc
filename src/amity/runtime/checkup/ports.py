"""Are our ports ours? A port is free (the service does not run), held by this installation, or by somebody else.

Another installation of Amity on this machine is somebody else: while it holds the port, this one cannot start.
"""

import errno
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from amity.runtime.checkup.check import Check, State
from amity.runtime.folder import Folder
from amity.runtime.settings import Settings

MQTT_TLS: Final = 8883
HTTPS: Final = 443
LOOPBACK: Final = "127.0.0.1"
_SHOWN: Final = 80
_LISTENING: Final = "0A"
_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")


class Holder(NamedTuple):
    """A process that listens: its command, and the paths that it names or has open."""

    command: str
    paths: frozenset[Path]

    def belongs_to(self, folder: Folder) -> bool:
        """Whether it is of this installation: it was told of its folders, or has something in them open."""
        own = [one.resolve() for one in (folder.root, folder.configuration, folder.logs) if one is not None]
        return any(path.is_relative_to(one) for path in self.paths for one in own)


class Door(NamedTuple):
    """One port and what it is for."""

    name: str
    host: str
    port: int


def check_ports(folder: Folder, settings: Settings) -> Iterator[Check]:
    """Every port that is configured; and those of TLS on this machine."""
    for door in doors(settings):
        yield check_door(door, folder)


def doors(settings: Settings) -> list[Door]:
    """Where this machine listens, in all roles that it might have."""
    headend, broker = settings.headend, settings.broker
    mqtt_host, mqtt_port = (headend.mqtt_host, headend.mqtt_port) if headend.mqtt_port else (LOOPBACK, MQTT_TLS)
    wanted = [
        Door("port for meters that call", headend.push_host, headend.push_port),
        Door("port for MQTT over TLS", mqtt_host, mqtt_port),
        Door("port of the broker for MQTT", LOOPBACK, broker.mqtt_port or 0),
        Door("port for collectors", headend.collector_host, headend.collector_port or 0),
        Door("port of the broker", broker.host, broker.port),
        Door("port of the broker for its cluster", broker.cluster_host, broker.cluster_port or 0),
        Door("port of the head-end's metrics", LOOPBACK, headend.metrics_port),
        Door("port of the MDM's metrics", LOOPBACK, settings.mdm.metrics_port),
        Door("port of the console", settings.web.host, settings.web.port),
        Door("port for HTTPS", LOOPBACK, HTTPS),
    ]
    return [door for door in wanted if door.port]


def check_door(door: Door, folder: Folder) -> Check:
    """Try to listen there for a moment."""
    name = f"{door.name} ({door.port})"
    try:
        address = socket.getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(address[0], socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address[4])
    except PermissionError:
        return Check(name, State.UNKNOWN, "below 1024: only root can try", "sudo amity doctor")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _held(name, door.port, folder)
        return Check(
            name,
            State.FAIL,
            f"{door.host} cannot be listened on: {error.strerror}",
            f"correct its host in {_settings_file(folder)}",
        )
    return Check(name, State.OK, "free; nothing listens there now")


def _held(name: str, port: int, folder: Folder) -> Check:
    holders = holders_of(port)
    if not holders:
        return Check(name, State.OK, "in use; by whom only root can see", f"sudo ss -ltnp 'sport = :{port}'")
    for holder in holders:  # another one may have the port at another address
        if holder.belongs_to(folder):
            return Check(name, State.OK, f"in use by {holder.command}")
    holder = holders[0]
    step = f"end that program, or choose another port in {_settings_file(folder)}"
    return Check(name, State.FAIL, f"in use by {holder.command}, which is not of this installation", step)


def _settings_file(folder: Folder) -> str:
    return "dlms_config.yaml" if folder.installed else folder.settings.name


def holders_of(port: int) -> list[Holder]:
    """The processes that listen on a TCP port, at whatever address; none where they are not ours to see."""
    sockets, holders = set(_listening_sockets(port)), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            opened = set(_open_files(process))
            if sockets & opened:
                holders.append(_holder(process, opened))
        except OSError:  # not ours, or gone meanwhile
            continue
    return holders


def _open_files(process: Path) -> Iterator[str]:
    for link in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            yield str(link.readlink())


def _holder(process: Path, opened: Iterable[str]) -> Holder:
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    here = (process / "cwd").readlink()
    named = (Path(os.path.normpath(here / word)) for word in words[1:])
    return Holder(" ".join(words).strip()[:_SHOWN], frozenset((*named, *map(Path, opened))))


def _listening_sockets(port: int) -> Iterator[str]:
    for table in map(Path, _TABLES):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"
