"""The foreign programs' virtual environments and the fleets that they read.

`make interop` runs these tests with `-m interop`: a missing peer is a failure then. Without that they are skipped, but
for those in `handmade`, which need no peer and so run with every other test, too.
At the end a table says what ran (see `ledger`).
"""

import pytest

from tests.interop import ledger

_WITHOUT = "foreign DLMS clients run under make interop (pytest -m interop tests/interop)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]):
    """Mark every test of this folder; skip them unless they were asked for by their mark."""
    here = config.rootpath / "tests" / "interop"
    for item in (one for one in items if here in one.path.parents):
        item.add_marker(pytest.mark.interop)
        if item.path.parent == here and "interop" not in (config.option.markexpr or ""):
            item.add_marker(pytest.mark.skip(reason=_WITHOUT))


def pytest_runtest_logreport(report: pytest.TestReport):
    """A test that failed takes its rows in the table with it."""
    if report.failed:
        ledger.failed(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter):
    """Print what ran: peer, framing, authentication, ciphering, services, result."""
    if ledger.ROWS:
        terminalreporter.section("interop: what ran")
        for line in ledger.table(ledger.ROWS):
            terminalreporter.write_line(line)
    if ledger.CLASSES:
        terminalreporter.section("interop: interface classes, ours beside the peer's")
        for line in ledger.CLASSES:
            terminalreporter.write_line(line)
