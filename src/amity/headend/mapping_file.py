"""The mapping in a file that may be edited while the head-end runs."""

from pathlib import Path

from amity.headend.mapping import Mapping, packaged_text, parse_mapping
from amity.headend.watched_file import WatchedFile


class MappingFile(WatchedFile[Mapping]):
    """Holds the mapping in force; a bad edit is refused and changes nothing."""

    def __init__(self, path: Path, last_good: Path | None = None) -> None:
        """Read the file, written from the packaged mapping if there is none.

        `last_good` is where the mapping in force is kept for a start during a bad edit, if not beside the file.
        Raise ConfigurationError when neither the file nor a last good copy is usable, StorageError when the disk fails.
        """
        super().__init__(path, parse_mapping, packaged_text, last_good)

    @property
    def mapping(self) -> Mapping:
        """The mapping in force."""
        return self.content

    def poll(self) -> bool:
        """Look whether the file changed; True when a mapping of another version came into force."""
        before = self.mapping.version
        super().poll()
        return self.mapping.version != before
