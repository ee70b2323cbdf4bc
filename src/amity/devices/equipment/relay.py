"""The supply relay of a meter: a disconnect control object (class 70) that behaves as its mode says."""

from collections.abc import Callable
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.cosem.disconnect import (
    ALWAYS_CONNECTED,
    DISCONNECT_CONTROL_OBIS,
    ControlState,
    SwitchEvent,
    check_mode,
    next_state,
    target_states,
)
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import DISCONNECT_CONTROL
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, boolean, enum
from amity.protocols.dlms.results import ActionResult

Switched = Callable[[ControlState, datetime], None]
"""Told each new state with the instant."""


class Relay:
    """State and mode of one relay; `switched` is told when the state changes."""

    def __init__(
        self,
        mode: int = ALWAYS_CONNECTED,
        state: ControlState = ControlState.CONNECTED,
        switched: Switched | None = None,
    ) -> None:
        check_mode(mode)
        self.mode = mode
        self.state = state
        self._switched = switched

    @property
    def connected(self) -> bool:
        """True while the customer has supply."""
        return self.state is ControlState.CONNECTED

    def apply(self, event: SwitchEvent, now: datetime) -> bool:
        """Let something happen; True when it was done, or need not be since the relay stands there already."""
        target = next_state(self.mode, self.state, event)
        if target is None:
            return self.state in target_states(self.mode, event)
        self._go(target, now)
        return True

    def set_mode(self, mode: int, now: datetime) -> None:
        """Take another mode; mode 0 connects. Raise ConfigurationError for a mode that does not exist."""
        check_mode(mode)
        self.mode = mode
        if mode == ALWAYS_CONNECTED:
            self._go(ControlState.CONNECTED, now)

    def _go(self, state: ControlState, now: datetime) -> None:
        if state is not self.state:
            self.state = state
            if self._switched is not None:
                self._switched(state, now)


def disconnect_control(relay: Relay, obis: Obis = DISCONNECT_CONTROL_OBIS) -> StoredObject:
    """Class 70: the relay as the head-end sees it."""

    def call(event: SwitchEvent, now: datetime) -> ActionResult:
        return ActionResult.SUCCESS if relay.apply(event, now) else ActionResult.OTHER_REASON

    def take_mode(value: Data, now: datetime) -> None:
        relay.set_mode(fields.number(value, "control mode"), now)

    return StoredObject(
        DISCONNECT_CONTROL,
        obis,
        {
            "output_state": lambda _now: boolean(relay.connected),
            "control_state": lambda _now: enum(relay.state),
            "control_mode": lambda _now: enum(relay.mode),
        },
        accept={"control_mode": take_mode},
        methods={
            "remote_disconnect": lambda _, now: call(SwitchEvent.REMOTE_DISCONNECT, now),
            "remote_reconnect": lambda _, now: call(SwitchEvent.REMOTE_RECONNECT, now),
        },
    )
