"""What holds for every test: examples of hypothesis are not timed, and the collector of cycles is as Python sets it."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no finding.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

_THRESHOLD = gc.get_threshold()


@pytest.fixture(autouse=True)
def _collector_as_it_was() -> Iterator[None]:
    """A role that runs within a test collects less often; what measures memory after it must not see that."""
    yield
    gc.set_threshold(*_THRESHOLD)
