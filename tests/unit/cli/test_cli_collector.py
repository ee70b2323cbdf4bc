"""`amity collector status`: named as every other command names an installation."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.kernel.errors import ConfigurationError
from amity.runtime.folder import Folder
from amity.runtime.gateway.config import load_gateway
from tests.unit.runtime.installed import lay_down


def status(*options: str) -> str:
    return CliRunner().invoke(app, ["collector", "status", "--json", *options], catch_exceptions=False).stdout


@pytest.mark.parametrize("option", ["--config", "--dir"])
def test_the_installation_is_named_by_its_configuration_or_by_its_folder(tmp_path: Path, option: str) -> None:
    configuration = lay_down(tmp_path)
    folder = load_gateway(configuration, {}).folder if option == "--config" else Folder(tmp_path / "dc7")
    with pytest.raises(ConfigurationError, match="no collector tells of itself") as caught:
        status(option, str(configuration if option == "--config" else folder.root))
    assert ("AMI_ROLES=collector" in (caught.value.next_step or "")) is (option == "--config")
    folder.create()
    folder.collector_status.write_text('{"ports": {}}')
    told = status(option, str(configuration if option == "--config" else folder.root))
    assert json.loads(told) == {"ports": {}}
