"""What a meter sends unasked between a request and its answer: it is kept as it came, and the answer waited for."""

from typing import Final

from amity.devices.client.conversation import LISTEN, Conversation
from amity.devices.client.journal import Journal
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.apdu import DataNotification, EventNotification
from amity.protocols.dlms.ciphered import GENERAL_PROTECTION_TAGS

UNASKED_MAX: Final = 64
"""How many APDUs may come before an answer; a meter that pushes on and on does not mean to give any."""

NOTIFICATIONS: Final = frozenset({DataNotification.TAG, EventNotification.TAG})


def after_pushes(answer: bytes, journal: Journal) -> Conversation[bytes]:
    """The first APDU that is in no general protection, which a notification has; for what is never answered in it.

    Where nothing else comes, the last of those is the answer after all.
    """
    overheard = b""
    for _ in range(UNASKED_MAX):
        if not answer or answer[0] not in GENERAL_PROTECTION_TAGS:
            return answer or overheard
        journal.overheard(answer)
        overheard, answer = answer, (yield LISTEN)
    raise only_pushes()


def only_pushes() -> RemoteProtocolError:
    """The error for a meter that sends everything but the answer."""
    return RemoteProtocolError(f"{UNASKED_MAX} APDUs came that nobody asked for, and no answer")
