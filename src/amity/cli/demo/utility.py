"""The demo's processes: what is started, what is waited for, what is told."""

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from amity.cli.demo.display import Display
from amity.cli.demo.folder import Story
from amity.cli.demo.log_follower import LogFollower, last_line
from amity.cli.demo.summary import Summary, summarise
from amity.cli.waiting import listens, until
from amity.domain.collection import Delivery, Outcome
from amity.headend.jobs.on_demand import Asker
from amity.headend.plan import ReadingRules
from amity.headend.provisioning import read_fleet_document
from amity.kernel.time import isoformat
from amity.messaging.access import load_or_create_passwords
from amity.runtime.databases import it_services
from amity.runtime.fleet.provisioning import provision_fleet
from amity.runtime.folder import Folder
from amity.runtime.logs.lines import configure_logs
from amity.runtime.processes.supervisor import Program, Supervisor, until_told_to_stop
from amity.runtime.roles.headend import read_fleet_once
from amity.runtime.roles.serving import ONE_MACHINE, Role
from amity.runtime.settings import HeadendSettings, Settings
from amity.runtime.system import SystemClock
from amity.simulation.faults import FaultKind, demo_mix
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet, document_entry
from amity.usecases.login import LINK_LIFETIME, offer_link
from amity.usecases.provision import provision
from amity.usecases.services import Services

_HOST = "127.0.0.1"
_LOOK_EVERY_S = 1.0
_STARTING_S_MAX = 60.0
_STORING_S_MAX = 120.0
_PEOPLE = ("operator", "second browser")


@dataclass(frozen=True, slots=True)
class Utility:
    """The demo's processes and what it knows of them; `all_listen` is called once when its ports are its own."""

    folder: Folder
    story: Story
    settings: Settings
    display: Display
    all_listen: Callable[[], None]

    async def live(self, *, as_json: bool) -> None:
        """Run until told to stop."""
        fleet, began = fleet_of(self.story), SystemClock().now()
        with _provisioned(self.folder, self.settings.headend, fleet, self.story) as services:
            async with self._supervised(*self.programs()):
                await self._until_listening(_last_listening_port(_document(fleet, self.story)), "the simulator")
                await self._until_listening(self.settings.web.port, "the console")
                self.all_listen()
                self._tell_the_way_in(services, fleet, as_json=as_json)
                watching = (
                    asyncio.create_task(self._watch_first_round(services, len(fleet.meters), began)),
                    asyncio.create_task(self._tell_complaints()),
                )
                with self._new_link_on_enter(services, as_json=as_json):
                    await until_told_to_stop(watch_stdin=False)
                for task in watching:
                    task.cancel()
                self.display.ended()
                self.display.said("stopping")

    async def read_once(self) -> Summary:
        """Read every meter once and wait until all of it is in the store."""
        began, started = SystemClock().now(), time.monotonic()
        configure_logs(quiet=True)
        fleet = fleet_of(self.story)
        document = _document(fleet, self.story)
        outcomes: dict[str, Outcome] = {}

        def tell(delivery: Delivery) -> None:
            outcomes[delivery.meter_id] = delivery.outcome
            self.display.advanced(len(outcomes), _note(outcomes))

        with _provisioned(self.folder, self.settings.headend, fleet, self.story) as services:
            async with self._supervised(self._simulator(push=False), self._role(Role.BROKER), self._role(Role.MDM)):
                await self._until_listening(self.settings.broker.port, "the broker")
                await self._until_listening(_last_listening_port(document), "the simulator")
                self.all_listen()
                self.display.beginning("reading", len(fleet.meters))
                try:
                    await read_fleet_once(self.folder, self.settings, tell, Asker("demo", f"once/{isoformat(began)}"))
                    await self._until_stored(services, set(outcomes), began)
                finally:
                    self.display.ended()
            first = began - timedelta(days=self.settings.headend.backfill_days)
            last = began - ReadingRules().settle
            return summarise(
                services.database, fleet.town.name, document, outcomes, first, last, time.monotonic() - started
            )

    # -------------------------------------------------------------- processes
    @asynccontextmanager
    async def _supervised(self, *programs: Program) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor(self._tell_restart)
        try:
            for program in programs:
                await supervisor.start(program)
            yield supervisor
        finally:
            await supervisor.stop()

    def _tell_restart(self, name: str, text: str) -> None:
        why = last_line(self.folder.logs / f"{name}.log")
        self.display.said(f"{name}: {text}" + (f" (its last words: {why})" if why else ""))

    def programs(self) -> list[Program]:
        """All that the living demo consists of, in the order in which they are started."""
        return [self._simulator(push=True), *map(self._role, ONE_MACHINE)]

    def _role(self, role: Role) -> Program:
        argv = (*_amity("serve"), "--dir", str(self.folder.root), "--roles", role.value, "--with-parent")
        return Program(role.value, argv, self.folder.logs / f"{role.value}.log")

    def _simulator(self, *, push: bool) -> Program:
        story, headend = self.story, self.settings.headend
        argv = (
            *_amity("simulate"), "--meters", str(story.meters), "--seed", str(story.seed), "--faults",
            "--anchor", isoformat(story.anchor), "--port-base", str(story.port_base),
            "--with-parent", "--strict-counters", "--state", str(self.folder.simulator / "counters"),
            *(("--push-to", f"{headend.push_host}:{headend.push_port}") if push else ()),
        )  # fmt: skip
        return Program("simulator", argv, self.folder.logs / "simulator.log")

    async def _until_listening(self, port: int, what: str) -> None:
        await until(lambda: listens(port), what, logs=self.folder.logs, limit_s=_STARTING_S_MAX)

    # -------------------------------------------------------------- what is going on
    async def _tell_complaints(self) -> None:
        """Errors and warnings of the parts, as they come."""
        follower = LogFollower(self.folder.logs)
        while True:
            for complaint in follower.new_complaints():
                self.display.said(complaint)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _watch_first_round(self, services: Services, meters: int, since: datetime) -> None:
        """Move a bar until every meter was tried once since the demo was started."""
        self.display.beginning("first round", meters)
        try:
            tried: Mapping[str, Outcome] = {}
            while len(tried) < meters:
                await asyncio.sleep(_LOOK_EVERY_S)
                states = await asyncio.to_thread(services.database.deliveries.states)
                tried = {state.meter_id: state.outcome for state in states if state.collected_at >= since}
                self.display.advanced(len(tried), _note(tried))
        finally:
            self.display.ended()
        self.display.said(f"first round done: {_note(tried)}")

    async def _until_stored(self, services: Services, meter_ids: set[str], since: datetime) -> None:
        async def stored() -> bool:
            states = await asyncio.to_thread(services.database.deliveries.states)
            return meter_ids <= {state.meter_id for state in states if state.collected_at >= since}

        await until(stored, "the store to take every delivery", logs=self.folder.logs, limit_s=_STORING_S_MAX)

    def _tell_the_way_in(self, services: Services, fleet: Fleet, *, as_json: bool) -> None:
        links = [self._link(services, person) for person in _PEOPLE]
        until = SystemClock().now() + LINK_LIFETIME
        self.display.links(fleet.town.name, len(fleet.meters), links, until, str(self.folder.root))
        if as_json:
            document = {
                "town": fleet.town.name,
                "simulated_meters": len(fleet.meters),
                "dir": str(self.folder.root),
                "console": self._console,
                "login_links": links,
                "links_until": isoformat(until),
            }
            print(json.dumps(document, ensure_ascii=False), flush=True)

    @property
    def _console(self) -> str:
        return f"http://{self.settings.web.host}:{self.settings.web.port}"

    def _link(self, services: Services, person: str) -> str:
        return f"{self._console}/login?token={offer_link(services, person).secret}"

    @contextlib.contextmanager
    def _new_link_on_enter(self, services: Services, *, as_json: bool) -> Iterator[None]:
        """Only where a person sits: on a terminal."""
        if as_json or not sys.stdin.isatty():
            yield
            return
        loop = asyncio.get_running_loop()

        def pressed() -> None:
            if sys.stdin.readline():
                self.display.said(f"open once  {self._link(services, _PEOPLE[0])}")
            else:
                loop.remove_reader(sys.stdin)

        loop.add_reader(sys.stdin, pressed)
        try:
            yield
        finally:
            loop.remove_reader(sys.stdin)


# ------------------------------------------------------------------ the town
def fleet_of(story: Story) -> Fleet:
    """The demo's fleet: the usual share of faults, one area without power."""
    return build_fleet(
        FleetSettings(
            meters=story.meters, seed=story.seed, anchor=story.anchor, faults=demo_mix(story.meters), outage=True
        )
    )


def _document(fleet: Fleet, story: Story) -> list[dict[str, Any]]:
    return [document_entry(meter, _HOST, port) for meter, port in zip(fleet.meters, story.ports, strict=True)]


@contextlib.contextmanager
def _provisioned(folder: Folder, settings: HeadendSettings, fleet: Fleet, story: Story) -> Iterator[Services]:
    """Registry, endpoints and keys are in place before anybody reads; gives what the IT side's use cases work with."""
    wanted = read_fleet_document(_document(fleet, story))
    provision_fleet(folder, settings, wanted)
    load_or_create_passwords(folder.broker)
    with it_services(folder) as services:
        provision(fleet.town, services.database)
        yield services


def _last_listening_port(document: Sequence[Mapping[str, Any]]) -> int:
    """A fleet listens in order of its ports, those that refuse excepted."""
    return max(int(entry["port"]) for entry in document if FaultKind.REFUSED not in entry["faults"])


def _amity(command: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "amity.cli", command)


def _note(outcomes: Mapping[str, Outcome]) -> str:
    """`183 answered, 3 silent, 2 wrong-key`."""
    failures = Counter(str(outcome) for outcome in outcomes.values() if not outcome.answered)
    answered = len(outcomes) - failures.total()
    return ", ".join([f"{answered} answered", *(f"{count} {name}" for name, count in sorted(failures.items()))])
