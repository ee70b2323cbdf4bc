"""The client side of DLMS/COSEM in one place: settings in, conversations out."""

from amity.devices.client.association import associate, release
from amity.devices.client.conversation import Conversation, Ports, converse
from amity.devices.client.journal import Exchange, Trace, TraceLine
from amity.devices.client.reading import get, get_list, get_octets
from amity.devices.client.refusals import (
    AssociationRejectedError,
    AttributeRefusedError,
    InvocationCounterError,
    ServiceRefusedError,
)
from amity.devices.client.session import Session
from amity.devices.message_security import DowngradeError, ReplayError
from amity.devices.settings import AssociationSettings, Authentication, Ciphering, Protection

__all__ = [
    "AssociationRejectedError", "AssociationSettings", "AttributeRefusedError", "Authentication", "Ciphering",
    "Conversation", "DowngradeError", "Exchange", "InvocationCounterError", "Ports", "Protection", "ReplayError",
    "ServiceRefusedError", "Session", "Trace", "TraceLine", "associate", "converse", "get", "get_list", "get_octets",
    "release",
]  # fmt: skip
