import pytest

from amity.devices.notification_intake import NotificationIntake, confirmation
from amity.devices.notifications import PushSealing, data_notification, event_notification
from amity.devices.settings import Protection
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.apdu import (
    Attribute,
    Ciphered,
    DataNotification,
    DataNotificationConfirm,
    EventNotification,
    decode,
)
from amity.protocols.dlms.block_stream import BlockDialogue, unconfirmed_blocks
from amity.protocols.dlms.ciphering import unwrap
from amity.protocols.dlms.data import long_unsigned, octet_string, structure, unsigned
from tests.unit.devices.conversing import KEYS, METER_TITLE, NOW, STATUS, counter, stamp

SEALING = PushSealing(KEYS, METER_TITLE, Protection.AUTHENTICATED_ENCRYPTED, counter(77))
ALARM = Attribute(1, STATUS, 2)


def test_a_plain_push():
    octets = data_notification(structure(unsigned(1), long_unsigned(2)), long_invoke_id=5, date_time=stamp(NOW))
    assert octets.hex() == "0f00000005" + "0c" + stamp(NOW).hex() + "02021101120002"


def test_a_body_may_be_octets():
    body = bytes.fromhex("02021101120002")
    assert data_notification(body, long_invoke_id=5).hex() == "0f0000000500" + body.hex()


def test_a_sealed_push_says_who_sent_it_and_counts():
    for expected_counter in (77, 78):
        sealed = decode(data_notification(unsigned(1), long_invoke_id=5, sealing=SEALING))
        assert isinstance(sealed, Ciphered)
        assert (sealed.system_title, sealed.invocation_counter) == (METER_TITLE, expected_counter)
        plain = decode(unwrap(KEYS, Protection.AUTHENTICATED_ENCRYPTED.control, None, sealed))
        assert plain == DataNotification(5, b"", unsigned(1))


def test_an_event():
    octets = event_notification(ALARM, unsigned(4), date_time=stamp(NOW))
    assert octets.hex() == "c2010c" + stamp(NOW).hex() + "0001" + STATUS.hex() + "02" + "1104"
    assert decode(event_notification(ALARM, unsigned(4))) == EventNotification(None, ALARM, unsigned(4))


def test_a_confirmed_push_is_answered_and_another_is_not():
    pushed = decode(data_notification(unsigned(1), long_invoke_id=5, confirmed=True))
    answer = confirmation(pushed)
    assert answer.hex() == "104000000500"
    assert decode(answer) == DataNotificationConfirm(0x4000_0005)
    assert confirmation(decode(data_notification(unsigned(1), long_invoke_id=5))) is None


@pytest.mark.parametrize("sealing", [None, SEALING])
def test_a_long_push_in_blocks_that_nobody_acknowledges(sealing: PushSealing | None):
    push = data_notification(octet_string(bytes(500)), long_invoke_id=5, sealing=sealing)
    intake = NotificationIntake()
    *before, last = (intake.receive(block) for block in unconfirmed_blocks(push, 100))
    assert before == [(None, ())] * len(before)
    assert last == (push, ())


def test_a_long_push_in_blocks_that_are_acknowledged():
    push = data_notification(octet_string(bytes(500)), long_invoke_id=5, confirmed=True)
    meter, intake = BlockDialogue(60, 3), NotificationIntake()
    burst, messages, sent = meter.send(push), [], 0
    while not meter.acknowledged:
        arrived = [intake.receive(block) for block in burst]
        sent += len(burst)
        messages += [one.message for one in arrived if one.message is not None]
        (answer,) = (answer for one in arrived for answer in one.answers)
        burst = meter.receive(decode(answer))
    assert messages == [push]
    assert sent == 10


def test_pushes_follow_each_other_whole_and_in_blocks():
    intake = NotificationIntake()
    first, second = (data_notification(octet_string(bytes([n] * 90)), long_invoke_id=n) for n in (1, 2))
    assert intake.receive(first).message == first
    for push in (first, second, second):
        assert [intake.receive(block).message for block in unconfirmed_blocks(push, 60)] == [None, push]


def test_a_push_that_is_begun_anew():
    intake = NotificationIntake()
    push = data_notification(octet_string(bytes(90)), long_invoke_id=5)
    first, second = unconfirmed_blocks(push, 60)
    assert [intake.receive(block).message for block in (first, first, second)] == [None, None, push]


@pytest.mark.parametrize("octets", ["e0", "e0400001", "e080000000000000", "e08000000000" + "00"])
def test_blocks_that_are_none_are_a_typed_error(octets: str):
    with pytest.raises(RemoteProtocolError):
        NotificationIntake().receive(bytes.fromhex(octets))


def test_keys_are_in_no_repr():
    assert "CipherKeys" not in repr(SEALING)
