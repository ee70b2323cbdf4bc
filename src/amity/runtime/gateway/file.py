"""What may stand in dlms_config.yaml: each key with its limits, its default and the words in which it is explained.

Keys are the words of the field; `config` turns them into the `Settings` that amity.toml becomes too.
"""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from amity.runtime.doors.peers import network_of
from amity.runtime.doors.shared_ports import Wanted
from amity.runtime.fleet.authentication_level import ALLOWED, level_of

CONCURRENCY_MAX: Final = 10_000


def _checked_level(text: str) -> str:
    level_of(text)
    return text


def _checked_network(text: str) -> str:
    return str(network_of(text))


Seconds = Annotated[float, Field(gt=0, le=600, description="seconds, more than 0, at most 600")]
Port = Annotated[int, Field(ge=1, le=65_535, description="a port, 1 to 65535")]
PortIfAny = Annotated[int | None, Field(ge=1, le=65_535, description="a port, 1 to 65535, or nothing")]
MetricsPort = Annotated[
    int, Field(ge=0, le=65_535, description="a port of this machine, 1 to 65535, or 0 for no metrics")
]
DlmsAddress = Annotated[int, Field(ge=1, le=0x3FFF, description="a whole number, 1 to 16383")]
Megabytes = Annotated[int, Field(ge=1, le=65_536, description="megabytes, 1 to 65536")]
Text = Annotated[str, Field(min_length=1, description="a text")]
Texts = Annotated[list[str], Field(description="a list of texts")]
Directory = Annotated[str | None, Field(pattern="^/", description="a path that begins with /")]
Level = Annotated[str, AfterValidator(_checked_level), Field(description=f"one of {', '.join(ALLOWED)}")]
Network = Annotated[str, AfterValidator(_checked_network), Field(description="a network like 10.20.0.0/16")]
Networks = Annotated[list[Network], Field(description="a list of networks like 10.20.0.0/16")]
Dialled = Annotated[str, Field(pattern=r"^[\w.:\[\]-]+:\d{1,5}$", description="HOST:PORT")]
DialledList = Annotated[list[Dialled], Field(description="a list of HOST:PORT")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections_are_defaults(cls, written: Any) -> Any:
        """A section or list of which every line is commented out is nothing to YAML; a value left empty is a slip."""
        if not isinstance(written, dict):
            return written
        return {key: value for key, value in written.items() if value is not None or not cls._may_be_empty(key)}

    @classmethod
    def _may_be_empty(cls, key: str) -> bool:
        default = cls.model_fields[key].default if key in cls.model_fields else None
        return isinstance(default, _Part | list) or default in ("", None)


class WorkerPool(_Part):
    """How many meters are read at once, and how long what was done is remembered."""

    concurrency_limit: Annotated[
        int, Field(ge=1, le=CONCURRENCY_MAX, description=f"a whole number, 1 to {CONCURRENCY_MAX}")
    ] = 64
    poll_interval: Annotated[int, Field(ge=5, le=86_400, description="whole seconds, 5 to 86400")] = 60
    attempts: Annotated[int, Field(ge=1, le=10, description="a whole number, 1 to 10")] = 3
    backfill_days: Annotated[int, Field(ge=1, le=90, description="whole days, 1 to 90")] = 3
    frames_kept_days: Annotated[int, Field(ge=1, le=3650, description="whole days, 1 to 3650")] = 7
    jobs_kept_days: Annotated[int, Field(ge=1, le=3650, description="whole days, 1 to 3650")] = 7
    lease: Annotated[int, Field(ge=15, le=3600, description="whole seconds, 15 to 3600")] = 60


class Listen(_Part):
    """Where meters that call in find us, and which proxies in between are believed when they say who called."""

    host: Text = "127.0.0.1"
    port: Port = 4059
    proxies: Networks = []


class Mqtt(_Part):
    """Where meters that speak MQTT over TLS find us, if a port is given; the broker behind it has one of its own."""

    host: Text = "127.0.0.1"
    port: PortIfAny = None
    broker_port: Port = 18_883


class CollectorDoorPart(_Part):
    """Where collectors find us, if a port is given."""

    host: Text = "127.0.0.1"
    port: PortIfAny = None


class CollectorPart(_Part):
    """What this machine does if it is a collector itself; the rest is in `listen`, `peers_allowed`, `serial_ports`."""

    headends: DialledList = []
    meters: Networks = []
    meter_names: Texts = []
    alarm_port: PortIfAny = None
    alarm_octets_max: Annotated[int, Field(ge=0, le=4096, description="octets, 0 to 4096")] = 0
    channels_max: Annotated[int, Field(ge=1, le=1000, description="a whole number, 1 to 1000")] = 64
    channel_megabytes_max: Annotated[int, Field(ge=1, le=1024, description="megabytes, 1 to 1024")] = 16
    held_megabytes_max: Megabytes = 64
    ping_interval: Seconds = 20.0
    report_interval: Annotated[float, Field(gt=0, le=3600, description="seconds, more than 0, at most 3600")] = 30.0
    rssi_file: Directory = None


class SerialPort(_Part):
    """A line with an optical head, an RS-485 bus, or a radio or PLC coordinator."""

    device: Annotated[str, Field(pattern=r"^/dev/[\w/.-]+$", description="a device like /dev/ttyUSB0")]
    baud: Annotated[int, Field(ge=300, le=921_600, description="bit/s, 300 to 921600")] = 9600


class Broker(_Part):
    """The broker between the zones: where this machine's own listens, and the others where there are several."""

    host: Text = "127.0.0.1"
    port: Port = 4222
    tls: Annotated[bool, Field(description="true or false")] = False
    servers: DialledList = []
    node: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="a name of letters, digits, - and _")] = (
        "amity"
    )
    cluster_host: Text = "127.0.0.1"
    cluster_port: PortIfAny = None
    cluster_others: DialledList = []


class Metrics(_Part):
    """Where metrics for Prometheus are served on this machine, for each role by itself."""

    headend: MetricsPort = 0
    mdm: MetricsPort = 0


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
    mqtt: Mqtt = Mqtt()
    collectors: CollectorDoorPart = CollectorDoorPart()
    collector: CollectorPart = CollectorPart()
    peers_allowed: Networks = ["127.0.0.0/8", "::1/128"]
    serial_ports: Annotated[list[SerialPort], Field(description="a list of device and baud")] = []
    logs: Logs = Logs()
    state_directory: Directory = None
    database_url: Annotated[str, Field(description="a URL like postgresql://ami@db.example/ami, or nothing")] = ""
    broker: Broker = Broker()
    metrics: Metrics = Metrics()
    console: Console = Console()

    def ports(self) -> tuple[Wanted, ...]:
        """Every port that is asked for, by its key."""
        loopback = "127.0.0.1"
        return (
            Wanted("listen.port", self.listen.host, self.listen.port),
            Wanted("mqtt.port", self.mqtt.host, self.mqtt.port),
            Wanted("mqtt.broker_port", loopback, self.mqtt.broker_port if self.mqtt.port else None),
            Wanted("collectors.port", self.collectors.host, self.collectors.port),
            Wanted("collector.alarm_port", self.listen.host, self.collector.alarm_port),
            Wanted("broker.port", self.broker.host, self.broker.port),
            Wanted("broker.cluster_port", self.broker.cluster_host, self.broker.cluster_port),
            Wanted("metrics.headend", loopback, self.metrics.headend),
            Wanted("metrics.mdm", loopback, self.metrics.mdm),
            Wanted("console.port", self.console.host, self.console.port),
        )
