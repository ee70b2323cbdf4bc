from pathlib import Path

from amity.cli.demo.log_follower import LogFollower, last_line

ERROR = "timestamp=2026-11-20T08:00:00Z level=error event='mapping held up' reason=['line 3']\n"


def test_only_new_complaints_are_told_and_each_once(tmp_path: Path) -> None:
    log = tmp_path / "headend.log"
    log.write_text(ERROR)
    follower = LogFollower(tmp_path)
    assert follower.new_complaints() == []
    with log.open("a") as more:
        more.write("timestamp=t level=info event=fine\n" + ERROR + ERROR[:20])
    assert follower.new_complaints() == ["headend: event='mapping held up' reason=['line 3']"]
    with log.open("a") as more:
        more.write(ERROR[20:])
    (tmp_path / "mdm.log").write_text(ERROR)
    assert [line.split(":")[0] for line in follower.new_complaints()] == ["headend", "mdm"]
    assert follower.new_complaints() == []


def test_the_last_words_of_a_process(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("one\ntwo\n\n")
    assert last_line(tmp_path / "a.log") == "two"
    assert last_line(tmp_path / "none.log") == ""
