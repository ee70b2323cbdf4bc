"""`amity simulate --awkward` as a process."""

import json
import signal
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "amity.cli", "simulate", "--awkward", "odd-addresses"]


@pytest.mark.parametrize("words", [["--json"], []], ids=["json", "text"])
def test_one_awkward_meter_is_served_and_its_papers_are_printed(words: list[str]):
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        first = process.stdout.readline()
        if words:
            (papers,) = json.loads(first)
            assert papers["awkward"] == "odd-addresses"
        else:
            assert "is logical device 100" in first
            assert process.stdout.readline().startswith("amity meter probe 127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
