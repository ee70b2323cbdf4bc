"""Databases of a simulated world: real SQLite files, made once and copied, on a disk that can be slow or full.

A full disk is SQLite's own answer: the file may not grow beyond the pages it has (`PRAGMA max_page_count`), or the
write-ahead log takes no commit. What SQLite has committed stays: that is its promise (synchronous=FULL) and not
simulated here; what a process held in memory is lost with it.
"""

import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, event

from amity.headend.event_catalogue import EventTables
from amity.headend.mapping_file import MappingFile
from amity.kernel.errors import StorageError
from amity.simulation.campaign.machine import KilledError, Machine
from amity.storage.collector.pushes import open_push_store
from amity.storage.it.database import open_database as open_it_database
from amity.storage.ot.database import open_database as open_ot_database
from amity.storage.sqlite import open_sqlite
from amity.storage.transactions import WRITES

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a disk that costs no fsync, where there is one
_PREFIX: Final = "amity-campaign-"
_PAGES_MAX: Final = 1_073_741_823
_LIMITED: Final = "pages are limited"
_PROCESS: Final = "amity_process"
_DISK: Final = "amity_disk"


class Fullness(StrEnum):
    """How a disk is full."""

    NOT = "not"
    NO_PAGES = "no-pages"
    NO_COMMITS = "no-commits"


class Zone(StrEnum):
    """Whose database it is."""

    OT = "ot"
    IT = "it"
    COLLECTOR_1 = "collector-1"
    COLLECTOR_2 = "collector-2"
    COLLECTOR_3 = "collector-3"
    COLLECTOR_4 = "collector-4"


COLLECTORS: Final = tuple(zone for zone in Zone if zone not in (Zone.OT, Zone.IT))
"""A database for each collector that there may be."""


@dataclass(slots=True)
class DiskState:
    """How a disk is at this moment; `slowness` multiplies the time that work on it takes."""

    fullness: Fullness = Fullness.NOT
    slowness: float = 1.0


class Workshop:
    """What all worlds of one process share: empty databases with their tables, engines, the mapping, event tables.

    One world at a time: an engine's compiled statements are kept from one to the next, its file is a fresh one.
    """

    def __init__(self) -> None:
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_base()))
        self._at_exit = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        open_ot_database(self._template(Zone.OT)).close()
        open_it_database(self._template(Zone.IT)).close()
        for zone in COLLECTORS:
            open_push_store(self._template(zone), 1).close()
        self._engines = {zone: self._opened(zone) for zone in Zone}
        self.mappings = MappingFile(self.folder / "mapping.json")
        self.events = EventTables()

    def begin_world(self) -> None:
        """Both databases are empty again."""
        for zone, engine in self._engines.items():
            engine.dispose()
            for rest in self.folder.glob(f"{zone}.sqlite*"):
                rest.unlink()
            shutil.copy(self._template(zone), self.folder / f"{zone}.sqlite")

    def engine(self, zone: Zone, machine: Machine | None = None, state: DiskState | None = None) -> Engine:
        """A process's way to a database on a disk; without a machine it is the judge's, on a disk that is well."""
        return self._engines[zone].execution_options(**{_PROCESS: machine, _DISK: state or DiskState()})

    def close(self) -> None:
        """Remove everything."""
        for engine in self._engines.values():
            engine.dispose()
        self._at_exit()

    def _template(self, zone: Zone) -> Path:
        return self.folder / f"{zone}.template"

    def _opened(self, zone: Zone) -> Engine:
        engine = open_sqlite(self.folder / f"{zone}.sqlite")
        event.listen(engine, "begin", _limit, insert=True)
        event.listen(engine, "commit", _refuse_if_full)
        return engine


def sweep() -> None:
    """Remove what processes have left that are no more."""
    for folder in _base().glob(f"{_PREFIX}*"):
        number = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not Path("/proc", number).exists():
            shutil.rmtree(folder, ignore_errors=True)


def remove_own() -> None:
    """Remove the files of this process, also while it still writes some."""
    while folders := list(_base().glob(f"{_PREFIX}{os.getpid()}-*")):
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _base() -> Path:
    return _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())


def _limit(connection: Connection) -> None:
    """Nothing of a dead process reaches the file; a full disk has the pages that it has."""
    options = connection.get_execution_options()
    if options.get(WRITES, False) and options[_PROCESS] is not None:
        options[_PROCESS].begins_to_write()
    no_pages = _living(connection).fullness is Fullness.NO_PAGES
    if connection.info.get(_LIMITED, False) is not no_pages:
        connection.info[_LIMITED] = no_pages
        cursor = connection.connection.cursor()
        cursor.execute(f"PRAGMA max_page_count = {1 if no_pages else _PAGES_MAX}")  # 1: no more than there are
        cursor.close()


def _refuse_if_full(connection: Connection) -> None:
    state = _living(connection)
    if state.fullness is Fullness.NO_COMMITS and connection.get_execution_options().get(WRITES, False):
        raise StorageError("the disk is full", tried="commit", next_step="free some space on that disk")


def _living(connection: Connection) -> DiskState:
    """The disk of this process; raise KilledError when it is no more."""
    options = connection.get_execution_options()
    machine = options[_PROCESS]
    if machine is not None and not machine.alive:
        raise KilledError(machine.name)
    state: DiskState = options[_DISK]
    return state
