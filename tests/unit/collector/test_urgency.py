"""What counts as an alarm without a key: port, tag, priority bit, and size where somebody says so."""

import pytest

from amity.collector.urgency import UrgencyRules, is_alarm

PLAIN_HIGH, PLAIN_NORMAL = bytes.fromhex("0f80000001000109"), bytes.fromhex("0f00000001000109")
GENERAL_GLO = bytes.fromhex("db08") + bytes(40)


@pytest.mark.parametrize(
    ("apdu", "expected"),
    [
        (bytes([0xC2, 0]), True),
        (bytes([0xCA, 30]), True),
        (bytes([0xD2, 30]), True),
        (PLAIN_HIGH, True),
        (PLAIN_NORMAL, False),
        (GENERAL_GLO, False),  # nobody without the key can tell
        (b"\x0f", False),
    ],
)
def test_by_tag_and_priority(apdu: bytes, expected: bool) -> None:
    assert is_alarm(apdu, UrgencyRules(), on_alarm_port=False) is expected


def test_everything_on_the_port_for_alarms_is_one() -> None:
    assert is_alarm(GENERAL_GLO, UrgencyRules(), on_alarm_port=True)


def test_by_size_only_where_somebody_says_so() -> None:
    assert is_alarm(GENERAL_GLO, UrgencyRules(alarm_octets_max=len(GENERAL_GLO)), on_alarm_port=False)
    assert not is_alarm(GENERAL_GLO, UrgencyRules(alarm_octets_max=len(GENERAL_GLO) - 1), on_alarm_port=False)
