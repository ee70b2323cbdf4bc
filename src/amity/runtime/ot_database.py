"""The OT database of an installation: its own file, or the server that several nodes share."""

from amity.runtime.folder import Folder
from amity.runtime.settings import HeadendSettings
from amity.storage.ot.database import OtDatabase, open_database, open_shared_database


def open_ot_database(folder: Folder, settings: HeadendSettings) -> OtDatabase:
    """Open and migrate it; raise StorageError when disk or server do not allow it."""
    if settings.database_url:
        return open_shared_database(settings.database_url)
    return open_database(folder.ot_database)
