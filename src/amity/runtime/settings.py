"""amity.toml: what an operator may set, with limits; a wrong entry is named with its key and reason."""

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from amity.headend.regular_file import read_regular
from amity.kernel.errors import ConfigurationError
from amity.kernel.toml import TomlError, parse_toml
from amity.runtime.doors.peers import network_of
from amity.runtime.doors.shared_ports import Wanted, first_shared
from amity.runtime.fleet.authentication_level import level_of
from amity.security.private_files import check_private

Port = Annotated[int, Field(ge=0, le=65535)]
Network = Annotated[str, AfterValidator(lambda text: str(network_of(text)))]
Dialled = Annotated[str, Field(pattern=r"^[\w.:\[\]-]+:\d{1,5}$", description="HOST:PORT")]
Level = Annotated[str, AfterValidator(lambda text: level_of(text).name)]

_OCTETS_MAX: Final = 1 << 20


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SerialPortSettings(_Section):
    """A serial line, and the speed of its meters in bit/s."""

    device: str
    baud: int = 9600


class HeadendSettings(_Section):
    """How the head-end reads its fleet, who may call it, and how it speaks to meters of which nothing else is said."""

    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    connect_timeout_s: Annotated[float, Field(gt=0, le=600)] = 3.0
    request_timeout_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    poll_interval_s: Annotated[int, Field(ge=5, le=86_400)] = 60
    backfill_days: Annotated[int, Field(ge=1, le=90)] = 3
    frames_kept_days: Annotated[int, Field(ge=1, le=3650)] = 7
    jobs_kept_days: Annotated[int, Field(ge=1, le=3650)] = 7
    lease_s: Annotated[int, Field(ge=15, le=3600)] = 60
    database_url: str = ""
    metrics_port: Port = 0
    push_host: str = "127.0.0.1"
    push_port: Port = 4059
    peers_allowed: tuple[Network, ...] = ("0.0.0.0/0", "::/0")
    proxies: tuple[Network, ...] = ()
    collector_host: str = "127.0.0.1"
    collector_port: Port | None = None
    mqtt_host: str = "127.0.0.1"
    mqtt_port: Port | None = None
    log_frames: bool = False
    client_address: Annotated[int, Field(ge=1, le=0x3FFF)] = 1
    logical_device_id: Annotated[int, Field(ge=1, le=0x3FFF)] = 1
    authentication_level: Level = "none"
    device_profile: str = "generic"
    serial_ports: tuple[SerialPortSettings, ...] = ()


class CollectorSettings(_Section):
    """What a collector serves: head-ends it dials (HOST:PORT), meters it may reach, and who may push to it.

    `held_megabytes_max` is for pushes that wait; `alarm_port` takes alarms alone; `alarm_octets_max` is a size up to
    which every push is an alarm (0: size says nothing); `rssi_file` holds what the modem last said, in dBm.
    """

    headends: tuple[Dialled, ...] = ()
    meters: tuple[Network, ...] = ()
    meter_names: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    callers_allowed: tuple[Network, ...] = ()
    push_host: str = "127.0.0.1"
    push_port: Port = 4059
    alarm_port: Port | None = None
    alarm_octets_max: Annotated[int, Field(ge=0, le=4096)] = 0
    channels_max: Annotated[int, Field(ge=1, le=1000)] = 64
    channel_megabytes_max: Annotated[int, Field(ge=1, le=1024)] = 16
    held_megabytes_max: Annotated[int, Field(ge=1, le=65_536)] = 64
    ping_every_s: Annotated[float, Field(gt=0, le=600)] = 20.0
    report_every_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    rssi_file: str = ""


class MdmSettings(_Section):
    """The IT side's writer. `metrics_port` is one of this machine's loopback; 0: no metrics are served."""

    metrics_port: Port = 0


class BrokerSettings(_Section):
    """Where the bundled nats-server listens; `mqtt_port`, where it is given, is for meters.

    `cluster_port` makes it one of several: `node` is its name among them, `cluster_others` where they are. `servers`
    are those that head-end and MDM connect to, whichever answers; without them, their own. With `tls` all of these
    links are of TLS, with the certificate and CA of the folder of certificates on both sides.
    """

    host: str = "127.0.0.1"
    port: Port = 4222
    mqtt_port: Port | None = None
    servers: tuple[Dialled, ...] = ()
    node: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "amity"
    cluster_host: str = "127.0.0.1"
    cluster_port: Port | None = None
    cluster_others: tuple[Dialled, ...] = ()
    tls: bool = False


class WebSettings(_Section):
    """Where API and console listen, and under which host names they may be asked for."""

    host: str = "127.0.0.1"
    port: Port = 8470
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")


class Settings(_Section):
    """All of amity.toml."""

    headend: HeadendSettings = HeadendSettings()
    collector: CollectorSettings = CollectorSettings()
    mdm: MdmSettings = MdmSettings()
    broker: BrokerSettings = BrokerSettings()
    web: WebSettings = WebSettings()


def load(path: Path) -> Settings:
    """Read amity.toml (all defaults when it is missing); raise ConfigurationError with file, key and reason.

    One with the password of a database is refused like any file with secrets when others can read it.
    """
    try:
        settings = Settings.model_validate(parse_toml(read_regular(path, _OCTETS_MAX).decode()))
    except FileNotFoundError:
        return Settings()
    except (TomlError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read", answer=str(error), next_step="correct that line") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigurationError(
            f"{path}: {key}: {first['msg']}",
            next_step=f"correct or remove {key}; defaults apply where a key is missing",
        ) from error
    _refuse_shared_ports(settings, path)
    if _has_password(settings.headend.database_url):
        check_private(path, missing="write it again")
    return settings


def _has_password(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.password) or "password" in parse_qs(parts.query)


def _refuse_shared_ports(settings: Settings, path: Path) -> None:
    """A collector stands on another machine: its ports are compared among themselves."""
    headend, collector, broker, loopback = settings.headend, settings.collector, settings.broker, "127.0.0.1"
    ours = (
        Wanted("headend.push_port", headend.push_host, headend.push_port),
        Wanted("headend.collector_port", headend.collector_host, headend.collector_port),
        Wanted("headend.mqtt_port", headend.mqtt_host, headend.mqtt_port),
        Wanted("headend.metrics_port", loopback, headend.metrics_port),
        Wanted("mdm.metrics_port", loopback, settings.mdm.metrics_port),
        Wanted("broker.port", broker.host, broker.port),
        Wanted("broker.mqtt_port", loopback, broker.mqtt_port),
        Wanted("broker.cluster_port", broker.cluster_host, broker.cluster_port),
        Wanted("web.port", settings.web.host, settings.web.port),
    )
    theirs = (
        Wanted("collector.push_port", collector.push_host, collector.push_port),
        Wanted("collector.alarm_port", collector.push_host, collector.alarm_port),
    )
    if pair := first_shared(ours) or first_shared(theirs):
        one, other = pair
        raise ConfigurationError(
            f"{path}: {one.key} and {other.key} are both {one.port}", next_step=f"give {other.key} a port of its own"
        )


def dump(settings: Settings) -> str:
    """Write settings as TOML that `load` reads back."""
    lines = ["# Amity. Every key has a default; unknown keys are refused. Read again when a process starts."]
    for section, values in settings.model_dump().items():
        told = {key: value for key, value in values.items() if value is not None}
        lines += ["", f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in told.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)
