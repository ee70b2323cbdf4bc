"""An installation as commands name it: by its configuration folder (`--config`) or by its one folder (`--dir`)."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from amity.kernel.errors import ConfigurationError
from amity.runtime.files.owned import check_owned
from amity.runtime.folder import Folder
from amity.runtime.gateway.config import CONFIG_FOLDER, FILE_NAME, Gateway, load_gateway
from amity.runtime.install.material import KEY_NAME
from amity.runtime.processes.service_user import become_owner_of
from amity.runtime.settings import Settings, load

_STATE: Final = ("var", "lib", "ami-gateway")


class Installation(NamedTuple):
    """Where it is and how it is set."""

    folder: Folder
    settings: Settings


def find_installation(configuration: Path | None, directory: Path | None) -> Installation:
    """The installation of a configuration folder, or of one folder with an amity.toml; by default /etc/ami-gateway.

    A folder that is the state of a configured installation stands for that. Root goes on as the user to whom the
    installation belongs.

    Raise ConfigurationError when both are given, or when its files are missing, wrong or readable by others.
    """
    if configuration is not None and directory is not None:
        raise ConfigurationError("--config and --dir are two ways to name one installation", next_step="give one")
    if directory is not None and (configuration := _configuration_of(directory)) is None:
        if directory.exists():
            become_owner_of(directory, directory)
        folder = Folder(directory)
        return Installation(folder, load(folder.settings))
    wanted = configuration or CONFIG_FOLDER
    become_owner_of(wanted / FILE_NAME, look_at_gateway(wanted).folder.root)
    gateway = load_gateway(wanted)
    folder = gateway.folder
    for path in (folder.mapping, folder.schedules, folder.certificates / KEY_NAME):
        if os.path.lexists(path):
            check_owned(path)
    return Installation(folder, gateway.settings)


def _configuration_of(state: Path) -> Path | None:
    """The configuration of which this is the state, as `amity install` lays both down; None for a folder by itself."""
    state = state.absolute()
    if state.parts[-len(_STATE) :] != _STATE:
        return None
    configuration = state.parents[len(_STATE) - 1] / "etc" / "ami-gateway"
    laid_down = os.path.lexists(configuration / FILE_NAME) and look_at_gateway(configuration).folder.root == state
    return configuration if laid_down else None


def look_at_gateway(configuration: Path) -> Gateway:
    """The configuration as whoever owns it would find it, also for root, who is about to become that user or to leave.

    Raise ConfigurationError as `load_gateway`.
    """
    path = configuration / FILE_NAME
    owner = path.lstat().st_uid if os.geteuid() == 0 and os.path.lexists(path) else None
    return load_gateway(configuration, owner=owner)
