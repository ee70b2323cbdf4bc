"""What the broker refuses its meters stands in its log alone: counted there, also when the log begins anew."""

from pathlib import Path

from amity.runtime.doors.mqtt_refused import PublishesRefused

VIOLATION = b'[7] 2026/11/20 06:00:00 [ERR] ::1:4 - mid:2 - "M1" - Publish Violation - Subject "amity.M2.push"\n'
OTHER = b"[7] 2026/11/20 06:00:00.1 [INF] Server is ready\n"


def test_each_refusal_is_counted_once_and_the_last_is_told(tmp_path: Path) -> None:
    log = tmp_path / "nats-server.log"
    log.write_bytes(VIOLATION)
    refused = PublishesRefused(log)
    assert not refused.look()  # of an earlier run
    with log.open("ab") as more:
        more.write(OTHER + VIOLATION * 2 + VIOLATION[:40])
    assert refused.look()
    assert (refused.count, refused.last) == (2, '"M1" - Publish Violation - Subject "amity.M2.push"')
    with log.open("ab") as more:
        more.write(VIOLATION[40:])
    assert refused.look()
    assert refused.count == 3
    assert not refused.look()


def test_a_log_that_begins_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "nats-server.log"
    refused = PublishesRefused(log)
    assert not refused.look()  # there is none yet
    log.write_bytes(OTHER * 9)
    assert not refused.look()
    log.write_bytes(VIOLATION)
    assert refused.look()
    assert refused.count == 1
