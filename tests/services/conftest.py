"""Tests against programs that come from Debian's packages. `make services-test` runs them with `-m services`.

Nothing is installed here: a program that is missing skips its tests and says how to get it.
"""

import pytest

_WITHOUT = "independent programs run under make services-test (pytest -m services tests/services)"


def pytest_configure(config: pytest.Config):
    """Name the mark."""
    config.addinivalue_line("markers", "services: needs programs of Debian's packages (make services-test)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]):
    """Mark every test of this folder; skip them unless they were asked for by their mark."""
    here = [item for item in items if item.path.parent == config.rootpath / "tests" / "services"]
    for item in here:
        item.add_marker(pytest.mark.services)
        if "services" not in (config.option.markexpr or ""):
            item.add_marker(pytest.mark.skip(reason=_WITHOUT))
