"""One collection session with one meter: what was tried, how it ended, and the octets that prove it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from amity.domain.events import MeterEvent
from amity.domain.readings import IntervalSeries, RegisterReading, UnknownObject


class Outcome(StrEnum):
    """How a session ended; everything but COMPLETE, PARTIAL and PUSHED is a failure of the named party."""

    COMPLETE = "complete"
    PARTIAL = "partial"  # something the meter should have, it did not have
    PUSHED = "pushed"  # the meter called in
    REFUSED = "refused"  # TCP refused: nobody listens
    SILENT = "silent"  # connected or not, no answer in time
    BROKEN = "broken"  # closed mid-frame, garbage, undecodable
    REJECTED = "rejected"  # association rejected: authentication, client, or policy
    WRONG_KEY = "wrong-key"  # a tag did not verify

    @property
    def answered(self) -> bool:
        """True when the meter gave readings."""
        return self in {Outcome.COMPLETE, Outcome.PARTIAL, Outcome.PUSHED}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer as octets on the wire, and the answer's APDU after decryption (no key is kept)."""

    at: datetime
    request: bytes
    response: bytes
    plain: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """All that one session (or one push) brought, as it crosses from the OT to the IT zone.

    `message_id` is derived from the content, so the same delivery sent twice is the same message.
    `correlation_id` is what the command or schedule that asked for it is called in every log, empty where none did.
    `clock_offset_s` is the meter's clock minus ours, None when it was not read.
    """

    message_id: str
    meter_id: str
    session_id: str
    collected_at: datetime
    outcome: Outcome
    detail: tuple[str, ...] = ()
    attempts: int = 1
    duration_ms: int = 0
    clock_offset_s: int | None = None
    profile: str = ""
    mapping_version: str = ""
    intervals: tuple[IntervalSeries, ...] = ()
    registers: tuple[RegisterReading, ...] = ()
    events: tuple[MeterEvent, ...] = ()
    unknown: tuple[UnknownObject, ...] = ()
    exchanges: tuple[Exchange, ...] = field(default=(), repr=False)
    correlation_id: str = ""
