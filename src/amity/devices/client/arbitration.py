"""Asking for an action that several parties may want at once (arbitrator, class 68; IEC 62056-6-2, 4.5.12)."""

from collections.abc import Iterable
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.limits import ScriptCall
from amity.devices.interface_classes import ARBITRATOR
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import bit_string, structure, unsigned

ARBITRATOR_OBIS = Obis.parse("0.0.96.3.20.255")


class Arbitration(NamedTuple):
    """The actions there are, from 1 on; for each actor, which of them it may ask for; and which was done last.

    `outcome` is the number of the action, 0 for none.
    """

    actions: tuple[ScriptCall, ...]
    permissions: tuple[str, ...]
    outcome: int

    def allows(self, actor: int, action: int) -> bool:
        """True when an actor (from 0) may ask for an action (from 1)."""
        bits = self.permissions[actor] if 0 <= actor < len(self.permissions) else ""
        return bits[action - 1 : action] == "1"


def read_arbitration(session: Session, obis: Obis = ARBITRATOR_OBIS) -> Conversation[Arbitration]:
    """Actions, permissions and the last outcome."""
    actions, permissions, outcome = yield from named.read(
        session, ARBITRATOR, obis, "actions", "permissions_table", "last_outcome"
    )
    return Arbitration(
        fields.elements(actions, ScriptCall.from_data, "actions"),
        fields.elements(permissions, lambda row: fields.bits(row, "permissions"), "permissions table"),
        fields.number(outcome, "last outcome"),
    )


def request_action(
    session: Session, actor: int, wanted: Iterable[int], obis: Obis = ARBITRATOR_OBIS
) -> Conversation[Arbitration]:
    """Ask for actions as an actor; return how it was decided, which may be for somebody else's.

    Raises ConfigurationError, before anything is asked for, when this actor may not or there is no such action.
    """
    numbers = set(wanted)
    now = yield from read_arbitration(session, obis)
    for action in sorted(numbers):
        if not now.allows(actor, action):
            raise ConfigurationError(
                f"actor {actor} may not ask for action {action} of {len(now.actions)}",
                next_step="ask as another actor, or have its permissions changed",
            )
    bits = "".join("1" if number in numbers else "0" for number in range(1, len(now.actions) + 1))
    yield from named.call(
        session, ARBITRATOR, obis, "request_action", structure(unsigned(actor), bit_string(bits))
    )  # fmt: skip
    return (yield from read_arbitration(session, obis))
