"""The client side of DLMS/COSEM in one place: settings in, conversations out."""

from amity.devices.client.accessing import AccessAnswer, Acting, Getting, Setting, access
from amity.devices.client.acting import act, act_list, act_unconfirmed
from amity.devices.client.association import associate, release
from amity.devices.client.conversation import Conversation, Ports, converse
from amity.devices.client.journal import Exchange, Trace, TraceLine
from amity.devices.client.reading import get, get_list, get_octets
from amity.devices.client.refusals import (
    AssociationRejectedError,
    AttributeRefusedError,
    InvocationCounterError,
    MethodRefusedError,
    ServiceRefusedError,
    WriteRefusedError,
)
from amity.devices.client.session import Session
from amity.devices.client.writing import set_attribute, set_list, set_unconfirmed
from amity.devices.freshness import ReplayError
from amity.devices.message_security import DowngradeError
from amity.devices.settings import AssociationSettings, Authentication, Ciphering, Protection

__all__ = [
    "AccessAnswer", "Acting", "AssociationRejectedError", "AssociationSettings", "AttributeRefusedError",
    "Authentication", "Ciphering", "Conversation", "DowngradeError", "Exchange", "Getting", "InvocationCounterError",
    "MethodRefusedError", "Ports", "Protection", "ReplayError", "ServiceRefusedError", "Session", "Setting", "Trace",
    "TraceLine", "WriteRefusedError", "access", "act", "act_list", "act_unconfirmed", "associate", "converse", "get",
    "get_list", "get_octets", "release", "set_attribute", "set_list", "set_unconfirmed",
]  # fmt: skip
