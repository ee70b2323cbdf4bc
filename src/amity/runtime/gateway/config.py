"""/etc/ami-gateway/dlms_config.yaml: what an administrator sets; a wrong entry is told with line, key and what may be.

The file is read by a loader that makes plain values only, and refused when others can read it. It says the same things
as amity.toml, in the words of the field, and becomes the same `Settings`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from amity.kernel.errors import ConfigurationError
from amity.runtime.doors.shared_ports import first_shared
from amity.runtime.files.owned import read_owned
from amity.runtime.files.profiles import catalogue_of
from amity.runtime.folder import Folder
from amity.runtime.gateway.file import CONCURRENCY_MAX, GatewayFile
from amity.runtime.gateway.refusal import refusal, shared_port, unknown_profile
from amity.runtime.gateway.yaml_lines import OCTETS_MAX, Read, read_yaml
from amity.runtime.settings import (
    BrokerSettings,
    CollectorSettings,
    HeadendSettings,
    MdmSettings,
    SerialPortSettings,
    Settings,
    WebSettings,
)

CONFIG_FOLDER: Final = Path("/etc/ami-gateway")
FILE_NAME: Final = "dlms_config.yaml"
CONCURRENCY_VARIABLE: Final = "AMI_CONCURRENCY"
"""In the service's environment; it goes before `worker_pool.concurrency_limit`."""

_DIGITS_MAX: Final = 9


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
    file, read = _parsed(read_owned(path, owner=owner, octets_max=OCTETS_MAX), str(path))
    folder = _folder(file, configuration)
    _refuse_unknown_profile(str(path), file, read, folder)
    return Gateway(_settings(file, environment), folder, file)


def parse_gateway(text: str, name: str) -> GatewayFile:
    """Read the text of a dlms_config.yaml; raise ConfigurationError as `load_gateway`."""
    return _parsed(text, name)[0]


def _parsed(text: str, name: str) -> tuple[GatewayFile, Read]:
    read = read_yaml(text, name)
    try:
        file = GatewayFile.model_validate({} if read.value is None else read.value)
    except ValidationError as error:
        raise refusal(name, read, error.errors()[0]) from error
    if pair := first_shared(file.ports()):
        raise shared_port(name, read, *pair)
    return file, read


def _refuse_unknown_profile(name: str, file: GatewayFile, read: Read, folder: Folder) -> None:
    """The profile is that of the folder, or Amity's; what is wrong within it is told with its own file."""
    catalogue = catalogue_of(folder.own_profiles)
    try:
        catalogue.text(file.device_profile)
    except ConfigurationError as error:
        if file.device_profile in catalogue.names():
            raise
        raise unknown_profile(name, read, file.device_profile, catalogue.names()) from error


# ------------------------------------------------------------------ the same in the words of amity.toml
def _settings(file: GatewayFile, environment: Mapping[str, str]) -> Settings:
    return Settings(
        headend=_headend(file, environment),
        collector=_collector(file),
        mdm=MdmSettings(metrics_port=file.metrics.mdm),
        broker=BrokerSettings(
            mqtt_port=None if file.mqtt.port is None else file.mqtt.broker_port, **file.broker.model_dump()
        ),
        web=WebSettings(**file.console.model_dump()),
    )


def _headend(file: GatewayFile, environment: Mapping[str, str]) -> HeadendSettings:
    pool = file.worker_pool
    return HeadendSettings(
        concurrency=_concurrency(environment) or pool.concurrency_limit,
        connect_timeout_s=file.connect_timeout,
        request_timeout_s=file.request_timeout,
        attempts=pool.attempts,
        poll_interval_s=pool.poll_interval,
        backfill_days=pool.backfill_days,
        frames_kept_days=pool.frames_kept_days,
        jobs_kept_days=pool.jobs_kept_days,
        lease_s=pool.lease,
        database_url=file.database_url,
        metrics_port=file.metrics.headend,
        push_host=file.listen.host,
        push_port=file.listen.port,
        peers_allowed=tuple(file.peers_allowed),
        proxies=tuple(file.listen.proxies),
        collector_host=file.collectors.host,
        collector_port=file.collectors.port,
        mqtt_host=file.mqtt.host,
        mqtt_port=file.mqtt.port,
        log_frames=file.logs.frames,
        client_address=file.client_address,
        logical_device_id=file.logical_device_id,
        authentication_level=file.authentication_level,
        device_profile=file.device_profile,
        serial_ports=tuple(SerialPortSettings(**line.model_dump()) for line in file.serial_ports),
    )


def _collector(file: GatewayFile) -> CollectorSettings:
    """A collector listens where a head-end would, lets the same peers in, and has the same serial lines."""
    part = file.collector
    return CollectorSettings(
        headends=tuple(part.headends),
        meters=tuple(part.meters),
        meter_names=tuple(part.meter_names),
        devices=tuple(line.device for line in file.serial_ports),
        callers_allowed=tuple(file.peers_allowed),
        push_host=file.listen.host,
        push_port=file.listen.port,
        alarm_port=part.alarm_port,
        alarm_octets_max=part.alarm_octets_max,
        channels_max=part.channels_max,
        channel_megabytes_max=part.channel_megabytes_max,
        held_megabytes_max=part.held_megabytes_max,
        ping_every_s=part.ping_interval,
        report_every_s=part.report_interval,
        rssi_file=part.rssi_file or "",
    )


def _concurrency(environment: Mapping[str, str]) -> int | None:
    text = environment.get(CONCURRENCY_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > _DIGITS_MAX or not 1 <= int(text) <= CONCURRENCY_MAX:
        raise ConfigurationError(
            f"{CONCURRENCY_VARIABLE} is {text!r}", next_step=f"give a whole number, 1 to {CONCURRENCY_MAX}, or none"
        )
    return int(text)


def _folder(file: GatewayFile, configuration: Path) -> Folder:
    """State and logs lie in the same root as the configuration (`amity install --root`), unless the file says where."""
    configuration = configuration.absolute()
    below = configuration.parent.parent if configuration.parent.name == "etc" else Path("/")
    state = Path(file.state_directory) if file.state_directory else below / "var/lib/ami-gateway"
    logs = Path(file.logs.folder) if file.logs.folder else below / "var/log/ami"
    return Folder(state, configuration, logs)
