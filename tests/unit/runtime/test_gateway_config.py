"""dlms_config.yaml: what may stand there, and how somebody is told who wrote something else."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.kernel.errors import ConfigurationError
from amity.runtime.gateway_config import GatewayFile, load_gateway, parse_gateway
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
    assert [(line.device, line.baud) for line in gateway.file.serial_ports] == [("/dev/ttyUSB0", 300)]


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


def test_a_missing_file_says_who_writes_it(tmp_path: Path):
    with pytest.raises(ConfigurationError) as caught:
        load_gateway(tmp_path, {})
    assert "amity install" in (caught.value.next_step or "")
