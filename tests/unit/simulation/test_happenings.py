from amity.domain.events import EventKind
from amity.simulation.faults import FaultKind, RecordFaults
from amity.simulation.happenings import Happenings, Outage

INSTALLED, ANCHOR = 20_700, 20_760
NOON_S = ANCHOR * 86_400 + 43_200


def happenings(
    *kinds: FaultKind, serial: str = "1", transformer: str = "T-01", outages: tuple[Outage, ...] = ()
) -> Happenings:
    return Happenings(RecordFaults(frozenset(kinds), 3, serial, ANCHOR), transformer, INSTALLED, outages)


def test_every_log_begins_with_the_installation_and_is_in_order():
    events = happenings().until(NOON_S)
    assert (events[0].kind, events[0].at_s // 86_400) == (EventKind.POWER_UP, INSTALLED)
    assert [event.at_s for event in events] == sorted(event.at_s for event in events)


def test_nothing_of_the_future_is_told_and_nothing_is_forgotten():
    log = happenings(outages=(Outage("T-01", NOON_S - 100, NOON_S + 100),))
    assert EventKind.POWER_UP not in {event.kind for event in log.until(NOON_S) if event.at_s >= NOON_S - 100}
    assert log.until(NOON_S + 100)[-1].at_s == NOON_S + 100
    assert log.until(NOON_S + 100)[: len(log.until(NOON_S))] == log.until(NOON_S)


def test_a_dip_comes_to_all_meters_of_a_transformer_and_ends_within_a_minute_and_a_half():
    here, there, elsewhere = (
        happenings(serial=serial, transformer=transformer).until(NOON_S)
        for serial, transformer in (("1", "T-01"), ("2", "T-01"), ("3", "T-02"))
    )
    downs = [event.at_s for event in here if event.kind is EventKind.POWER_DOWN]
    assert downs
    assert [event for event in here if event.kind is not EventKind.COVER_OPENED] == [
        event for event in there if event.kind is not EventKind.COVER_OPENED
    ]
    assert downs != [event.at_s for event in elsewhere if event.kind is EventKind.POWER_DOWN]
    ups = {event.at_s for event in here if event.kind is EventKind.POWER_UP}
    assert all(any(1 <= up - down <= 90 for up in ups) for down in downs)


def test_some_covers_are_opened():
    opened = sum(
        any(event.kind is EventKind.COVER_OPENED for event in happenings(serial=str(number)).until(NOON_S))
        for number in range(600)
    )
    assert 1 <= opened <= 30


def test_a_clock_jump_is_told_when_it_comes_and_when_it_goes():
    events = happenings(FaultKind.CLOCK_JUMP).until(NOON_S)
    invalid = [event.at_s for event in events if event.kind is EventKind.CLOCK_INVALID]
    adjusted = [event.at_s for event in events if event.kind is EventKind.CLOCK_ADJUSTED]
    assert len(invalid) == len(adjusted) >= 8
    assert all(begin < end for begin, end in zip(invalid, adjusted, strict=True))


def test_an_outage_covers_its_time_and_spoils_every_interval_it_touches():
    outage = Outage("T-01", NOON_S + 10, NOON_S + 1000)
    assert not outage.covers(NOON_S + 9)
    assert outage.covers(NOON_S + 10)
    assert outage.covers(NOON_S + 999)
    assert not outage.covers(NOON_S + 1000)
    dark = [slot for slot, on in enumerate(outage.powered(ANCHOR).tolist()) if not on]
    assert dark == [48, 49]
    assert Outage("T-01", NOON_S).powered(ANCHOR + 1).sum() == 0
    assert Outage("T-01", NOON_S).powered(ANCHOR - 1).all()
