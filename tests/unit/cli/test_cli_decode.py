import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amity.cli.decode import captured
from amity.cli.main import app
from amity.kernel.errors import ConfigurationError, RemoteProtocolError

# DataNotification with one register in the common list shape: 1.0.1.7.0.255 = 280 W.
PUSH = "0f40000000000101020309060100010700ff060000011802020f00161b"


def run(*words: str, stdin: bytes | None = None) -> dict[str, object]:
    result = CliRunner().invoke(app, ["decode", *words], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0
    decoded: dict[str, object] = json.loads(result.stdout)
    return decoded


@pytest.mark.parametrize("written", [PUSH, PUSH.upper(), " ".join(PUSH), "0x" + PUSH, PUSH[:8] + "\n" + PUSH[8:]])
def test_hexadecimal_is_taken_however_it_is_written(written: str) -> None:
    (reading,) = run(written)["readings"]  # type: ignore[misc]
    assert (reading["obis"], reading["value"], reading["unit"]) == ("1.0.1.7.0.255", 280, "W")


def test_a_file_of_text_a_raw_file_and_standard_input_are_the_same(tmp_path: Path) -> None:
    text, raw = tmp_path / "push.txt", tmp_path / "push.bin"
    text.write_text(PUSH + "\n")
    raw.write_bytes(bytes.fromhex(PUSH))
    expected = run(PUSH)
    assert run(str(text)) == expected
    assert run(str(raw)) == expected
    assert run("-", stdin=PUSH.encode()) == expected


@pytest.mark.parametrize("source", ["abc", "no such file", "zz"])
def test_what_is_neither_hexadecimal_nor_a_file_is_said(source: str) -> None:
    with pytest.raises(ConfigurationError, match="neither hexadecimal nor a file"):
        captured(source)


def test_an_empty_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigurationError, match="empty"):
        captured(str(tmp_path / "empty"))


def test_a_key_that_is_no_hexadecimal_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        CliRunner().invoke(app, ["decode", PUSH, "--key", "secret-key"], catch_exceptions=False)
    assert "secret-key" not in " ".join(caught.value.lines())


def test_octets_that_are_nothing_are_the_senders_fault() -> None:
    with pytest.raises(RemoteProtocolError):
        CliRunner().invoke(app, ["decode", "ffffffff"], catch_exceptions=False)
