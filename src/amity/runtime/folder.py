"""Where everything lives: one folder per installation, one subfolder per zone; delete it to forget.

An installation under systemd has three: what it keeps, what an administrator edits, and its logs.
"""

from dataclasses import dataclass
from pathlib import Path

from amity.kernel.errors import ConfigurationError

PRIVATE_DIRECTORY = 0o700


@dataclass(frozen=True, slots=True)
class Folder:
    """The paths of one installation; nothing is created until `create`.

    `configuration` is where mapping, certificates and the administrator's other files are, if not below `root`;
    `log_folder` is where the logs are, if not there either.
    """

    root: Path
    configuration: Path | None = None
    log_folder: Path | None = None

    @property
    def installed(self) -> bool:
        """Whether `amity install` laid it down and systemd runs it; else it is one folder, run by hand."""
        return self.configuration is not None

    @property
    def settings(self) -> Path:
        """What an operator may edit."""
        return self.root / "amity.toml"

    @property
    def ot_database(self) -> Path:
        """Endpoints, invocation counters, outbox, raw frames."""
        return self.root / "ot" / "ot.sqlite"

    @property
    def keys(self) -> Path:
        """Meter secrets, readable by the owner only (the key service takes this place in a later issue)."""
        return self.root / "ot" / "keys.json"

    @property
    def mapping(self) -> Path:
        """mapping.json, reloaded while running."""
        return (self.configuration or self.root / "ot") / "mapping.json"

    @property
    def last_good_mapping(self) -> Path:
        """The mapping in force, kept for a start during a bad edit; never where only an administrator writes."""
        return self.root / "ot" / "mapping.last-good.json"

    @property
    def schedules(self) -> Path:
        """schedules.toml, reloaded while running."""
        return (self.configuration or self.root / "ot") / "schedules.toml"

    @property
    def last_good_schedules(self) -> Path:
        """The schedules in force, kept as the mapping is."""
        return self.root / "ot" / "schedules.last-good.toml"

    @property
    def certificates(self) -> Path:
        """Keys and certificates of the links."""
        return (self.configuration or self.root / "ot") / "certs"

    @property
    def profiles(self) -> Path:
        """Device profiles of the operator's own, *.toml; the folder need not be there."""
        return (self.configuration or self.root / "ot") / "profiles"

    @property
    def event_tables(self) -> Path:
        """Tables of event codes of the operator's own, *.toml, reloaded while running; it need not be there."""
        return (self.configuration or self.root / "ot") / "events"

    @property
    def last_good_event_tables(self) -> Path:
        """The tables in force, kept as the mapping is."""
        return self.root / "ot" / "events.last-good"

    @property
    def collector(self) -> Path:
        """What a collector keeps: pushes that wait for the head-end, and its state for whoever asks."""
        return self.root / "collector"

    @property
    def collector_status(self) -> Path:
        """How a collector does, rewritten every few seconds."""
        return self.collector / "status.json"

    @property
    def calls(self) -> Path:
        """Who called in and was not believed, and who is on the line, for whoever asks."""
        return self.root / "ot" / "calls.json"

    @property
    def own_profiles(self) -> Path | None:
        """The folder of the operator's own profiles, None where there is none."""
        return self.profiles if self.profiles.is_dir() else None

    @property
    def it_database(self) -> Path:
        """Registry, deliveries, blocks, exceptions, logins."""
        return self.root / "it" / "it.sqlite"

    @property
    def broker(self) -> Path:
        """The nats-server's configuration and JetStream store."""
        return self.root / "broker"

    @property
    def simulator(self) -> Path:
        """The simulated fleet's own memory."""
        return self.root / "simulator"

    @property
    def logs(self) -> Path:
        """One log per process, and the two of the head-end's sessions."""
        return self.log_folder or self.root / "logs"

    @property
    def ingest_log(self) -> Path:
        """One line for each session and push."""
        return self.logs / "ingest.log"

    @property
    def error_log(self) -> Path:
        """One line for each failure, with its cause and its remedy."""
        return self.logs / "error.log"

    def create(self) -> None:
        """Make the folders, readable by the owner only; raise ConfigurationError when the disk says no."""
        try:
            for path in (
                self.root,
                self.ot_database.parent,
                self.it_database.parent,
                self.broker,
                self.collector,
                self.simulator,
                self.logs,
            ):
                path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"the folder {self.root} cannot be used",
                tried="to create it and its subfolders",
                answer=error.strerror,
                next_step="name another one with --dir, or mend its owner and mode",
            ) from error
