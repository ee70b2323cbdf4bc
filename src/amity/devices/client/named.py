"""Attributes and methods by their names in the class tables: what the typed helpers are written in."""

from amity.devices.client.acting import act
from amity.devices.client.conversation import Conversation
from amity.devices.client.reading import get_list
from amity.devices.client.refusals import AttributeRefusedError
from amity.devices.client.session import Session
from amity.devices.client.writing import set_attribute
from amity.devices.interface_classes import InterfaceClass
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, DataAccessResult, Method
from amity.protocols.dlms.data import Data, integer

NO_PARAMETER = integer(0)
"""What a method is given that needs to be told nothing."""


def attribute(interface: InterfaceClass, obis: Obis, name: str) -> Attribute:
    """The reference to an attribute."""
    return Attribute(interface.class_id, obis, interface.index_of(name))


def read(session: Session, interface: InterfaceClass, obis: Obis, *names: str) -> Conversation[tuple[Data, ...]]:
    """The values of several attributes of one object; raise AttributeRefusedError for the first that is not given."""
    wanted = [attribute(interface, obis, name) for name in names]
    answers = yield from get_list(session, wanted)
    for asked, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, DataAccessResult):
            raise AttributeRefusedError(asked, answer)
    return tuple(answer for answer in answers if isinstance(answer, Data))


def write(session: Session, interface: InterfaceClass, obis: Obis, name: str, value: Data) -> Conversation[None]:
    """Write one attribute; raise WriteRefusedError when the meter does not take the value."""
    return set_attribute(session, attribute(interface, obis, name), value)


def call(
    session: Session, interface: InterfaceClass, obis: Obis, name: str, parameter: Data = NO_PARAMETER
) -> Conversation[Data | None]:
    """Call one method; raise MethodRefusedError when the meter does not do it."""
    return act(session, Method(interface.class_id, obis, interface.method_index(name)), parameter)
