"""A fleet's way into an installation: endpoints into the OT database, secrets into the key file."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from amity.devices.settings import SYSTEM_TITLE_OCTETS
from amity.headend.provisioning import Provision, read_fleet_document
from amity.headend.session import association_settings
from amity.kernel.errors import ConfigurationError
from amity.runtime.databases import open_ot_database
from amity.runtime.files.profiles import catalogue_of
from amity.runtime.fleet.meter_defaults import DEFAULT_PROFILE, default_profile
from amity.runtime.folder import Folder
from amity.runtime.settings import HeadendSettings
from amity.storage.ot.keys import KeyFile


class Difference(NamedTuple):
    """What a fleet document changes, by meter id."""

    added: tuple[str, ...]
    replaced: tuple[str, ...]


def read_fleet_file(file: Path, folder: Folder, settings: HeadendSettings) -> Provision:
    """Read a fleet document, whose profiles the folder must have; raise ConfigurationError for what cannot be used."""
    return fleet_of(fleet_json(file), folder, settings)


def fleet_of(document: Any, folder: Folder, settings: HeadendSettings) -> Provision:
    """The fleet in what `fleet_json` read; raise ConfigurationError as `read_fleet_file`."""
    return read_fleet_document(document, catalogue_of(folder.own_profiles, default_profile(settings)).profile)


def refuse_what_cannot_be_opened(wanted: Provision, folder: Folder, settings: HeadendSettings) -> None:
    """Raise ConfigurationError for a meter whose keys do not do for its association: now, and not by night."""
    profile_of = catalogue_of(folder.own_profiles, default_profile(settings)).profile
    for one in wanted.endpoints:
        association_settings(
            one, profile_of(one.profile or DEFAULT_PROFILE), wanted.secrets[one.meter_id], bytes(SYSTEM_TITLE_OCTETS)
        )


def difference(folder: Folder, settings: HeadendSettings, fleet: Provision) -> Difference:
    """What `provision_fleet` would do; an installation that is not there yet stays so."""
    known: set[str] = set()
    if settings.database_url or folder.ot_database.exists():
        with closing(open_ot_database(folder, settings)) as database:
            known = {endpoint.meter_id for endpoint in database.endpoints.all()}
    named = [endpoint.meter_id for endpoint in fleet.endpoints]
    return Difference(tuple(one for one in named if one not in known), tuple(one for one in named if one in known))


def provision_fleet(folder: Folder, settings: HeadendSettings, fleet: Provision) -> None:
    """Add or replace these meters; others stay. Raise StorageError or ConfigurationError when the disk refuses.

    Keys come first: those of a meter that nobody reads do no harm, a meter without its keys fails.
    """
    KeyFile(folder.keys).put(fleet.secrets)
    with closing(open_ot_database(folder, settings)) as database:
        database.endpoints.put(fleet.endpoints)


def fleet_json(file: Path) -> Any:
    """The document as JSON values: for root, who may read a file that the service's user may not."""
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read", answer=error.strerror, next_step="name the file of a fleet document"
        ) from error
    except (ValueError, RecursionError) as error:  # its text names line and column, and quotes nothing: there are keys
        raise ConfigurationError(
            f"{file} is no JSON", answer=str(error), next_step="give a JSON list of meters, as docs/fleet.md shows"
        ) from error
