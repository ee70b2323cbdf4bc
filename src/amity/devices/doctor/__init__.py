"""The connection doctor: finds out how a meter wants to be talked to, without I/O of its own."""

from amity.devices.doctor.candidates import Known
from amity.devices.doctor.counters import CounterChoice
from amity.devices.doctor.examination import Doctor, Manners, NothingAnswersError
from amity.devices.doctor.findings import Finding, Opened
from amity.devices.doctor.given import Secret, Secrets, needed_for
from amity.devices.doctor.matching import Match, best_matches
from amity.devices.doctor.steps import Attempt, Examination, Link, Pause, Reached

__all__ = [
    "Attempt", "CounterChoice", "Doctor", "Examination", "Finding", "Known", "Link", "Manners", "Match",
    "NothingAnswersError", "Opened", "Pause", "Reached", "Secret", "Secrets", "best_matches", "needed_for",
]  # fmt: skip
