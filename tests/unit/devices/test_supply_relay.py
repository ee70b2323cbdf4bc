"""Disconnect control: every mode against the table of the standard, written out a second time by hand."""

import itertools

import pytest

from amity.devices.cosem.disconnect import MODES, ControlState, SwitchEvent, next_state
from amity.devices.equipment.relay import Relay, disconnect_control
from amity.kernel.errors import ConfigurationError
from amity.protocols.dlms.action_service import ActionOutcome
from amity.protocols.dlms.data import boolean, enum, integer
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from tests.unit.devices.conversing import NOW

OFF, ON, READY = ControlState.DISCONNECTED, ControlState.CONNECTED, ControlState.READY_FOR_RECONNECTION
REMOTE_OFF, REMOTE_ON = SwitchEvent.REMOTE_DISCONNECT, SwitchEvent.REMOTE_RECONNECT
MANUAL_OFF, MANUAL_ON = SwitchEvent.MANUAL_DISCONNECT, SwitchEvent.MANUAL_RECONNECT
LOCAL_OFF, LOCAL_ON = SwitchEvent.LOCAL_DISCONNECT, SwitchEvent.LOCAL_RECONNECT
DISCONNECT, RECONNECT = 1, 2

# By mode: what remote reconnect leads to, whether a person may switch off, whether the meter may switch on.
EXPECTED = {
    1: (READY, True, False),
    2: (ON, True, False),
    3: (READY, False, False),
    4: (ON, False, False),
    5: (READY, True, True),
    6: (READY, False, True),
}


@pytest.mark.parametrize("mode", EXPECTED)
def test_a_mode_allows_what_the_standard_says(mode: int):
    reconnected, by_hand, by_itself = EXPECTED[mode]
    allowed = {
        (REMOTE_OFF, ON): OFF,
        (REMOTE_OFF, READY): OFF,
        (REMOTE_ON, OFF): reconnected,
        (MANUAL_ON, READY): ON,
        (LOCAL_OFF, ON): READY,
    }
    allowed |= {(MANUAL_OFF, ON): READY} if by_hand else {}
    allowed |= {(LOCAL_ON, READY): ON} if by_itself else {}
    for event, state in itertools.product(SwitchEvent, ControlState):
        assert next_state(mode, state, event) == allowed.get((event, state)), (mode, state, event)


@pytest.mark.parametrize(("event", "state"), list(itertools.product(SwitchEvent, ControlState)))
def test_in_mode_0_nothing_moves(event: SwitchEvent, state: ControlState):
    assert next_state(0, state, event) is None


def test_a_relay_tells_each_change_once_and_a_repeated_command_is_no_change():
    heard: list[ControlState] = []
    relay = Relay(4, switched=lambda state, _at: heard.append(state))
    assert [relay.apply(event, NOW) for event in (REMOTE_OFF, REMOTE_OFF, REMOTE_ON, MANUAL_OFF)] == [
        True, True, True, False,
    ]  # fmt: skip
    assert heard == [OFF, ON]
    assert relay.connected


def test_mode_0_connects():
    relay = Relay(1, OFF)
    relay.set_mode(0, NOW)
    assert relay.connected


@pytest.mark.parametrize("mode", [-1, len(MODES)])
def test_there_is_no_other_mode(mode: int):
    with pytest.raises(ConfigurationError):
        Relay(mode)


def test_the_object_switches_and_shows_it():
    shown = disconnect_control(Relay(3))
    assert shown.act(DISCONNECT, integer(0), NOW) == ActionOutcome(ActionResult.SUCCESS)
    assert [shown.attribute(index, None, NOW) for index in (2, 3, 4)] == [boolean(False), enum(0), enum(3)]
    assert shown.act(RECONNECT, None, NOW) == ActionOutcome(ActionResult.SUCCESS)  # the parameter says nothing
    assert [shown.attribute(index, None, NOW) for index in (2, 3)] == [boolean(False), enum(2)]


def test_in_mode_0_the_object_refuses():
    shown = disconnect_control(Relay(0))
    assert shown.act(DISCONNECT, integer(0), NOW).result is ActionResult.OTHER_REASON
    assert shown.attribute(2, None, NOW) == boolean(True)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (enum(4), DataAccessResult.SUCCESS),
        (enum(7), DataAccessResult.OTHER_REASON),
        (integer(4), DataAccessResult.TYPE_UNMATCHED),
    ],
)
def test_the_mode_can_be_written(value: object, result: DataAccessResult):
    relay = Relay(1)
    assert disconnect_control(relay).set_attribute(4, None, value, NOW) is result
    assert relay.mode == (4 if result is DataAccessResult.SUCCESS else 1)


def test_state_and_output_cannot_be_written():
    assert disconnect_control(Relay(1)).writable_attributes == {4}
