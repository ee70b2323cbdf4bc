"""A fleet's way into an installation: endpoints into the OT database, secrets into the key file."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from amity.devices.doctor import Secret, needed_for
from amity.devices.settings import Authentication, Ciphering
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.provisioning import Provision, check_associations, read_fleet_document
from amity.kernel.errors import ConfigurationError
from amity.runtime.databases import open_ot_database
from amity.runtime.files.profiles import catalogue_of
from amity.runtime.fleet.meter_defaults import as_configured
from amity.runtime.folder import Folder
from amity.runtime.settings import HeadendSettings
from amity.storage.ot.keys import KeyFile


class Difference(NamedTuple):
    """What a fleet document changes, by meter id."""

    added: tuple[str, ...]
    replaced: tuple[str, ...]


def fleet_of(document: Any, folder: Folder) -> Provision:
    """The fleet in what `fleet_json` read, whose profiles the folder must have.

    Raise ConfigurationError for what cannot be used.
    """
    return read_fleet_document(document, catalogue_of(folder.own_profiles).profile)


def check_meter(endpoint: Endpoint, secrets: MeterSecrets, folder: Folder, settings: HeadendSettings) -> None:
    """Raise ConfigurationError when the secrets do not do for the meter's association: now, and not by night.

    Also when they would not be used: whoever gives keys believes that the meter is read under them.
    """
    whole = as_configured(endpoint, settings)
    check_associations(whole, catalogue_of(folder.own_profiles).profile(whole.profile), secrets)
    if unused := " and ".join(_unused(whole, secrets)):
        raise ConfigurationError(
            f"{unused} would not be used: meter {whole.meter_id} is to be read with authentication {whole.auth},"
            f" ciphering {whole.ciphering}",
            next_step='give --level "High Level Authentication" or another that uses it, or leave it out'
            " (AMITY_KEY, AMITY_AUTH_KEY and AMITY_PASSWORD too); keys for pushes alone stand in a fleet document",
        )


def _unused(whole: Endpoint, secrets: MeterSecrets) -> Iterator[str]:
    """The options of the secrets that are given and play no part in the association."""
    authentication = Authentication(whole.auth)
    used = needed_for(authentication, Ciphering(whole.ciphering))
    if secrets.password and Secret.PASSWORD not in used:
        yield "--password"
    if secrets.guek and Secret.KEYS not in used and not authentication.titled:
        yield "--key and --auth-key" if secrets.gak else "--key"


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
