"""dlms_config.yaml: what may stand there, and how somebody is told who wrote something else."""

import inspect
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.kernel.errors import ConfigurationError
from amity.runtime.gateway import config
from amity.runtime.gateway.config import load_gateway, parse_gateway
from amity.runtime.gateway.file import GatewayFile
from amity.runtime.installation import find_installation
from amity.runtime.settings import HeadendSettings
from tests.unit.runtime.installed import edit, lay_down

NAME = "dlms_config.yaml"


def refusal(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        parse_gateway(text, NAME)
    return caught.value


def test_the_file_that_is_laid_down_says_the_defaults_but_for_its_authentication(tmp_path: Path):
    file = load_gateway(lay_down(tmp_path), {}).file
    assert file == GatewayFile(authentication_level="High Level Authentication")


def test_every_key_of_the_page_reaches_the_head_end(tmp_path: Path):
    configuration = lay_down(tmp_path)
    edit(configuration, "client_address: 1", "client_address: 16")
    edit(configuration, "logical_device_id: 1", "logical_device_id: 17")
    edit(configuration, "request_timeout: 5", "request_timeout: 12.5")
    edit(configuration, "concurrency_limit: 64", "concurrency_limit: 7")
    edit(configuration, "#  - 10.20.0.0/16", "  - 10.20.0.0/16")
    edit(configuration, "serial_ports: []", "serial_ports: [{device: /dev/ttyUSB0, baud: 300}]")
    gateway = load_gateway(configuration, {})
    headend = gateway.settings.headend
    assert (headend.client_address, headend.logical_device_id) == (16, 17)
    assert (headend.request_timeout_s, headend.concurrency) == (12.5, 7)
    assert headend.peers_allowed == ("127.0.0.0/8", "::1/128", "10.20.0.0/16")
    assert headend.authentication_level == "high"
    assert [(line.device, line.baud) for line in headend.serial_ports] == [("/dev/ttyUSB0", 300)]


def test_mqtt_collectors_broker_and_metrics_reach_their_roles(tmp_path: Path):
    configuration = lay_down(tmp_path)
    edit(configuration, "#  port: 8883", "  port: 8883")
    edit(configuration, "#  port: 4060", "  port: 4060")
    edit(configuration, "headends: []", "headends: [he1.example:4060]")
    edit(configuration, "meters: []", "meters: [10.20.0.0/16]")
    edit(configuration, "#  alarm_port: 4061", "  alarm_port: 4061")
    edit(configuration, "#  rssi_file: /run/modem/rssi", "  rssi_file: /run/modem/rssi")
    edit(configuration, "serial_ports: []", "serial_ports: [{device: /dev/ttyUSB0}]")
    edit(configuration, "servers: []", "servers: [10.0.0.1:4222, 10.0.0.2:4222]")
    edit(configuration, "tls: false", "tls: true")
    edit(configuration, "#  cluster_port: 6222", "  cluster_port: 6222")
    edit(configuration, "headend: 0", "headend: 9101")
    edit(configuration, "mdm: 0", "mdm: 9102")
    edit(configuration, "lease: 60", "lease: 90")
    edit(configuration, "jobs_kept_days: 7", "jobs_kept_days: 30")
    settings = load_gateway(configuration, {}).settings
    headend, broker, collector = settings.headend, settings.broker, settings.collector
    assert (headend.mqtt_port, broker.mqtt_port) == (8883, 18883)
    assert (headend.collector_port, headend.metrics_port, settings.mdm.metrics_port) == (4060, 9101, 9102)
    assert (headend.lease_s, headend.jobs_kept_days) == (90, 30)
    assert (broker.servers, broker.cluster_port, broker.tls) == (("10.0.0.1:4222", "10.0.0.2:4222"), 6222, True)
    assert (collector.headends, collector.meters) == (("he1.example:4060",), ("10.20.0.0/16",))
    assert (collector.devices, collector.alarm_port) == (("/dev/ttyUSB0",), 4061)
    assert collector.callers_allowed == ("127.0.0.0/8", "::1/128")
    assert collector.rssi_file == "/run/modem/rssi"


def test_a_head_end_behind_haproxy_believes_it(tmp_path: Path):
    configuration = lay_down(tmp_path)
    edit(configuration, "  proxies: []", "  proxies: [10.20.0.9/32]")
    assert load_gateway(configuration, {}).settings.headend.proxies == ("10.20.0.9/32",)


def test_every_setting_of_the_head_end_can_be_made_in_the_words_of_the_field():
    """What dlms_config.yaml says nothing of cannot be set where systemd runs the head-end."""
    source = inspect.getsource(config._headend)
    assert [name for name in HeadendSettings.model_fields if f"{name}=" not in source] == []


def test_without_a_port_nobody_speaks_mqtt(tmp_path: Path):
    settings = load_gateway(lay_down(tmp_path), {}).settings
    assert (settings.headend.mqtt_port, settings.broker.mqtt_port, settings.headend.collector_port) == (None,) * 3


def test_state_and_logs_lie_in_the_root_of_the_configuration(tmp_path: Path):
    folder = load_gateway(lay_down(tmp_path), {}).folder
    assert folder.root == tmp_path / "var/lib/ami-gateway"
    assert folder.ingest_log == tmp_path / "var/log/ami/ingest.log"
    assert folder.mapping == tmp_path / "etc/ami-gateway/mapping.json"
    assert folder.last_good_mapping.is_relative_to(folder.root)


def test_the_environment_of_the_service_sets_the_active_pollers(tmp_path: Path):
    configuration = lay_down(tmp_path)
    assert load_gateway(configuration, {"AMI_CONCURRENCY": "300"}).settings.headend.concurrency == 300
    assert load_gateway(configuration, {"AMI_CONCURRENCY": ""}).settings.headend.concurrency == 64
    with pytest.raises(ConfigurationError, match="AMI_CONCURRENCY is 'many'"):
        load_gateway(configuration, {"AMI_CONCURRENCY": "many"})
    with pytest.raises(ConfigurationError, match="AMI_CONCURRENCY is '999"):
        load_gateway(configuration, {"AMI_CONCURRENCY": "9" * 5000})


@pytest.mark.parametrize(
    ("text", "what", "next_step"),
    [
        ("\nclient_addres: 1", "line 2: there is no key client_addres", "did you mean client_address?"),
        ("worker_pool:\n  concurency: 3", "line 2: there is no key worker_pool.concurency", "known keys: attempts,"),
        ("# x\nclient_address: one", "line 2: client_address is 'one'", "a whole number, 1 to 16383"),
        ("client_address: '1'", "line 1: client_address is '1'", "a whole number"),
        ("request_timeout: 0", "request_timeout is 0", "more than 0, at most 600"),
        ("request_timeout: true", "request_timeout is True", "seconds"),
        ("worker_pool: 7", "worker_pool is 7: it should be keys with their values", "concurrency_limit"),
        ("authentication_level: hig", "no authentication level", "one of none, low, High Level Authentication"),
        ("authentication_level: 5", "authentication_level is 5", "Security Suite 2"),
        ("peers_allowed: [10.0.0.1/8]", "has host bits set", "a network like 10.20.0.0/16"),
        ("peers_allowed: 10.0.0.0/8", "peers_allowed is '10.0.0.0/8'", "a list of networks"),
        ("serial_ports:\n  - device: ttyUSB0", "line 2: serial_ports.0.device", "/dev/ttyUSB0"),
        ("serial_ports:\n  - baud: 9600", "line 2: serial_ports.0 has no device", "a device like /dev/ttyUSB0"),
        ("mqtt:\n  prt: 8883", "line 2: there is no key mqtt.prt", "did you mean mqtt.port?"),
        ("mqtt: {port: 0}", "line 1: mqtt.port is 0", "a port, 1 to 65535, or nothing"),
        ("metrics:\n  headend: none", "line 2: metrics.headend is 'none'", "0 for no metrics"),
        ("broker: {node: 'a b'}", "line 1: broker.node is 'a b'", "letters, digits"),
        ("collector:\n  headends:\n    - he1", "line 3: collector.headends.0 is 'he1'", "HOST:PORT"),
        ("collector:\n  channels_max: 1.5", "line 2: collector.channels_max is 1.5", "a whole number, 1 to 1000"),
        ("state_directory: here", "state_directory is 'here'", "begins with /"),
        ("- 1", "the document is a list", "the keys client_address"),
    ],
)
def test_a_wrong_entry_is_told_with_line_key_and_what_may_stand(text: str, what: str, next_step: str):
    error = refusal(text)
    assert what in error.what
    assert next_step in (error.next_step or "")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: &x 1\nb: *x", "line 2: *x refers to another place"),
        ("listen:\n  port: 1\n  port: 2", "line 3: the key port stands in line 2 already"),
        ("a: !!python/object/apply:os.system [id]", "is no plain value"),
        ("a: 2026-13-45", "line 1: month must be in 1..12"),
        ("a: [", "line 1"),
        ("a: \x01", "is not YAML"),
        ("? [a]\n: b", "a key is a plain word"),
        ("x" * 300_000, "longer than"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(text: str, what: str):
    assert what in refusal(text).what


def test_a_section_of_which_every_line_is_commented_out_has_its_defaults():
    assert parse_gateway("listen:\n#  port: 1\n", NAME) == GatewayFile()


@given(st.text(max_size=60))
def test_any_text_is_a_configuration_or_one_typed_error(text: str):
    with suppress(ConfigurationError):
        parse_gateway(text, NAME)


def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path):
    configuration = lay_down(tmp_path)
    path = configuration / NAME
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"can be read or written by others \(mode 0640\)") as caught:
        load_gateway(configuration, {})
    assert caught.value.next_step == f"chmod 600 {path}"
    path.chmod(0o600)
    load_gateway(configuration, {})


def test_a_folder_in_which_others_may_replace_files_is_refused(tmp_path: Path):
    configuration = lay_down(tmp_path)
    configuration.chmod(0o777)
    with pytest.raises(ConfigurationError, match="others may replace files") as caught:
        load_gateway(configuration, {})
    assert caught.value.next_step == f"chmod go-w {configuration}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_is_refused_with_chown(tmp_path: Path):
    configuration = lay_down(tmp_path)
    os.chown(configuration / NAME, 12345, 12345)
    with pytest.raises(ConfigurationError, match="belongs to 12345, not to root") as caught:
        load_gateway(configuration, {})
    assert (caught.value.next_step or "").startswith("chown root: ")
    load_gateway(configuration, {}, owner=12345)


# ------------------------------------------------------------------ what an attacker would put there
@pytest.mark.parametrize("leads_to", ["secret", "nowhere"])
def test_a_symbolic_link_is_refused_and_nothing_is_told_of_where_it_leads(tmp_path: Path, leads_to: str):
    configuration = lay_down(tmp_path)
    (tmp_path / "secret").write_text("password: hunter2\n")
    (tmp_path / "secret").chmod(0o600)
    path = configuration / NAME
    path.unlink()
    path.symlink_to(tmp_path / leads_to)
    with pytest.raises(ConfigurationError, match="is a symbolic link") as caught:
        load_gateway(configuration, {})
    assert "cp --remove-destination" in (caught.value.next_step or "")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["mapping.json", "schedules.toml"])
def test_so_is_one_in_the_place_of_the_files_beside_it(tmp_path: Path, name: str):
    configuration = lay_down(tmp_path)
    (configuration / name).unlink()
    (configuration / name).symlink_to("/nowhere")
    with pytest.raises(ConfigurationError, match=rf"{name} is a symbolic link"):
        find_installation(configuration, None)


def test_a_pipe_or_folder_in_its_place_holds_nobody_up(tmp_path: Path):
    configuration = lay_down(tmp_path)
    path = configuration / NAME
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigurationError, match="is no plain file"):
        load_gateway(configuration, {})
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="is no plain file"):
        load_gateway(configuration, {})


def test_a_file_of_gigabytes_is_refused_after_as_many_octets_as_a_configuration_may_have(tmp_path: Path):
    configuration = lay_down(tmp_path)
    with (configuration / NAME).open("r+b") as file:
        file.truncate(1 << 40)  # a hole: were it read, memory would end
    with pytest.raises(ConfigurationError, match="is longer than 262144 octets"):
        load_gateway(configuration, {})


def test_a_missing_file_says_who_writes_it(tmp_path: Path):
    with pytest.raises(ConfigurationError) as caught:
        load_gateway(tmp_path, {})
    assert "amity install" in (caught.value.next_step or "")


# ------------------------------------------------------------------ what YAML would read otherwise, or not at all
@pytest.mark.parametrize(("text", "value"), [("010", 8), ("1:30", 90), ("1_0", 10), ("0b11", 3), ("1:30.5", 90.5)])
def test_a_number_that_yaml_reads_otherwise_is_refused(text: str, value: float):
    error = refusal(f"logical_device_id: 1\nclient_address: {text}\n")
    assert error.what == f"{NAME}, line 2: {text} is {value} to YAML: write it so, or as you meant it"


@pytest.mark.parametrize(("text", "value"), [("16", 16), ("0x10", 16)])
def test_numbers_that_nobody_mistakes_stay(text: str, value: int):
    assert parse_gateway(f"client_address: {text}\nrequest_timeout: 1.5e+1\n", NAME).client_address == value


@pytest.mark.parametrize("key", ["request_timeout", "client_address", "authentication_level", "device_profile"])
def test_a_value_that_is_left_empty_is_refused(key: str):
    error = refusal(f"\n{key}:\n")
    assert error.what.startswith(f"{NAME}, line 2: {key} is empty: ")
    assert error.next_step


def test_a_section_that_is_left_empty_is_its_defaults():
    text = "worker_pool:\npeers_allowed:\nmqtt:\n  port:\ndatabase_url:\nstate_directory:\n"
    assert parse_gateway(text, NAME) == GatewayFile()


# ------------------------------------------------------------------ what fits together
def test_two_keys_with_one_port_are_refused():
    error = refusal("listen:\n  port: 4222\n")
    assert error.what == f"{NAME}, line 2: listen.port and broker.port are both 4222"
    assert error.next_step == "give listen.port a port of its own"
    assert "line 4: listen.port and broker.port" in refusal("listen:\n  port: 4300\nbroker:\n  port: 4300\n").what


def test_one_port_at_two_addresses_is_no_clash_and_none_is_none():
    text = "listen: {host: 10.0.0.1, port: 4222}\nbroker: {host: 127.0.0.1, port: 4222}\n"
    assert parse_gateway(text, NAME).listen.port == 4222
    assert "both 4222" in refusal(text.replace("10.0.0.1", "'::'")).what


def test_a_profile_that_is_none_is_told_with_its_line(tmp_path: Path):
    configuration = lay_down(tmp_path)
    edit(configuration, "device_profile: generic", "device_profile: genric")
    with pytest.raises(ConfigurationError, match=r"dlms_config.yaml, line \d+: device_profile is 'genric'") as caught:
        load_gateway(configuration, {})
    assert str(caught.value.next_step).startswith("did you mean generic? known profiles: ")
