import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from amity.cli.decode import captured
from amity.cli.main import app
from amity.kernel.errors import ConfigurationError, RemoteProtocolError, SecurityError

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


@pytest.mark.parametrize(
    "text",
    [
        f"2026-01-01 12:00:00 RX: {PUSH}\n",
        f"# a comment with bad food cafe\n{PUSH}\n",
        f"[12:00:01.234] meter says {' '.join(PUSH[i : i + 2] for i in range(0, len(PUSH), 2))}\n",
        f"{PUSH[:20]}\n{PUSH[20:]}\n",
    ],
)
def test_a_log_of_text_is_read_line_by_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.txt").write_text(text)
    (reading,) = run(str(tmp_path / "log.txt"))["readings"]  # type: ignore[misc]
    assert reading["value"] == 280


def test_text_without_octets_is_said(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("nothing came today\n")
    with pytest.raises(ConfigurationError, match="without hexadecimal"):
        captured(str(tmp_path / "log.txt"))


def test_piped_octets_need_no_dash() -> None:
    assert run(stdin=PUSH.encode())["octets"] == len(PUSH) // 2


def test_an_endless_source_is_cut_off() -> None:
    with pytest.raises(ConfigurationError, match="more than 16 MiB"):
        captured("/dev/zero")


@pytest.mark.parametrize("lone", ["00", "ff"])
def test_a_lone_null_is_no_telegram(lone: str) -> None:
    with pytest.raises(RemoteProtocolError, match="nothing"):
        CliRunner().invoke(app, ["decode", lone], catch_exceptions=False)


def test_an_encrypted_telegram_without_its_key_is_shown_and_the_status_says_so() -> None:
    # general-glo, system title 4d4d4d0000bc614e, encryption only, the ciphertext of the Green Book's GET request
    closed = "db084d4d4d0000bc614e122001234567411312ff935a47566827c467bc"
    result = CliRunner().invoke(app, ["decode", closed])
    assert isinstance(result.exception, SecurityError)
    assert json.loads(result.stdout)["messages"][0]["security"][0]["system_title"] == "4d4d4d0000bc614e"
    opened = run(closed, "--key", "000102030405060708090a0b0c0d0e0f")
    assert "get-request" in json.dumps(opened)


def _published() -> list[object]:
    path = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "dlms" / "push_telegrams.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="../shared is not here: no published telegrams"))]
    return [pytest.param(entry, id=entry["name"]) for entry in json.loads(path.read_text())]


@pytest.mark.parametrize("entry", _published())
def test_every_published_telegram_decodes_on_the_command_line(entry: dict[str, Any]) -> None:
    words = [entry["hex"]]
    for name, option in (("global_unicast_encryption_key", "--key"), ("global_authentication_key", "--auth-key")):
        words += [option, entry["keys"][name]] if name in entry["keys"] else []
    readings = {reading["obis"]: reading["value"] for reading in run(*words)["readings"]}  # type: ignore[attr-defined]
    for obis, number in entry["expected"]["numbers"].items():
        assert readings[obis] == pytest.approx(number), obis
    for obis, text in entry["expected"]["strings"].items():
        assert not text or readings[obis] == text, obis
