"""`amity simulate` as a process: one document, then meters until it is told to stop."""

import json
import signal
import socket
import subprocess
import sys

import pytest

from amity.cli.simulate import simulate
from amity.kernel.errors import AmityError

COMMAND = [sys.executable, "-c", "import typer; from amity.cli.simulate import simulate; typer.run(simulate)"]


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [*COMMAND, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_one_document_serves_and_ends_quietly(number: signal.Signals):
    with started("--meters", "3", "--json", "--seed", "9") as process:
        document = json.loads(process.stdout.readline())
        assert [entry["host"] for entry in document] == ["127.0.0.1"] * 3
        for entry in document:
            socket.create_connection((entry["host"], entry["port"]), 5).close()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_it_ends_with_its_parent():
    with started("--meters", "1", "--with-parent") as process:
        assert "1 simulated meters" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"meters": 0}, "0"),
        ({"fault": ["gaps=1"]}, "gaps"),
        ({"anchor": "yesterday"}, "yesterday"),
        ({"push_to": "nowhere"}, "nowhere"),
        ({"push_to": "host:99999"}, "99999"),
        ({"port_base": 65_530}, "65530"),
    ],
)
def test_what_cannot_be_is_refused_with_the_next_thing_to_try(arguments: dict[str, object], name: str):
    with pytest.raises(AmityError, match=name) as caught:
        simulate(**arguments)
    assert caught.value.next_step
