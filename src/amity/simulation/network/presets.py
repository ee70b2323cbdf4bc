"""The packaged links by name; the values and their sources stand in presets.toml."""

from dataclasses import dataclass
from functools import cache
from importlib import resources

from amity.kernel.errors import ConfigurationError
from amity.kernel.toml import parse_toml


@dataclass(frozen=True, slots=True)
class LinkPreset:
    """A link as presets.toml describes it."""

    up_bit_s: int
    down_bit_s: int
    latency_ms: int
    jitter_ms: int
    loss: float
    retry_ms: int
    frame_octets: int
    shared: bool
    duty_cycle: float


@cache
def presets() -> dict[str, LinkPreset]:
    """All of them."""
    text = (resources.files(__package__) / "presets.toml").read_text(encoding="utf-8")
    return {name: LinkPreset(**values) for name, values in parse_toml(text).items()}


def preset(name: str) -> LinkPreset:
    """One of them; raise ConfigurationError that names those there are."""
    found = presets().get(name)
    if found is None:
        raise ConfigurationError(f"there is no link {name!r}", next_step=f"choose one of {', '.join(presets())}")
    return found
