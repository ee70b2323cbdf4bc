"""The doors that stayed closed: what was tried at each, what the meter has judged, and what to do about it.

No secret is shown twice to a client that may have judged it; keys are judged once in each security suite that they may
belong to, for a meter takes the right ones in the wrong suite for wrong ones.
"""

from dataclasses import dataclass, field

from amity.devices.client.counters import ImplausibleCounterError
from amity.devices.client.refusals import AssociationRejectedError, InvocationCounterError
from amity.devices.doctor.doors import Door, Way
from amity.devices.doctor.given import Secret, Secrets
from amity.devices.settings import Authentication
from amity.kernel.errors import AmityError
from amity.protocols.dlms.acse import ApplicationContext, AssociationResult, Mechanism, SourceDiagnostic

_NOT_LOOKED_AT = frozenset(
    {
        SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
        SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,
        SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED,
        SourceDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED,
    }
)
_OPTIONS = {
    Secret.PASSWORD: "--password", Secret.KEYS: "--key and --auth-key",
    Secret.SIGNATURE: "--signing-key and --meter-signing-key for hls-ecdsa",
}  # fmt: skip
_TITLE_UNKNOWN = "the meter does not know our system title: give --client-title as the meter has it, and --counter"
_GIVE_COUNTER = "give --counter with one that it takes, or let whoever counts with this key say where it stands"
_BROKEN_ALLOWED = "--allow-broken-digest for an old meter (hls-md5, hls-sha1)"
_CLEAR_ALLOWED = "--clear-password if every client here may be shown the password in the clear (lls)"
_BROKEN = (Mechanism.HLS_MD5, Mechanism.HLS_SHA1)


@dataclass(slots=True)
class Closed:
    """One door as it was found: the ways tried, what is known not to lead in, and the secrets judged by suite."""

    door: Door
    tried: list[Authentication] = field(default_factory=list)
    judged: dict[int, Secret] = field(default_factory=dict)
    reason: str = ""
    _contexts_refused: set[ApplicationContext] = field(default_factory=set)
    _mechanisms_refused: set[Mechanism] = field(default_factory=set)

    def is_worth(self, way: Way) -> bool:
        """False for what the meter has said no to, and for what would show a judged secret again."""
        if way.ciphering.context in self._contexts_refused or way.authentication.mechanism in self._mechanisms_refused:
            return False
        judged = self.judged.get(way.suite, Secret.NONE) | (self.shown & Secret.PASSWORD)
        return not way.needs & judged

    def learn(self, way: Way, error: AmityError, requests: int) -> None:
        """An attempt failed after so many requests: note what that says of the secrets and of this kind of attempt."""
        if way.authentication not in self.tried:
            self.tried.append(way.authentication)
        if isinstance(error, AssociationRejectedError):
            if error.diagnostic is SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED:
                self._contexts_refused.add(way.ciphering.context)
            elif error.diagnostic is SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED:
                self._mechanisms_refused.add(way.authentication.mechanism)
            elif error.diagnostic is SourceDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED:
                self.reason = _TITLE_UNKNOWN
            if error.result is AssociationResult.REJECTED_TRANSIENT or error.diagnostic in _NOT_LOOKED_AT:
                return
        if isinstance(error, InvocationCounterError | ImplausibleCounterError):
            self.reason = f"{error.what}; {_GIVE_COUNTER}"
        shown = way.shown_by(requests)
        if shown:
            self.judged[way.suite] = self.judged.get(way.suite, Secret.NONE) | shown

    @property
    def shown(self) -> Secret:
        """All secrets that the meter may have judged here."""
        found = Secret.NONE
        for secrets in self.judged.values():
            found |= secrets
        return found

    def advice(self, secrets: Secrets, several_counters: int) -> str:
        """What to do about this door, in one sentence."""
        client = f"client {self.door.client}"
        if self.reason:
            return f"{client}: {self.reason}"
        if self.judged:
            doubt = "; or its invocation counter is another of those told: give --counter" if several_counters else ""
            judged = f"{client} does not accept the {self._judged_words()}"
            unsure = " and the client, of which the meter says nothing" if self.door.mute else ""
            return f"{judged}; shown once and not again: check it{unsure}{doubt}"
        wish = _wish(self.door, secrets, rare=bool(self.tried))
        if self.tried:
            return f"{client} takes none of {', '.join(self.tried)} with what was given: {wish}"
        return f"{client} wants {_kind(self.door)}: {wish}"

    def _judged_words(self) -> str:
        suites = sorted(suite for suite, secrets in self.judged.items() if secrets & ~Secret.PASSWORD)
        return f"{self.shown.words} given" + (f" in suite {' or '.join(map(str, suites))}" if len(suites) > 1 else "")


def _kind(door: Door) -> str:
    named = "" if door.mechanism is None else f" ({door.mechanism.name.lower().replace('_', '-')})"
    return ("a ciphered association" if door.ciphered else "authentication") + named


def _wish(door: Door, secrets: Secrets, *, rare: bool) -> str:
    """What is not held and might open it; with `rare` also what few meters want."""
    wanted = [_OPTIONS[secret] for secret in _could_open(door, rare=rare) if secret not in secrets.held]
    digests = door.mechanism in _BROKEN or (door.mechanism is None and rare)
    if digests and not secrets.broken_digests_allowed:
        wanted.append(_BROKEN_ALLOWED)
    if door.mechanism in {None, Mechanism.LLS} and Secret.PASSWORD in secrets.held and not secrets.clear_password:
        wanted.append(_CLEAR_ALLOWED)
    if not wanted:
        return "look up in the meter's papers which client and authentication it has, then give --client"
    return f"give {_joint(door).join(wanted)}"


def _joint(door: Door) -> str:
    """What is named by the meter is wanted together; of what is only guessed one thing may do."""
    return ", or " if door.mechanism is None else ", and "


def _could_open(door: Door, *, rare: bool) -> tuple[Secret, ...]:
    keys = (Secret.KEYS,) if door.ciphered else ()
    if door.mechanism is None:
        likely = keys or (Secret.PASSWORD, Secret.KEYS)
        return tuple(dict.fromkeys((*likely, *_OPTIONS))) if rare else likely
    if door.mechanism is Mechanism.HLS_GMAC:
        return (Secret.KEYS,)
    return (Secret.SIGNATURE if door.mechanism is Mechanism.HLS_ECDSA else Secret.PASSWORD, *keys)
