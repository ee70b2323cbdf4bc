"""Switching a customer's supply off and on, and reading how it stands (class 70; IEC 62056-6-2, 4.5.8)."""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import LISTEN, Conversation
from amity.devices.client.refusals import MethodRefusedError
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.disconnect import (
    ALWAYS_CONNECTED,
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
        wanted, output = event.name.lower().replace("_", " "), "on" if supply.output else "off"
        super().__init__(
            f"after {wanted} the supply is {supply.state.name.lower().replace('_', ' ')}, its output {output}",
            tried=wanted,
            answer=f"control state {supply.state}, output {output}, mode {supply.mode}",
            next_step="give it more time, look what its control mode allows; then have the relay checked",
        )
        self.supply = supply


class Supply(NamedTuple):
    """How the supply stands: the relay itself, the state of its control, and the mode that says who may switch."""

    output: bool
    state: ControlState
    mode: int


class Settling(NamedTuple):
    """How long a relay may take to follow, by our clock `now`.

    Between two looks nothing is sent: the line is listened to, as long as whoever leads the conversation waits for an
    answer. So looks are that far apart.
    """

    now: Callable[[], datetime]
    seconds: float = 30.0


def read_supply(session: Session, obis: Obis = DISCONNECT_CONTROL_OBIS) -> Conversation[Supply]:
    """How the supply stands."""
    names = "output_state", "control_state", "control_mode"
    output, state, mode = yield from named.read(session, DISCONNECT_CONTROL, obis, *names)
    return Supply(
        fields.flag(output, "output state"),
        fields.member(ControlState, state, "control state"),
        fields.number(mode, "control mode"),
    )


def disconnect(
    session: Session, obis: Obis = DISCONNECT_CONTROL_OBIS, *, settling: Settling | None = None
) -> Conversation[Supply]:
    """Switch the supply off and make sure that it is, at once or while it is `settling`.

    Raises:
        MethodRefusedError: the meter does not do it: the client may not, or its control mode is 0.
        NotSwitchedError: the meter says yes and its relay stayed on.
    """
    return _switch(session, obis, SwitchEvent.REMOTE_DISCONNECT, settling)


def reconnect(
    session: Session, obis: Obis = DISCONNECT_CONTROL_OBIS, *, settling: Settling | None = None
) -> Conversation[Supply]:
    """Let the supply come back: at once in modes 2 and 4, READY_FOR_RECONNECTION by the customer in the others.

    Raises as `disconnect` does.
    """
    return _switch(session, obis, SwitchEvent.REMOTE_RECONNECT, settling)


def set_control_mode(session: Session, mode: int, obis: Obis = DISCONNECT_CONTROL_OBIS) -> Conversation[None]:
    """Say who may switch from now on (0 to 6); raise ConfigurationError for another mode."""
    check_mode(mode)
    return named.write(session, DISCONNECT_CONTROL, obis, "control_mode", enum(mode))


def _switch(session: Session, obis: Obis, event: SwitchEvent, settling: Settling | None) -> Conversation[Supply]:
    try:
        yield from named.call(session, DISCONNECT_CONTROL, obis, event.name.lower())
    except MethodRefusedError as refusal:
        yield from _explain(refusal, session, obis, event)
        raise
    supply = yield from read_supply(session, obis)
    if settling is not None:
        until = settling.now() + timedelta(seconds=settling.seconds)
        while not _has_followed(supply, event) and settling.now() < until:
            yield from _pause(session)
            supply = yield from read_supply(session, obis)
    if not _has_followed(supply, event):
        raise NotSwitchedError(event, supply)
    return supply


def _pause(session: Session) -> Conversation[None]:
    """Wait until the line has been silent for long enough, or brings something that nobody asked for."""
    heard = yield LISTEN
    if heard:
        session.journal.overheard(heard)


def _has_followed(supply: Supply, event: SwitchEvent) -> bool:
    stands = supply.output is (supply.state is ControlState.CONNECTED)
    return stands and supply.state in _expected(supply.mode, event)


def _explain(refusal: MethodRefusedError, session: Session, obis: Obis, event: SwitchEvent) -> Conversation[None]:
    """Where the control mode lets nobody switch, or not from where the relay stands, that is why it was refused."""
    with contextlib.suppress(RemoteRefusalError):
        supply = yield from read_supply(session, obis)
        if supply.mode == ALWAYS_CONNECTED:
            refusal.next_step = "its control mode is 0, in which it is always connected: set another mode first"
        elif (supply.state, event) == (ControlState.READY_FOR_RECONNECTION, SwitchEvent.REMOTE_RECONNECT):
            refusal.next_step = (
                f"it is ready for reconnection, from where control mode {supply.mode} reconnects at the meter only:"
                " have somebody switch it on there, or disconnect it first, then reconnect"
            )


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
