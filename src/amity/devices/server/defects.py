"""An object that fails for a reason nobody thought of: the client is told hardware-fault, the log is told why.

The log is the standard library's, "amity.meter": devices stand alone as a library and are told of no other.
"""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from amity.protocols.dlms.attributes import Attribute, Method

Answer = TypeVar("Answer")
Fault = TypeVar("Fault")
_LOG: Final = logging.getLogger("amity.meter")


def contained(ask: Callable[[], Answer], asked: Attribute | Method, fault: Fault) -> Answer | Fault:
    """What `ask` gives; `fault` when it raises anything at all."""
    try:
        return ask()
    except Exception:  # noqa: BLE001 - a defect of one object must not end the connection of every client
        _LOG.exception("a defect in the object of %s: answered as hardware-fault", asked)
        return fault
