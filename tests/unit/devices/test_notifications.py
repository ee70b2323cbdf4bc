from amity.devices.notifications import PushSealing, data_notification, event_notification
from amity.devices.settings import Protection
from amity.protocols.dlms.apdu import Attribute, Ciphered, DataNotification, EventNotification, decode
from amity.protocols.dlms.ciphering import unwrap
from amity.protocols.dlms.data import long_unsigned, structure, unsigned
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


def test_keys_are_in_no_repr():
    assert "CipherKeys" not in repr(SEALING)
