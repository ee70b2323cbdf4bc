"""docs/cluster.md: its keys are the real ones, in the words of both files; HAProxy has a way to each of their doors."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from amity.runtime.gateway.file import GatewayFile
from amity.runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "cluster.md").read_text("utf-8")
TABLE = PAGE.partition("| `dlms_config.yaml` | `amity.toml` |\n|---|---|---|\n")[2].partition("\n\n")[0]
ROWS = re.findall(r"^\| [^|]+ \| ([^|]+) \| ([^|]+) \|$", TABLE, re.MULTILINE)
HAPROXY = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text("utf-8")


def keys(model: type[BaseModel]) -> set[str]:
    """Of the model and of its sections, by themselves and with the name of the section."""
    sections = {name: field.annotation for name, field in model.model_fields.items()}
    below = {
        f"{name}.{key}": key
        for name, section in sections.items()
        if isinstance(section, type) and issubclass(section, BaseModel)
        for key in section.model_fields
    }
    return {*sections, *below, *below.values()}


def test_every_key_of_the_table_is_one_of_its_file() -> None:
    assert len(ROWS) > 8
    for field, toml in ROWS:
        named = {word for word in re.findall(r"`([a-z_.]+)`", field) if "/" not in word}
        assert named <= keys(GatewayFile), field
        assert set(re.findall(r"`([a-z_]+)`", toml)) <= keys(Settings), toml


@pytest.mark.parametrize("door", [4059, 8883])
def test_haproxy_tells_the_nodes_who_called_at_every_door(door: int) -> None:
    named = re.search(rf':{door}}}"\n.*?default_backend (\w+)', HAPROXY, re.DOTALL)
    assert named is not None
    backend = HAPROXY.partition(f"\nbackend {named[1]}\n")[2].partition("\n\n")[0]
    assert f"10.20.0.11:{door}" in backend
    assert "send-proxy-v2" in backend
