"""/etc/ami-gateway/dlms_config.yaml: what an administrator sets; a wrong entry is told with line, key and what may be.

The file is read by a loader that makes plain values only, and refused when others can read it. It says the same things
as amity.toml, in the words of the field, and becomes the same `Settings`.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from amity.kernel.errors import ConfigurationError
from amity.runtime.authentication_level import ALLOWED, level_of
from amity.runtime.folder import Folder
from amity.runtime.owned_files import read_owned
from amity.runtime.peers import network_of
from amity.runtime.settings import BrokerSettings, HeadendSettings, Settings, WebSettings
from amity.runtime.yaml_lines import KeyPath, Read, read_yaml

CONFIG_FOLDER: Final = Path("/etc/ami-gateway")
FILE_NAME: Final = "dlms_config.yaml"
CONCURRENCY_VARIABLE: Final = "AMI_CONCURRENCY"
"""In the service's environment; it goes before `worker_pool.concurrency_limit`."""

_CONCURRENCY_MAX: Final = 10_000

Seconds = Annotated[float, Field(gt=0, le=600, description="seconds, more than 0, at most 600")]
Port = Annotated[int, Field(ge=1, le=65_535, description="a port, 1 to 65535")]
DlmsAddress = Annotated[int, Field(ge=1, le=0x3FFF, description="a whole number, 1 to 16383")]
Text = Annotated[str, Field(min_length=1, description="a text")]
Directory = Annotated[str | None, Field(pattern="^/", description="a path that begins with /")]


def _checked_level(text: str) -> str:
    level_of(text)
    return text


def _checked_network(text: str) -> str:
    return str(network_of(text))


Level = Annotated[str, AfterValidator(_checked_level), Field(description=f"one of {', '.join(ALLOWED)}")]
Network = Annotated[str, AfterValidator(_checked_network), Field(description="a network like 10.20.0.0/16")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections_are_defaults(cls, written: Any) -> Any:
        """A section of which every line is commented out is nothing to YAML."""
        return {k: v for k, v in written.items() if v is not None} if isinstance(written, dict) else written


class WorkerPool(_Part):
    """How many meters are read at once, and how often."""

    concurrency_limit: Annotated[int, Field(ge=1, le=_CONCURRENCY_MAX, description="a whole number, 1 to 10000")] = 64
    poll_interval: Annotated[int, Field(ge=5, le=86_400, description="whole seconds, 5 to 86400")] = 60
    attempts: Annotated[int, Field(ge=1, le=10, description="a whole number, 1 to 10")] = 3
    backfill_days: Annotated[int, Field(ge=1, le=90, description="whole days, 1 to 90")] = 3
    frames_kept_days: Annotated[int, Field(ge=1, le=3650, description="whole days, 1 to 3650")] = 7


class Listen(_Part):
    """Where meters that call in find us."""

    host: Text = "127.0.0.1"
    port: Port = 4059


class CollectorDoorPart(_Part):
    """Where collectors find us, if a port is given."""

    host: Text = "127.0.0.1"
    port: Annotated[int | None, Field(ge=1, le=65_535, description="a port, 1 to 65535, or nothing")] = None


class SerialPort(_Part):
    """A line with an optical head, an RS-485 bus, or a radio or PLC coordinator."""

    device: Annotated[str, Field(pattern=r"^/dev/[\w/.-]+$", description="a device like /dev/ttyUSB0")]
    baud: Annotated[int, Field(ge=300, le=921_600, description="bit/s, 300 to 921600")] = 9600


class Console(_Part):
    """Where the console listens, when this machine has the role `web`."""

    host: Text = "127.0.0.1"
    port: Port = 8470
    allowed_hosts: Annotated[list[str], Field(description="a list of host names")] = ["127.0.0.1", "localhost"]


class Logs(_Part):
    """What the logs hold beside what they always hold."""

    folder: Directory = None
    frames: Annotated[bool, Field(description="true or false")] = False


class GatewayFile(_Part):
    """All of dlms_config.yaml."""

    client_address: DlmsAddress = 1
    logical_device_id: DlmsAddress = 1
    authentication_level: Level = "none"
    device_profile: Text = "generic"
    request_timeout: Seconds = 5.0
    connect_timeout: Seconds = 3.0
    worker_pool: WorkerPool = WorkerPool()
    listen: Listen = Listen()
    collectors: CollectorDoorPart = CollectorDoorPart()
    peers_allowed: Annotated[list[Network], Field(description="a list of networks like 10.20.0.0/16")] = [
        "127.0.0.0/8",
        "::1/128",
    ]
    serial_ports: Annotated[list[SerialPort], Field(description="a list of device and baud")] = []
    logs: Logs = Logs()
    state_directory: Directory = None
    database_url: Annotated[str, Field(description="a URL like postgresql://ami@db.example/ami, or nothing")] = ""
    broker_port: Port = 4222
    metrics_port: Annotated[
        int, Field(ge=0, le=65_535, description="a port of this machine, 1 to 65535, or 0 for none")
    ] = 0
    console: Console = Console()


class Gateway(NamedTuple):
    """An installation as its configuration describes it."""

    settings: Settings
    folder: Folder
    file: GatewayFile


def load_gateway(
    configuration: Path = CONFIG_FOLDER, environment: Mapping[str, str] = os.environ, *, owner: int | None = None
) -> Gateway:
    """Read the configuration folder of an installation.

    Raise ConfigurationError that names file, line, key and what may stand there, or the command that mends its mode.
    """
    path = configuration / FILE_NAME
    file = parse_gateway(read_owned(path, owner=owner), str(path))
    return Gateway(_settings(file, environment), _folder(file, configuration), file)


def parse_gateway(text: str, name: str) -> GatewayFile:
    """Read the text of a dlms_config.yaml; raise ConfigurationError as `load_gateway`."""
    read = read_yaml(text, name)
    try:
        return GatewayFile.model_validate({} if read.value is None else read.value)
    except ValidationError as error:
        raise _refusal(name, read, error.errors()[0]) from error


def _settings(file: GatewayFile, environment: Mapping[str, str]) -> Settings:
    pool = file.worker_pool
    return Settings(
        headend=HeadendSettings(
            concurrency=_concurrency(environment) or pool.concurrency_limit,
            connect_timeout_s=file.connect_timeout,
            request_timeout_s=file.request_timeout,
            attempts=pool.attempts,
            poll_interval_s=pool.poll_interval,
            backfill_days=pool.backfill_days,
            frames_kept_days=pool.frames_kept_days,
            database_url=file.database_url,
            metrics_port=file.metrics_port,
            push_host=file.listen.host,
            push_port=file.listen.port,
            collector_host=file.collectors.host,
            collector_port=file.collectors.port,
            peers_allowed=tuple(file.peers_allowed),
            log_frames=file.logs.frames,
            client_address=file.client_address,
            logical_device_id=file.logical_device_id,
            authentication_level=file.authentication_level,
            device_profile=file.device_profile,
        ),
        broker=BrokerSettings(port=file.broker_port),
        web=WebSettings(**file.console.model_dump()),
    )


def _concurrency(environment: Mapping[str, str]) -> int | None:
    text = environment.get(CONCURRENCY_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= _CONCURRENCY_MAX:
        raise ConfigurationError(
            f"{CONCURRENCY_VARIABLE} is {text!r}", next_step=f"give a whole number, 1 to {_CONCURRENCY_MAX}, or none"
        )
    return int(text)


def _folder(file: GatewayFile, configuration: Path) -> Folder:
    """State and logs lie in the same root as the configuration (`amity install --root`), unless the file says where."""
    configuration = configuration.absolute()
    below = configuration.parent.parent if configuration.parent.name == "etc" else Path("/")
    state = Path(file.state_directory) if file.state_directory else below / "var/lib/ami-gateway"
    logs = Path(file.logs.folder) if file.logs.folder else below / "var/log/ami"
    return Folder(state, configuration, logs)


# ------------------------------------------------------------------ what a wrong entry is told
def _refusal(name: str, read: Read, first: ErrorDetails) -> ConfigurationError:
    path: KeyPath = first["loc"]
    key = ".".join(map(str, path)) or "the document"
    line = read.line_of(path)
    if first["type"] == "extra_forbidden":
        around, known = path[:-1], _keys_at(path[:-1])
        likely = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f"did you mean {'.'.join(map(str, (*around, likely[0])))}? " if likely else ""
        return ConfigurationError(
            f"{name}, line {line}: there is no key {key}", next_step=f"{hint}known keys: {', '.join(known)}"
        )
    allowed = _described(path)
    return ConfigurationError(
        f"{name}, line {line}: {key} is {_shown(first['input'])}: {_reason(first)}",
        next_step=f"give {key} {allowed}" if allowed else f"correct {key}",
    )


def _reason(first: ErrorDetails) -> str:
    if first["type"] == "model_type":
        return "it should be keys with their values"
    return first["msg"].removeprefix("Value error, ").replace("Input should", "it should")


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float | bool) else f"a {type(value).__name__}"


def _part_at(path: KeyPath) -> dict[str, Any]:
    """The part of the schema that describes a path; empty where there is none."""
    schema = GatewayFile.model_json_schema()
    here: dict[str, Any] = schema
    for step in path:
        here = _resolved(here, schema)
        here = here.get("items", {}) if isinstance(step, int) else here.get("properties", {}).get(step, {})
    described = here.get("description")
    found = _resolved(here, schema)
    return {**found, "description": described} if described else found


def _resolved(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = here.get("$ref", "")
    resolved: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]] if reference else here
    return resolved


def _keys_at(path: KeyPath) -> list[str]:
    return sorted(_part_at(path).get("properties", {}))


def _described(path: KeyPath) -> str:
    part = _part_at(path)
    properties = part.get("properties")
    return f"the keys {', '.join(properties)}" if properties else str(part.get("description", ""))
