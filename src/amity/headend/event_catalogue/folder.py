"""An operator's own tables of event codes, in a folder whose files may be edited while the head-end runs."""

from pathlib import Path

from amity.headend.event_catalogue.catalogue import EventCatalogue, packaged_catalogue
from amity.headend.event_catalogue.table import EventTable, parse_table
from amity.headend.watched_file import WatchedFile
from amity.kernel.errors import AmityError, ConfigurationError


class EventTables:
    """Holds the catalogue in force: every `*.toml` of the folder, by name, before those that come with Amity.

    `refusals` says, by file, what is wrong with those that are not in force as they stand: of such a file the last good
    text stays in force, also over a restart; of one that was never good, nothing.
    """

    def __init__(self, folder: Path | None = None, last_good: Path | None = None) -> None:
        """Read the folder, if there is one; `last_good` is the folder in which last good texts are kept."""
        self._folder = folder
        self._last_good = last_good
        self._files: dict[str, WatchedFile[EventTable]] = {}
        self.refusals: dict[str, AmityError] = {}
        self.catalogue: EventCatalogue = packaged_catalogue()
        self.poll()

    @property
    def own(self) -> tuple[EventTable, ...]:
        """The operator's tables in force, in the order in which they are asked."""
        return tuple(self._files[name].content for name in sorted(self._files))

    def poll(self) -> bool:
        """Look whether files came, changed or went; True when another catalogue came into force."""
        names = self._names()
        changed = [name for name, file in self._files.items() if name in names and file.poll()]
        gone = self._files.keys() - names
        for name in gone:
            del self._files[name]
        unopened: dict[str, AmityError] = {}
        for name in sorted(names - self._files.keys()):
            try:
                self._files[name] = self._watched(name)
            except AmityError as error:
                unopened[name] = error
            else:
                changed.append(name)
        refused = {name: file.refusal for name, file in self._files.items() if file.refusal is not None}
        self.refusals = {**unopened, **refused}
        if changed or gone:
            self.catalogue = packaged_catalogue().with_own(self.own)
        return bool(changed or gone)

    def _names(self) -> frozenset[str]:
        if self._folder is None:
            return frozenset()
        return frozenset(path.name for path in self._folder.glob("*.toml"))

    def _watched(self, name: str) -> WatchedFile[EventTable]:
        if self._folder is None:
            raise AssertionError("without a folder there are no names")
        kept = None if self._last_good is None else self._last_good / name
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
        return WatchedFile(self._folder / name, parse_table, _nothing_to_begin_with, kept)


def _nothing_to_begin_with() -> str:
    raise ConfigurationError("the table is gone", next_step="put it back, or nothing: then the packaged tables hold")
