"""Switching a customer's supply off and on, and reading how it stands (class 70; IEC 62056-6-2, 4.5.8)."""

from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.disconnect import (
    DISCONNECT_CONTROL_OBIS,
    ControlState,
    SwitchEvent,
    check_mode,
    target_states,
)
from amity.devices.interface_classes import DISCONNECT_CONTROL
from amity.kernel.errors import ConfigurationError, RemoteRefusalError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import enum


class NotSwitchedError(RemoteRefusalError):
    """The meter took the command and its relay did not follow; `supply` is how it stands."""

    def __init__(self, event: SwitchEvent, supply: "Supply") -> None:
        wanted = event.name.lower().replace("_", " ")
        super().__init__(
            f"after {wanted} the supply is {supply.state.name.lower().replace('_', ' ')}",
            tried=wanted,
            answer=f"control state {supply.state}, output {'on' if supply.output else 'off'}, mode {supply.mode}",
            next_step="look what its control mode allows; then have the relay checked",
        )
        self.supply = supply


class Supply(NamedTuple):
    """How the supply stands: the relay itself, the state of its control, and the mode that says who may switch."""

    output: bool
    state: ControlState
    mode: int


def read_supply(session: Session, obis: Obis = DISCONNECT_CONTROL_OBIS) -> Conversation[Supply]:
    """How the supply stands."""
    names = "output_state", "control_state", "control_mode"
    output, state, mode = yield from named.read(session, DISCONNECT_CONTROL, obis, *names)
    return Supply(
        fields.flag(output, "output state"),
        fields.member(ControlState, state, "control state"),
        fields.number(mode, "control mode"),
    )


def disconnect(session: Session, obis: Obis = DISCONNECT_CONTROL_OBIS) -> Conversation[Supply]:
    """Switch the supply off and make sure that it is.

    Raises:
        MethodRefusedError: the meter does not do it: the client may not, or its control mode is 0.
        NotSwitchedError: the meter says yes and its relay stayed on.
    """
    return _switch(session, obis, "remote_disconnect", SwitchEvent.REMOTE_DISCONNECT)


def reconnect(session: Session, obis: Obis = DISCONNECT_CONTROL_OBIS) -> Conversation[Supply]:
    """Let the supply come back: at once in modes 2 and 4, READY_FOR_RECONNECTION by the customer in the others.

    Raises as `disconnect` does.
    """
    return _switch(session, obis, "remote_reconnect", SwitchEvent.REMOTE_RECONNECT)


def set_control_mode(session: Session, mode: int, obis: Obis = DISCONNECT_CONTROL_OBIS) -> Conversation[None]:
    """Say who may switch from now on (0 to 6); raise ConfigurationError for another mode."""
    check_mode(mode)
    return named.write(session, DISCONNECT_CONTROL, obis, "control_mode", enum(mode))


def _switch(session: Session, obis: Obis, method: str, event: SwitchEvent) -> Conversation[Supply]:
    yield from named.call(session, DISCONNECT_CONTROL, obis, method)
    supply = yield from read_supply(session, obis)
    if supply.state not in _expected(supply.mode, event) or supply.output is not (
        supply.state is ControlState.CONNECTED
    ):
        raise NotSwitchedError(event, supply)
    return supply


def _expected(mode: int, event: SwitchEvent) -> frozenset[ControlState]:
    """Where the event leads; a mode of the maker's own may lead anywhere that the event's name allows."""
    try:
        check_mode(mode)
    except ConfigurationError:
        off = event is SwitchEvent.REMOTE_DISCONNECT
        return frozenset(state for state in ControlState if (state is ControlState.DISCONNECTED) is off)
    return target_states(mode, event) | (
        {ControlState.CONNECTED} if event is SwitchEvent.REMOTE_RECONNECT else frozenset()
    )
