"""What counts as an alarm, told from outside: a collector has no key and sees only how a push is wrapped.

In this order: the port it came in on; a tag that says event notification, ciphered or not (IEC 62056-5-3, 9.5); the
priority bit of a plain data notification. A meter that ciphers with general-glo or general-ded shows none of these:
give it the alarm port as its destination for alarms, or set a size below which its pushes count as alarms.
"""

from dataclasses import dataclass
from typing import Final

_EVENT_NOTIFICATIONS: Final = frozenset({0xC2, 0xCA, 0xD2})  # plain, glo- and ded-
_DATA_NOTIFICATION: Final = 0x0F
_PRIORITY_AT: Final = 1  # the highest octet of long-invoke-id-and-priority; its highest bit is the priority
_PRIORITY_HIGH: Final = 0x80


@dataclass(frozen=True, slots=True)
class UrgencyRules:
    """`alarm_octets_max`: APDUs up to this size are alarms wherever they come in; 0: size says nothing."""

    alarm_octets_max: int = 0


def is_alarm(apdu: bytes, rules: UrgencyRules, *, on_alarm_port: bool) -> bool:
    """True when the push may never be dropped and goes first."""
    if on_alarm_port or (apdu[:1] and apdu[0] in _EVENT_NOTIFICATIONS):
        return True
    if apdu[:1] == bytes([_DATA_NOTIFICATION]) and len(apdu) > _PRIORITY_AT:
        return bool(apdu[_PRIORITY_AT] & _PRIORITY_HIGH)
    return len(apdu) <= rules.alarm_octets_max
