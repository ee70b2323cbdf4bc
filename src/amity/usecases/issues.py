"""What is going wrong in the town, the worst first: each finder looks for one kind of trouble and says what to do."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from amity.domain.collection import Outcome
from amity.domain.events import EventKind
from amity.domain.registry import Transformer
from amity.kernel.time import from_epoch_s
from amity.usecases.condition import Condition, clock_is_off, condition_of
from amity.usecases.load import Gap
from amity.usecases.ports import CollectionState, DeadLetter, StoredEvent, VeeException

OUTAGE_METERS_MIN = 3  # fewer silent neighbours are more likely a modem or two than a transformer
QUIET_AFTER = timedelta(minutes=30)
EVENT_AGE_MAX = timedelta(days=1)
LONG_GAP_S = 2 * 3600  # what interpolation may close; longer gaps wait for a better method or for the meter

_TAMPER = {EventKind.COVER_OPENED, EventKind.TERMINAL_COVER_OPENED, EventKind.MAGNETIC_FIELD}


class Severity(IntEnum):
    """How soon somebody should look; the higher the sooner. BLIND: everything else shown may be out of date."""

    NOTICE = 1
    WARNING = 2
    CRITICAL = 3
    BLIND = 4


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is going wrong: where, since when, what it rests on and the next step.

    `look_at` tells of some meters at which time there is something to see.
    """

    kind: str
    severity: Severity
    title: str
    explanation: str
    next_step: str
    meter_ids: tuple[str, ...] = ()
    transformer_ids: tuple[str, ...] = ()
    since: datetime | None = None
    look_at: Mapping[str, datetime] = field(default_factory=dict)


class Late(NamedTuple):
    """Meters whose newest intervals are overdue, and until when most of the town is known (None: not at all)."""

    meter_ids: tuple[str, ...]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts that finders look at, gathered once. `transformer_of` and `meter_of_channel` are look-ups by id.

    `late` is None unless most of the town lacks its newest intervals; `unknown_at` names the meter of each object
    that no mapping names.
    """

    now: datetime
    transformers: Sequence[Transformer]
    transformer_of: dict[str, str]
    meter_of_channel: dict[int, str]
    states: Sequence[CollectionState]
    events: Sequence[StoredEvent]
    exceptions: Sequence[VeeException]
    gaps: Sequence[Gap]
    dead_letters: Sequence[DeadLetter]
    late: Late | None = None
    unknown_at: Sequence[str] = ()


def find_issues(situation: Situation) -> list[Issue]:
    """Everything the finders see, most severe first, then by the number of meters, then the newest."""
    issues = [issue for finder in _FINDERS for issue in finder(situation)]
    oldest = situation.now - timedelta(days=36500)
    return sorted(issues, key=lambda i: (i.severity, len(i.meter_ids), i.since or oldest), reverse=True)


# ------------------------------------------------------------------ outages and silence
def _outages(situation: Situation) -> Iterable[Issue]:
    """Silent meters that share a transformer (or whole feeders of them): the supply, not the meters, is suspected."""
    dark = _dark_transformers(situation)
    by_feeder: dict[str, list[str]] = defaultdict(list)
    for transformer in situation.transformers:
        if transformer.transformer_id in dark:
            by_feeder[transformer.feeder_id].append(transformer.transformer_id)
    for feeder_id, transformer_ids in by_feeder.items():
        yield _outage(situation, feeder_id, transformer_ids, [m for t in transformer_ids for m in dark[t]])


def _outage(situation: Situation, feeder_id: str, transformer_ids: list[str], meter_ids: list[str]) -> Issue:
    gasps = {e.meter_id: e.event.at for e in reversed(situation.events) if e.event.kind is EventKind.POWER_DOWN}
    gasped = [gasps[m] for m in meter_ids if m in gasps]
    last_words = [s.last_answer_at for s in situation.states if s.meter_id in set(meter_ids) and s.last_answer_at]
    where = f"transformer {transformer_ids[0]}" if len(transformer_ids) == 1 else f"feeder {feeder_id}"
    fed = sum(t in set(transformer_ids) for t in situation.transformer_of.values())
    said = f"{len(gasped)} of them reported a loss of power" if gasped else "none of them reported a loss of power"
    return Issue(
        "outage-suspected",
        Severity.CRITICAL,
        f"Suspected outage at {where}",
        f"{len(meter_ids)} of the {fed} meters fed from {', '.join(transformer_ids)} do not answer; {said}.",
        "Ask the control room for switching on this feeder; send a crew to the transformer if there is none.",
        tuple(sorted(meter_ids)),
        tuple(transformer_ids),
        min(gasped) if gasped else max(last_words, default=None),
    )


def _dark_transformers(situation: Situation) -> dict[str, list[str]]:
    """Silent meters of each transformer where they are many (3 or more) and at least half of all it feeds."""
    silent: dict[str, list[str]] = defaultdict(list)
    for meter_id in _meters_in(situation, Condition.SILENT):
        silent[situation.transformer_of.get(meter_id, "")].append(meter_id)
    fed: dict[str, int] = defaultdict(int)
    for transformer_id in situation.transformer_of.values():
        fed[transformer_id] += 1
    return {t: meters for t, meters in silent.items() if t and len(meters) >= max(OUTAGE_METERS_MIN, fed[t] / 2)}


def _silent_meters(situation: Situation) -> Iterable[Issue]:
    explained = {meter for meters in _dark_transformers(situation).values() for meter in meters}
    alone = [meter_id for meter_id in _meters_in(situation, Condition.SILENT) if meter_id not in explained]
    if alone:
        yield Issue(
            "silent",
            Severity.WARNING,
            _count(alone, "meter is silent", "meters are silent"),
            "They hang on different transformers, so their supply is not suspected: think of modem, SIM or address.",
            "Open a meter to see what was tried last; try it by hand with `amity read HOST:PORT`.",
            tuple(alone),
            since=_oldest_word(situation, alone),
        )


def _quiet_headend(situation: Situation) -> Iterable[Issue]:
    newest = max((state.collected_at for state in situation.states), default=None)
    if newest is not None and situation.now - newest > QUIET_AFTER:
        yield Issue(
            "head-end-quiet",
            Severity.BLIND,
            "Nothing arrives from the head-end",
            "No collection session was reported for more than half an hour; what you see below is getting old.",
            "Look whether the head-end and the message broker run; their log says what they wait for.",
            since=newest,
        )


def _late_intervals(situation: Situation) -> Iterable[Issue]:
    late = situation.late
    if late is not None:
        yield Issue(
            "late-intervals",
            Severity.CRITICAL,
            f"The newest quarter hours of {_count(late.meter_ids, 'meter', 'meters')} have not arrived",
            "They are overdue by more than a collection round takes, for most of the town: load and totals of today "
            "are too low by what is missing.",
            "Look at the collection page when the last sessions ended, then at the head-end's log: it may read slower "
            "than intervals come, or from the wrong end.",
            late.meter_ids,
            since=late.since,
        )


# ------------------------------------------------------------------ meters that answer badly
def _wrong_keys(situation: Situation) -> Iterable[Issue]:
    refused = [s for s in situation.states if s.outcome in {Outcome.WRONG_KEY, Outcome.REJECTED}]
    if refused:
        meter_ids = tuple(sorted(state.meter_id for state in refused))
        yield Issue(
            "wrong-key",
            Severity.WARNING,
            _count(meter_ids, "meter refuses our keys", "meters refuse our keys"),
            "Their answers do not verify with the keys we hold, or they reject the association.",
            "Compare serial number and key delivery; after a meter exchange import the new meter's keys.",
            meter_ids,
            since=_oldest_word(situation, meter_ids),
        )


def _broken_sessions(situation: Situation) -> Iterable[Issue]:
    broken = tuple(sorted(s.meter_id for s in situation.states if s.outcome is Outcome.BROKEN))
    if broken:
        yield Issue(
            "broken-session",
            Severity.WARNING,
            _count(broken, "meter breaks off", "meters break off"),
            "They close in the middle of a frame or send octets that are not DLMS.",
            "Open the meter and look at the last frames; a noisy line or a wrong profile are the usual causes.",
            broken,
            since=_oldest_word(situation, broken),
        )


def _drifting_clocks(situation: Situation) -> Iterable[Issue]:
    drifting = [state for state in situation.states if clock_is_off(state)]
    if drifting:
        worst_s = max(abs(state.clock_offset_s or 0) for state in drifting)
        yield Issue(
            "clock",
            Severity.WARNING,
            _count(drifting, "clock is off", "clocks are off"),
            f"More than three minutes away from ours; the worst by {worst_s} s. Their intervals may be shifted.",
            "Set the clock at the next session; replace the battery when it happens again.",
            tuple(sorted(state.meter_id for state in drifting)),
        )


# ------------------------------------------------------------------ data that do not look right
def _findings(situation: Situation) -> Iterable[Issue]:
    """Open VEE findings, one issue per rule; gaps have their own finder."""
    by_rule: dict[str, list[VeeException]] = defaultdict(list)
    for finding in situation.exceptions:
        by_rule[finding.rule].append(finding)
    for rule, found in by_rule.items():
        title, next_step = _RULE_WORDS.get(rule, (f"Validation rule “{rule}” found something", _LOOK_AT_VALUES))
        if title:
            meter_ids = {situation.meter_of_channel.get(f.channel_id, "") for f in found} - {""}
            yield Issue(
                f"vee-{rule}",
                Severity.WARNING,
                f"{title}: {_count(meter_ids, 'meter', 'meters')}",
                found[0].message if len(found) == 1 else f"{len(found)} findings. The newest: {found[0].message}",
                next_step,
                tuple(sorted(meter_ids)),
                since=from_epoch_s(min(f.start_s for f in found)),
                look_at=_newest(situation, found),
            )


def _newest(situation: Situation, found: Iterable[VeeException]) -> dict[str, datetime]:
    """Of each meter, when its newest finding begins."""
    by_time = sorted(found, key=lambda finding: finding.start_s)
    return {situation.meter_of_channel.get(f.channel_id, ""): from_epoch_s(f.start_s) for f in by_time}


_LOOK_AT_VALUES = "Open the meter, click the marked interval and follow “why” down to the frame."
_LOOK_AT_DAY = (
    "Open the meter at that day: where intervals are estimated, the estimate is the likely cause; where all are "
    "measured, compare the scaler of the register with that of the load profile."
)
_RULE_WORDS: dict[str, tuple[str, str]] = {
    "spike-check": ("Implausible peak", _LOOK_AT_VALUES),
    "register-sum-check": ("Intervals and register disagree", _LOOK_AT_DAY),
    "missing-intervals": ("", ""),  # the finder of gaps has them
    "ends-early": ("", ""),  # the finders of silence have them
}


def _long_gaps(situation: Situation) -> Iterable[Issue]:
    answering = set(_meters_in(situation, Condition.ANSWERED)) | set(_meters_in(situation, Condition.INCOMPLETE))
    long_gaps = [gap for gap in situation.gaps if gap.seconds > LONG_GAP_S and gap.meter_id in answering]
    if long_gaps:
        meter_ids = {gap.meter_id for gap in long_gaps}
        yield Issue(
            "gap",
            Severity.NOTICE,
            f"Load profile has holes: {_count(meter_ids, 'meter', 'meters')}",
            f"{len(long_gaps)} gaps longer than two hours in meters that do answer; interpolation may not close them.",
            "See whether the meter still has them; the head-end asks again at each session.",
            tuple(sorted(meter_ids)),
            since=from_epoch_s(min(gap.start_s for gap in long_gaps)),
            look_at={gap.meter_id: from_epoch_s(gap.start_s) for gap in long_gaps},
        )


def _tampering(situation: Situation) -> Iterable[Issue]:
    opened = [e for e in situation.events if e.event.kind in _TAMPER and situation.now - e.event.at < EVENT_AGE_MAX]
    if opened:
        meter_ids = {stored.meter_id for stored in opened}
        yield Issue(
            "tamper",
            Severity.WARNING,
            _count(meter_ids, "meter reports an intrusion", "meters report an intrusion"),
            "A cover was opened or a magnetic field was seen in the last 24 hours.",
            "Ask for planned work at the address before anybody drives there.",
            tuple(sorted(meter_ids)),
            since=min(stored.event.at for stored in opened),
        )


def _undecodable(situation: Situation) -> Iterable[Issue]:
    letters = situation.dead_letters
    if letters:
        yield Issue(
            "undecodable",
            Severity.WARNING,
            _count(letters, "message could not be decoded", "messages could not be decoded"),
            f"They are kept as they came. The newest: {letters[0].reason}",
            "Look for a head-end of another version, then feed the kept messages in again.",
            since=min(letter.received_at for letter in letters),
        )


def _unknown_objects(situation: Situation) -> Iterable[Issue]:
    if situation.unknown_at:
        meter_ids = tuple(sorted(set(situation.unknown_at)))
        yield Issue(
            "unknown-objects",
            Severity.NOTICE,
            f"{_count(meter_ids, 'meter sends', 'meters send')} objects that no mapping names",
            f"{_count(situation.unknown_at, 'object is', 'objects are')} kept as sent; they do not count as readings.",
            "Open a meter to see them, then name them in mapping.json; the head-end takes it over while it runs.",
            meter_ids,
        )


# ------------------------------------------------------------------ shared words
def _meters_in(situation: Situation, condition: Condition) -> list[str]:
    return sorted(state.meter_id for state in situation.states if condition_of(state) is condition)


def _oldest_word(situation: Situation, meter_ids: Iterable[str]) -> datetime | None:
    wanted = set(meter_ids)
    return min((s.last_answer_at for s in situation.states if s.meter_id in wanted and s.last_answer_at), default=None)


def _count(things: Iterable[object], one: str, many: str) -> str:
    number = len(list(things))
    return f"{number} {one if number == 1 else many}"


_FINDERS: tuple[Callable[[Situation], Iterable[Issue]], ...] = (
    _quiet_headend,
    _late_intervals,
    _outages,
    _silent_meters,
    _wrong_keys,
    _broken_sessions,
    _drifting_clocks,
    _findings,
    _long_gaps,
    _tampering,
    _undecodable,
    _unknown_objects,
)
