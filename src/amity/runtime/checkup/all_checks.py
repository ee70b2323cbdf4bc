"""All checks of one installation, in the order in which a person would look."""

import os
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from amity.headend.mapping import parse_mapping
from amity.headend.watched_file import OCTETS_MAX as WATCHED_OCTETS_MAX
from amity.kernel.errors import AmityError, ConfigurationError
from amity.runtime.checkup.backlog import check_backlog, check_broker
from amity.runtime.checkup.check import Check, State, failing, guarded, start_command
from amity.runtime.checkup.clock import check_clock
from amity.runtime.checkup.disk import check_disk, check_owners
from amity.runtime.checkup.keys import check_keys
from amity.runtime.checkup.limits import check_open_files, check_serial_ports
from amity.runtime.checkup.ports import check_ports
from amity.runtime.files.owned import read_owned
from amity.runtime.files.profiles import catalogue_of
from amity.runtime.files.schedules import parse_plan
from amity.runtime.fleet.authentication_level import level_of
from amity.runtime.folder import Folder
from amity.runtime.gateway.config import CONFIG_FOLDER, FILE_NAME
from amity.runtime.install.layout import UNIT
from amity.runtime.installation import Installation, look_at_gateway
from amity.runtime.processes.service_user import become_owner_of
from amity.runtime.settings import Settings, load


def examine(configuration: Path | None, directory: Path | None, now: datetime) -> list[Check]:
    """Look at everything; a check that cannot be made is one that failed, never an exception.

    As root: what only root may see first, then all else as the service's user, so that no file changes its owner.
    """
    checks = guarded("clock", check_clock)
    try:
        folder, settings = _installation(configuration, directory)
    except AmityError as error:
        return [*checks, failing("configuration", error)]
    checks += guarded("configuration", partial(_check_configuration, folder, settings))
    checks += guarded("ports", partial(check_ports, folder, settings))
    checks += guarded("keys", partial(check_keys, folder, settings, now, _service_user(folder)))
    checks += guarded("serial lines", partial(check_serial_ports, settings.headend.serial_ports))
    checks += guarded("open files", partial(check_open_files, settings, _unit(folder)))
    return [*checks, *guarded("state", partial(_check_state, folder, settings, now))]


def _installation(configuration: Path | None, directory: Path | None) -> Installation:
    if directory is not None:
        folder = Folder(directory)
        return Installation(folder, load(folder.settings))
    gateway = look_at_gateway(configuration or CONFIG_FOLDER)
    return Installation(gateway.folder, gateway.settings)


def _unit(folder: Folder) -> Path | None:
    """The service's unit, beside a configuration folder in `etc`; None where there is no such folder."""
    if folder.configuration is None or folder.configuration.parent.name != "etc":
        return None
    return folder.configuration.parents[1] / UNIT.lstrip("/")


def _service_user(folder: Folder) -> int:
    return folder.root.stat().st_uid if folder.root.exists() else os.geteuid()


def _check_configuration(folder: Folder, settings: Settings) -> Iterator[Check]:
    headend = settings.headend
    catalogue_of(folder.own_profiles).profile(headend.device_profile)
    yield Check(
        "configuration",
        State.OK,
        f"{folder.configuration or folder.settings}: client {headend.client_address},"
        f" logical device {headend.logical_device_id}, {level_of(headend.authentication_level).authentication},"
        f" {headend.concurrency} meters at once",
    )
    yield _peers(settings)
    if folder.mapping.exists():
        mapping = parse_mapping(_text(folder.mapping), str(folder.mapping))
        yield Check("mapping", State.OK, f"version {mapping.version}")
    if folder.schedules.exists():
        parse_plan(_text(folder.schedules), str(folder.schedules))
        yield Check("schedules", State.OK, f"{folder.schedules} can be used")


def _text(path: Path) -> str:
    """As its owner would read it, also for root."""
    return read_owned(path, owner=path.lstat().st_uid, octets_max=WATCHED_OCTETS_MAX)


def _peers(settings: Settings) -> Check:
    name, allowed = "peers allowed", settings.headend.peers_allowed
    if not allowed:
        return Check(name, State.HINT, "nobody: no meter can call in", "name their networks in peers_allowed")
    if {"0.0.0.0/0", "::/0"} & set(allowed):
        return Check(name, State.HINT, "everybody", "name the networks of your meters in peers_allowed")
    return Check(name, State.OK, ", ".join(allowed))


def _check_state(folder: Folder, settings: Settings, now: datetime) -> Iterator[Check]:
    if not folder.root.exists():
        step = "sudo amity install" if folder.installed else f"{start_command(folder)} makes it"
        raise ConfigurationError(f"{folder.root} is missing", next_step=step)
    if folder.configuration is not None:
        become_owner_of(folder.configuration / FILE_NAME, folder.root)
    yield from guarded("files", partial(check_owners, folder))
    yield from guarded("disk", partial(check_disk, folder))
    yield from guarded("database", partial(check_backlog, folder, now, settings.headend.database_url))
    yield from guarded("broker", partial(check_broker, folder, settings))
