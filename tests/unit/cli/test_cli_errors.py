import json

import pytest

from amity.cli import errors
from amity.cli.main import main
from amity.kernel.errors import (
    AmityError,
    ConfigurationError,
    NotFoundError,
    RemoteRefusalError,
    SecurityError,
    StorageError,
    TransportError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("x"), 2),
        (NotFoundError("x"), 2),
        (TransportError("x"), 3),
        (RemoteRefusalError("x"), 4),
        (SecurityError("x"), 5),
        (StorageError("x"), 6),
        (AmityError("x"), 1),
    ],
)
def test_one_status_for_each_kind_of_fault(error: AmityError, status: int) -> None:
    assert errors.exit_status(error) == status


def test_an_error_is_told_in_lines_and_leaves_brackets_alone(capsys: pytest.CaptureFixture[str]) -> None:
    errors.report(AmityError("no [red] answer", tried="a request", next_step="check it"), as_json=False)
    said = capsys.readouterr().err
    assert "no [red] answer" in said
    assert "check it" in said


def test_as_json_every_fact_has_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    errors.report(AmityError("no answer", answer="silence"), as_json=True)
    assert json.loads(capsys.readouterr().err) == {
        "error": "no answer",
        "tried": None,
        "answer": "silence",
        "next": None,
    }


def test_the_program_ends_with_facts_and_a_status_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["amity", "read", "nowhere"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "127.0.0.1:4059" in capsys.readouterr().err
