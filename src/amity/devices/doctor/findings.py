"""What an examination comes to: the association that stood, the profile that fits, and what is missing."""

from dataclasses import dataclass

from amity.devices.doctor.candidates import PUBLIC_CLIENT
from amity.devices.doctor.counters import CounterChoice
from amity.devices.doctor.doors import Way
from amity.devices.doctor.facts import Facts
from amity.devices.doctor.given import Secret
from amity.devices.doctor.matching import Match
from amity.devices.doctor.steps import Link
from amity.devices.profiles import DeviceProfile


@dataclass(frozen=True, slots=True)
class Opened:
    """The association that stood: over which link, as what, and what the meter told in it.

    `next_counter` is the first invocation counter not used in it, None where none was, and `counter` says where
    counting began and why there; `answers_release` says whether the release was answered.
    """

    link: Link
    way: Way
    next_counter: int | None
    facts: Facts
    answers_release: bool
    counter: CounterChoice | None = None

    @property
    def uses_password(self) -> bool:
        """True when it was opened with the password."""
        return Secret.PASSWORD in self.way.needs

    @property
    def uses_keys(self) -> bool:
        """True when it was opened with the keys."""
        return Secret.KEYS in self.way.needs

    @property
    def uses_signature(self) -> bool:
        """True when it was opened with the signing key."""
        return Secret.SIGNATURE in self.way.needs


@dataclass(frozen=True, slots=True)
class Finding:
    """What the examination came to. `opened` is the best association that stood, None when none did.

    `matches` are the profiles that anything speaks for, best first; `profile` is the first of them that a meter can be
    read with. `advice` says what is missing, one sentence each.
    """

    link: Link
    opened: Opened | None
    profile: DeviceProfile
    matches: tuple[Match, ...]
    advice: tuple[str, ...]
    attempts: int

    @property
    def lets_in(self) -> bool:
        """True when somebody is let in with what was given, or may read measured values without it."""
        if self.opened is None:
            return False
        way = self.opened.way
        return bool(way.needs) or way.client != PUBLIC_CLIENT or self.opened.facts.measures
