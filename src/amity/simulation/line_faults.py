"""Faults of the line: how a simulated meter's answers reach, or do not reach, the one who asked."""

import asyncio
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from amity.kernel.time import Clock
from amity.simulation.chance import between, draw, stream, uniform
from amity.simulation.faults import FLAKY_SESSIONS, SLOW_ANSWER_S, FaultKind
from amity.simulation.meter import SimulatedMeter

_GOOD_ANSWERS_MAX = 3  # a spoiled session breaks with one of its first answers
_NOISE_OCTETS = 48
_NOT_A_VERSION = 0xA5


@dataclass(slots=True)
class _Session:
    """One TCP connection: its stream of chance, and how many answers still go out whole (None: all of them)."""

    chance: int
    good_answers: int | None
    answers: int = 0


class LineFaults:
    """A `Deliver` for `serve_meter`: puts the answers of one meter on the line the way its faults demand.

    Each session's fate is drawn from seed, serial number and the number of the session: no run differs from another.
    """

    def __init__(self, meter: SimulatedMeter, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock
        self._sessions: WeakKeyDictionary[asyncio.Transport, _Session] = WeakKeyDictionary()
        self._opened = 0

    def __call__(self, transport: asyncio.Transport, frame: bytes) -> None:
        """Deliver an answer, or what becomes of it."""
        if FaultKind.SILENT in self._meter.kinds or not self._meter.is_on(self._clock.now()):
            return
        session = self._session_of(transport)
        session.answers += 1
        if FaultKind.SLOW in self._meter.kinds:
            delay_s = between(session.chance, *SLOW_ANSWER_S, index=session.answers)
            asyncio.get_running_loop().call_later(delay_s, _write, transport, frame)
        elif session.good_answers is not None and session.answers > session.good_answers:
            self._spoil(transport, frame, session)
        else:
            _write(transport, frame)

    def _session_of(self, transport: asyncio.Transport) -> _Session:
        session = self._sessions.get(transport)
        if session is None:
            self._opened += 1
            faults = self._meter.element.faults
            chance = stream(faults.seed, faults.serial, "session", self._opened)
            session = self._sessions[transport] = _Session(chance, self._until_broken(chance))
        return session

    def _until_broken(self, chance: int) -> int | None:
        flaky = self._meter.kinds & {FaultKind.CLOSES_MID_FRAME, FaultKind.GARBAGE_BYTES}
        if not flaky or draw(chance) >= FLAKY_SESSIONS:
            return None
        return int(between(chance, 0, _GOOD_ANSWERS_MAX, index=1))

    def _spoil(self, transport: asyncio.Transport, frame: bytes, session: _Session) -> None:
        if FaultKind.GARBAGE_BYTES in self._meter.kinds:
            _write(transport, _noise(session.chance))
        else:
            _write(transport, frame[: len(frame) // 2])
            transport.close()  # after what was written has gone out


def _write(transport: asyncio.Transport, octets: bytes) -> None:
    if not transport.is_closing():
        transport.write(octets)


def _noise(key: int) -> bytes:
    """Octets as a bad line makes them; the first is no wrapper version."""
    octets = (uniform(key, np.arange(_NOISE_OCTETS)) * 256).astype(np.uint8)
    octets[0] = _NOT_A_VERSION
    return octets.tobytes()
