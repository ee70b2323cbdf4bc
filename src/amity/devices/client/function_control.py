"""Switching whole functions of a meter on and off by their names (class 122; IEC 62056-6-2)."""

from collections.abc import Mapping

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.interface_classes import FUNCTION_CONTROL
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, boolean, octet_string, structure

FUNCTION_CONTROL_OBIS = Obis.parse("0.0.44.1.0.255")


def read_functions(session: Session, obis: Obis = FUNCTION_CONTROL_OBIS) -> Conversation[dict[bytes, bool]]:
    """Every function by its name, and whether it is on."""
    (status,) = yield from named.read(session, FUNCTION_CONTROL, obis, "activation_status")
    return dict(fields.elements(status, _function, "activation status"))


def switch_functions(
    session: Session, wanted: Mapping[bytes, bool], obis: Obis = FUNCTION_CONTROL_OBIS
) -> Conversation[dict[bytes, bool]]:
    """Switch functions on or off; return how all of them stand afterwards.

    Raises ConfigurationError for a name that the meter does not have, before anything is switched.
    """
    known = yield from read_functions(session, obis)
    if missing := sorted(wanted.keys() - known.keys()):
        names = ", ".join(name.decode("ascii", "backslashreplace") for name in known)
        raise ConfigurationError(f"the meter has no function {missing[0]!r}", next_step=f"choose from {names}")
    changes = array(structure(octet_string(name), boolean(on)) for name, on in wanted.items())
    yield from named.call(session, FUNCTION_CONTROL, obis, "set_function_status", changes)
    return (yield from read_functions(session, obis))


def _function(entry: Data) -> tuple[bytes, bool]:
    name, on = fields.parts(entry, 2, "function status")
    return fields.octets(name, "function name"), fields.flag(on, "function status")
