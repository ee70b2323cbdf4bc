"""Where everything lives: one folder per installation, one subfolder per zone; delete it to forget."""

from dataclasses import dataclass
from pathlib import Path

from amity.kernel.errors import ConfigurationError

PRIVATE_DIRECTORY = 0o700


@dataclass(frozen=True, slots=True)
class Folder:
    """The paths of one installation; nothing is created until `create`."""

    root: Path

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
        return self.root / "ot" / "mapping.json"

    @property
    def profiles(self) -> Path:
        """Device profiles of the operator's own, *.toml; the folder need not be there."""
        return self.root / "ot" / "profiles"

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
        """One log per process."""
        return self.root / "logs"

    def create(self) -> None:
        """Make the folders, readable by the owner only; raise ConfigurationError when the disk says no."""
        try:
            for path in (
                self.root,
                self.ot_database.parent,
                self.it_database.parent,
                self.broker,
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
