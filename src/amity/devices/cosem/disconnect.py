"""Disconnect control (class 70): states, transitions, and modes that each allow some (IEC 62056-6-2, 4.5.8).

    transition  event              from                    to
    a           remote reconnect   disconnected            connected
    b           remote disconnect  connected               disconnected
    c           remote disconnect  ready for reconnection  disconnected
    d           remote reconnect   disconnected            ready for reconnection
    e           manual reconnect   ready for reconnection  connected
    f           manual disconnect  connected               ready for reconnection
    g           local disconnect   connected               ready for reconnection
    h           local reconnect    ready for reconnection  connected

Remote is the head-end, manual is a person at the meter, local is the meter itself (a limiter, prepayment).
"""

from enum import Enum, IntEnum, auto
from typing import NamedTuple

from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis

DISCONNECT_CONTROL_OBIS = Obis.parse("0.0.96.3.10.255")


class ControlState(IntEnum):
    """Attribute 3. Only CONNECTED has supply; in READY_FOR_RECONNECTION the customer may switch on."""

    DISCONNECTED = 0
    CONNECTED = 1
    READY_FOR_RECONNECTION = 2


class SwitchEvent(Enum):
    """Who wants what."""

    REMOTE_DISCONNECT = auto()
    REMOTE_RECONNECT = auto()
    MANUAL_DISCONNECT = auto()
    MANUAL_RECONNECT = auto()
    LOCAL_DISCONNECT = auto()
    LOCAL_RECONNECT = auto()


class Transition(NamedTuple):
    """One arrow of the diagram."""

    event: SwitchEvent
    origin: ControlState
    target: ControlState


_OFF, _ON, _READY = ControlState.DISCONNECTED, ControlState.CONNECTED, ControlState.READY_FOR_RECONNECTION

TRANSITIONS = {
    "a": Transition(SwitchEvent.REMOTE_RECONNECT, _OFF, _ON),
    "b": Transition(SwitchEvent.REMOTE_DISCONNECT, _ON, _OFF),
    "c": Transition(SwitchEvent.REMOTE_DISCONNECT, _READY, _OFF),
    "d": Transition(SwitchEvent.REMOTE_RECONNECT, _OFF, _READY),
    "e": Transition(SwitchEvent.MANUAL_RECONNECT, _READY, _ON),
    "f": Transition(SwitchEvent.MANUAL_DISCONNECT, _ON, _READY),
    "g": Transition(SwitchEvent.LOCAL_DISCONNECT, _ON, _READY),
    "h": Transition(SwitchEvent.LOCAL_RECONNECT, _READY, _ON),
}

MODES = ("", "bcdefg", "abcefg", "bcdeg", "abceg", "bcdefgh", "bcdegh")
"""The transitions that control mode 0, 1, … 6 allows. In mode 0 the supply is always connected."""

ALWAYS_CONNECTED = 0


def check_mode(mode: int) -> None:
    """Raise ConfigurationError for a mode that the standard does not have."""
    if not 0 <= mode < len(MODES):
        raise ConfigurationError(f"there is no control mode {mode}", next_step=f"choose 0 to {len(MODES) - 1}")


def next_state(mode: int, state: ControlState, event: SwitchEvent) -> ControlState | None:
    """Where an event leads, None where the mode does not let it do anything in this state."""
    for letter in MODES[mode]:
        transition = TRANSITIONS[letter]
        if (transition.event, transition.origin) == (event, state):
            return transition.target
    return None


def target_states(mode: int, event: SwitchEvent) -> frozenset[ControlState]:
    """The states that an event can lead to in a mode; none when the mode does not know the event."""
    allowed = (TRANSITIONS[letter] for letter in MODES[mode])
    return frozenset(transition.target for transition in allowed if transition.event is event)
