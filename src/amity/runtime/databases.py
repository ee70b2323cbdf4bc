"""The databases of an installation, opened for roles and for the commands of an operator."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from amity.kernel.errors import ConfigurationError
from amity.messaging.codec import ProtobufCodec
from amity.runtime.folder import Folder
from amity.runtime.installation import find_installation
from amity.runtime.settings import HeadendSettings
from amity.runtime.system import SystemClock, random_octets
from amity.storage.it.database import open_database as open_it_database
from amity.storage.ot.database import OtDatabase, open_database, open_shared_database
from amity.usecases.services import Services


def open_ot_database(folder: Folder, settings: HeadendSettings) -> OtDatabase:
    """The head-end's: its own file, or the server that several nodes share, migrated.

    Raise StorageError when disk or server do not allow it.
    """
    if settings.database_url:
        return open_shared_database(settings.database_url)
    return open_database(folder.ot_database)


@contextmanager
def head_end_of(configuration: Path | None, directory: Path | None) -> Iterator[OtDatabase]:
    """The stores of an installation's head-end, for a command that is told which one."""
    folder, settings = find_installation(configuration, directory)
    with closing(open_ot_database(folder, settings.headend)) as database:
        yield database


@contextmanager
def it_services(folder: Folder) -> Iterator[Services]:
    """What the MDM side's use cases work with; its database is made where there is none."""
    with closing(open_it_database(folder.it_database)) as database:
        yield Services(database, database.logins, ProtobufCodec(), SystemClock(), random_octets)


@contextmanager
def it_services_here(folder: Folder, *, next_step: str) -> Iterator[Services]:
    """The same where the MDM side is on this machine; raise ConfigurationError where it is not."""
    if not folder.it_database.exists():
        raise ConfigurationError(
            f"there is no {folder.it_database}: the MDM side is not on this machine", next_step=next_step
        )
    with it_services(folder) as services:
        yield services
