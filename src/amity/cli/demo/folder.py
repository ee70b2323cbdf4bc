"""What a demo folder remembers: which town, told from when, on which ports; and that only one demo runs in it."""

import fcntl
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.folder import Folder
from amity.runtime.settings import Settings, dump, load
from amity.security.private_files import write_private

_METER_PORTS = range(20_000, 32_000, 500)  # below the ports that systems hand out by themselves
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Story:
    """What makes the simulated utility the same one when the demo is started again."""

    meters: int
    seed: int
    anchor: datetime
    port_base: int

    @property
    def ports(self) -> range:
        """The meters' ports."""
        return range(self.port_base, self.port_base + self.meters)


def usual_directory(meters: int | None, seed: int | None) -> Path:
    """`amity-demo`; beside it, named for what is special, when another town is wanted than the one that lives there."""
    usual = Path("amity-demo")
    try:
        stored = json.loads((usual / "demo.json").read_text(encoding="utf-8"))
        special = [
            f"-{name}-{wanted}"
            for name, wanted in (("meters", meters), ("seed", seed))
            if wanted not in {None, stored[name]}
        ]
    except (OSError, ValueError, TypeError, KeyError):
        return usual  # nothing lives there yet, or what does is damaged, which is told when it is opened
    return usual.with_name(usual.name + "".join(special))


@contextmanager
def sole_user(folder: Folder) -> Iterator[None]:
    """Hold the folder; raise ConfigurationError when another demo holds it."""
    with (folder.root / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"a demo is running in {folder.root} already",
                next_step="use that one, end it with Ctrl-C, or start another with --dir",
            ) from error
        yield


@contextmanager
def choosing_ports(tell: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """One demo of this person at a time looks for free ports and begins to listen on them; call what it gives then.

    Without it two that start in the same second choose the same ports, and the slower one's head-end reads the
    meters of the other one, which know other invocation counters than it does.
    """
    place = Path(tempfile.gettempdir()) / f"amity-demo-ports-{os.getuid()}.lock"
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another demo is starting: this one waits until that one has its ports")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def remembered_story(
    folder: Folder, *, meters: int | None, seed: int | None, now: datetime, tell: Callable[[str], None]
) -> Story:
    """The story of this folder, or a new one; raise ConfigurationError when other meters or another seed are wanted."""
    path = folder.root / "demo.json"
    if not path.exists():
        story = Story(200 if meters is None else meters, 1 if seed is None else seed, now.replace(microsecond=0), 0)
        return _keep(folder, _on_free_ports(story))
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        story = Story(**(stored | {"anchor": datetime.fromisoformat(stored["anchor"])}))
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{path} is damaged",
            answer=str(error),
            next_step=f"put it back from a copy, or start another demo with --dir (the data in {folder.root} stays)",
        ) from error
    for name, wanted, has in (("--meters", meters, story.meters), ("--seed", seed, story.seed)):
        if wanted not in {None, has}:
            raise ConfigurationError(
                f"{folder.root} holds a town with {name} {has}, not {wanted}",
                next_step=f"leave {name} out to go on with it, name another folder with --dir, or delete this one",
            )
    if _all_free(story.ports):
        return story
    moved = _keep(folder, _on_free_ports(story))
    tell(f"ports from {story.port_base} on are taken: the meters move to {moved.port_base}")
    return moved


def settings_with_free_ports(folder: Folder, tell: Callable[[str], None]) -> Settings:
    """The folder's settings; where a port is taken by somebody else, a free one takes its place and is written down."""
    existed, settings = folder.settings.exists(), load(folder.settings)
    free = Settings(
        headend=settings.headend.model_copy(update={"push_port": _free_port(settings.headend.push_port)}),
        broker=settings.broker.model_copy(update={"port": _free_port(settings.broker.port)}),
        web=settings.web.model_copy(update={"port": _free_port(settings.web.port)}),
    )
    if free != settings and existed:
        tell(f"ports of {folder.settings} are taken: the console moves to {free.web.port}")
    if free != settings or not existed:
        write_private(folder.settings, dump(free))
    return free


def _keep(folder: Folder, story: Story) -> Story:
    write_private(folder.root / "demo.json", json.dumps(asdict(story) | {"anchor": isoformat(story.anchor)}, indent=1))
    return story


def _on_free_ports(story: Story) -> Story:
    for base in _METER_PORTS:
        moved = replace(story, port_base=base)
        if _all_free(moved.ports):
            return moved
    raise ConfigurationError(
        f"no {story.meters} free ports in a row between {_METER_PORTS[0]} and {_METER_PORTS[-1]}",
        next_step="end what listens there, or ask for fewer --meters",
    )


def _free_port(wanted: int) -> int:
    if wanted and _all_free(range(wanted, wanted + 1)):
        return wanted
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _all_free(ports: range) -> bool:
    return all(map(_is_free, ports))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the listeners do: a port just left is free
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True
