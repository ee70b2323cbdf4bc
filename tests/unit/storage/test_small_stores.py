"""Registry, findings, logins, dead letters."""

from dataclasses import replace
from datetime import timedelta

import pytest

from amity.domain.blocks import Channel
from amity.domain.registry import Meter, Town, Transformer, UsagePoint
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import SECONDS_PER_DAY
from amity.storage.it.database import ItDatabase
from amity.usecases.ports import DeadLetter, VeeException
from amity.usecases.provision import provision
from tests.unit.storage.databases import DAY, IMPORT, NOON

TOWN = Town(
    "Auwald",
    "Europe/Vienna",
    (Transformer("T1", "F1", 48.1, 16.2),),
    (
        UsagePoint("P1", "Ring 1", "A1", "T1", 48.11, 16.21, has_solar=True),
        UsagePoint("P2", "Ring 2", "A2", "T1", 1, 2),
    ),
    (Meter("M1", "0001", "plain", "P1"), Meter("M2", "0002", "plain", "P2")),
)


# ------------------------------------------------------------------ registry
def test_there_is_no_town_before_the_first_provisioning(database: ItDatabase) -> None:
    assert database.registry.town() is None
    assert database.registry.meter("M1") is None


def test_a_provisioned_town_comes_back_whole(database: ItDatabase) -> None:
    provision(TOWN, database)
    provision(TOWN, database)
    assert database.registry.town() == TOWN
    assert database.registry.meter("M1") == (TOWN.meters[0], TOWN.usage_points[0], TOWN.transformers[0])


def test_provisioning_again_updates_and_keeps_what_is_no_longer_named(database: ItDatabase) -> None:
    provision(TOWN, database)
    moved = replace(TOWN, name="Neustadt", meters=(Meter("M1", "0001", "plain", "P2"),))
    provision(moved, database)
    town = database.registry.town()
    assert town is not None
    assert town.name == "Neustadt"
    assert [meter.usage_point_id for meter in town.meters] == ["P2", "P2"]


@pytest.mark.parametrize(
    ("town", "complaint"),
    [
        (replace(TOWN, meters=(*TOWN.meters, TOWN.meters[0])), "meter 'M1' more than once"),
        (replace(TOWN, transformers=()), "usage point 'P1'.*transformer 'T1', which is not in it"),
        (replace(TOWN, meters=(Meter("M3", "3", "plain", "P9"),)), "meter 'M3'.*usage point 'P9'"),
    ],
)
def test_a_town_that_does_not_hang_together_is_refused(database: ItDatabase, town: Town, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        provision(town, database)
    assert database.registry.town() is None


# ------------------------------------------------------------------ findings
def finding(channel: Channel, day: int, slot: int = 0, *, resolved: bool = False, hours: int = 0) -> VeeException:
    start_s = day * SECONDS_PER_DAY + slot * 900
    found_at = NOON + timedelta(hours=hours)
    return VeeException(channel.channel_id, "some-rule", "1", start_s, start_s + 900, "so it is", found_at, resolved)


def test_findings_of_the_days_take_the_place_of_the_earlier_ones(database: ItDatabase, channel: Channel) -> None:
    store = database.exceptions
    store.replace(channel.channel_id, DAY, DAY + 2, [finding(channel, DAY + day, 95) for day in range(3)])
    store.replace(channel.channel_id, DAY + 1, DAY + 1, [finding(channel, DAY + 1, 7)])
    assert [(one.start_s // 900) - DAY * 96 for one in store.open()] == [2 * 96 + 95, 96 + 7, 95]


def test_a_finding_that_stays_keeps_the_time_it_was_found(database: ItDatabase, channel: Channel) -> None:
    store = database.exceptions
    store.replace(channel.channel_id, DAY, DAY, [finding(channel, DAY, 1)])
    store.replace(channel.channel_id, DAY, DAY, [finding(channel, DAY, 1, hours=5), finding(channel, DAY, 2, hours=5)])
    found = {(one.start_s // 900) % 96: one.found_at - NOON for one in store.open()}
    assert found == {1: timedelta(0), 2: timedelta(hours=5)}


def test_resolved_findings_are_not_open_but_explain_a_value(database: ItDatabase, channel: Channel) -> None:
    store = database.exceptions
    store.replace(channel.channel_id, DAY, DAY, [finding(channel, DAY, 1, resolved=True), finding(channel, DAY, 2)])
    assert [one.start_s // 900 % 96 for one in store.open()] == [2]
    start_s = DAY * SECONDS_PER_DAY + 900
    assert [one.resolved for one in store.covering(channel.channel_id, start_s, start_s + 900)] == [True]
    assert list(store.covering(channel.channel_id, start_s - 900, start_s)) == []


def test_findings_of_one_meter(database: ItDatabase, channel: Channel) -> None:
    other = database.blocks.channel("M2", IMPORT)
    for one in (channel, other):
        database.exceptions.replace(one.channel_id, DAY, DAY, [finding(one, DAY)])
    assert [one.channel_id for one in database.exceptions.open("M2")] == [other.channel_id]
    assert len(database.exceptions.open()) == 2
    assert len(database.exceptions.open(limit=1)) == 1


# ------------------------------------------------------------------ logins
def test_a_token_opens_once(database: ItDatabase) -> None:
    database.logins.add_token(b"hash", "operator", NOON + timedelta(minutes=15))
    assert database.logins.use_token(b"other", NOON) is None
    assert database.logins.use_token(b"hash", NOON) == "operator"
    assert database.logins.use_token(b"hash", NOON) is None


def test_a_token_that_is_too_old_opens_nothing(database: ItDatabase) -> None:
    database.logins.add_token(b"hash", "operator", NOON)
    assert database.logins.use_token(b"hash", NOON) is None


def test_a_session_lives_until_it_expires(database: ItDatabase) -> None:
    database.logins.add_session(b"hash", "operator", NOON + timedelta(hours=8))
    assert database.logins.session(b"hash", NOON) == "operator"
    assert database.logins.session(b"hash", NOON + timedelta(hours=8)) is None
    assert database.logins.session(b"other", NOON) is None


def test_a_session_that_was_ended_opens_nothing(database: ItDatabase) -> None:
    database.logins.add_session(b"hash", "operator", NOON + timedelta(hours=8))
    database.logins.end_session(b"hash")
    database.logins.end_session(b"hash")
    assert database.logins.session(b"hash", NOON) is None


# ------------------------------------------------------------------ dead letters
def test_an_undecodable_message_is_kept_once_as_it_came(database: ItDatabase) -> None:
    store = database.dead_letters
    assert store.add("amity.ot.deliveries", b"\xff", reason="no field 31", received_at=NOON)
    assert not store.add("amity.ot.deliveries", b"\xff", reason="again", received_at=NOON + timedelta(hours=1))
    assert store.add("amity.ot.deliveries", b"\xfe", reason="cut short", received_at=NOON + timedelta(hours=2))
    letters = store.all()
    assert [letter.body for letter in letters] == [b"\xfe", b"\xff"]
    assert letters[1] == DeadLetter("amity.ot.deliveries", b"\xff", "no field 31", NOON)
    assert len(store.all(limit=1)) == 1
