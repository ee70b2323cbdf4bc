"""The connection doctor: how to reach a meter nobody has described, found out by asking it politely.

Order: a way that answers (framing, addresses, line), who the meter is (public client), which clients it has and what
they must come with, one association with the secrets at hand, the profile that fits. Polite means: a bounded number of
attempts with a pause before each, and no secret shown twice to a client that may have judged it, so nothing locks out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from amity.devices.client.association import release
from amity.devices.client.conversation import Conversation, Ports
from amity.devices.client.refusals import AssociationRejectedError, InvocationCounterError
from amity.devices.doctor.candidates import PUBLIC_CLIENT, Known, links, readers
from amity.devices.doctor.doors import Door, Way, ways
from amity.devices.doctor.facts import Facts, Visit, visit
from amity.devices.doctor.given import Secret, Secrets
from amity.devices.doctor.knock import Knock, knock
from amity.devices.doctor.matching import Match, best_matches
from amity.devices.doctor.steps import Attempt, Examination, Link, Pause, Reached, Result
from amity.devices.profiles import Catalogue, DeviceProfile
from amity.devices.settings import AssociationSettings, Authentication, Ciphering, Protection
from amity.kernel.errors import AmityError, ConfigurationError, LocalProtocolError, RemoteProtocolError, TransportError
from amity.kernel.obis import Obis
from amity.protocols.dlms.acse import AssociationResult, SourceDiagnostic

Tell = Callable[[str, str], None]
"""Told what was tried and what the meter answered, line by line as it happens."""

_TITLE_MAKER = b"AMI"
_TITLE_RANDOM_OCTETS = 5
_MODELS_ASKED = 2
_SECRET_NOT_LOOKED_AT = frozenset(
    {
        SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
        SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,
        SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED,
        SourceDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED,
    }
)


@dataclass(frozen=True, slots=True)
class Manners:
    """How the meter is treated: pause before each attempt, a longer one when it is busy, and a bound for everything.

    No client is shown a secret twice, and no more than `clients_per_secret` clients are shown wrong ones.
    """

    pause_s: float = 1.0
    busy_pause_s: float = 10.0
    attempts_max: int = 60
    clients_per_secret: int = 3


@dataclass(frozen=True, slots=True)
class Opened:
    """The association that stood: over which link, as what, and what the meter told in it.

    `next_counter` is the first invocation counter not used in it, None where none was; `answers_release` says whether
    the release was answered.
    """

    link: Link
    way: Way
    suite: int
    next_counter: int | None
    facts: Facts
    answers_release: bool

    @property
    def uses_password(self) -> bool:
        """True when it was opened with the password."""
        return Secret.PASSWORD in self.way.needs

    @property
    def uses_keys(self) -> bool:
        """True when it was opened with the keys."""
        return Secret.KEYS in self.way.needs


@dataclass(frozen=True, slots=True)
class Finding:
    """What the examination came to. `opened` is the best association that stood, None when none did.

    `matches` are the profiles that fit, best first. `advice` says what is missing, one sentence each.
    """

    link: Link
    opened: Opened | None
    profile: DeviceProfile
    matches: tuple[Match, ...]
    advice: tuple[str, ...]
    attempts: int


class NothingAnswersError(TransportError):
    """No way of all those tried brought an answer that is DLMS."""

    def __init__(self, attempts: int) -> None:
        super().__init__(
            "nothing that speaks DLMS answers here",
            tried=f"{attempts} combinations of framing and addresses",
            answer="silence or other octets",
            next_step="check that this is the meter's port; if you know its addresses give --client, --server,"
            " --physical, then --timeout 10 for a slow line",
        )


class Doctor:
    """One examination of one meter. `ports` bring chance; counters are chosen here, from what the meter tells."""

    def __init__(
        self,
        known: Known,
        secrets: Secrets,
        catalogue: Catalogue,
        random_octets: Callable[[int], bytes],
        *,
        first_counter: int,
        tell: Tell,
        manners: Manners | None = None,
    ) -> None:
        self._known = known
        self._secrets = secrets
        self._catalogue = catalogue
        self._profiles = tuple(catalogue.profiles())
        self._random_octets = random_octets
        self._first_counter = first_counter
        self._tell = tell
        self._manners = manners or Manners()
        self._judged: dict[int, Secret] = {}
        self._doors: list[Door] = []
        self._attempts = 0

    def examine(self) -> Examination[Finding]:
        """Lead the whole examination; raise NothingAnswersError when there is nobody to examine."""
        link, first = yield from self._find_link()
        public = yield from self._public(link, first)
        opened = yield from self._search(link, first, public)
        best = opened or public
        settings = None if best is None else self._settings(best.way, best.suite)
        matches = () if best is None else best_matches(self._profiles, best.facts, settings)
        profile = matches[0].profile if matches else self._catalogue.profile("generic")
        advice = self._advice(opened, public)
        return Finding(best.link if best else link, best, profile, matches, advice, self._attempts)

    # -------------------------------------------------------------- single attempts
    def _try(
        self,
        link: Link,
        what: str,
        conversation: Conversation[Result],
        farewell: Callable[[Result], Conversation[bool]] | None = None,
    ) -> Examination[Reached]:
        if self._attempts >= self._manners.attempts_max:
            raise NothingAnswersError(self._attempts)
        if self._attempts:
            yield Pause(self._manners.pause_s)
        self._attempts += 1
        try:
            reached = yield Attempt(link, conversation, farewell)
        except AmityError as error:
            self._tell(f"{link}: {what}", error.answer or error.what)
            raise
        return reached or Reached(None, None)

    def _knock(self, link: Link) -> Examination[Knock]:
        """Ask without a secret; a meter that is busy is asked once more later."""
        answer = yield from self._knock_once(link)
        if not answer.busy:
            return answer
        yield Pause(self._manners.busy_pause_s)
        return (yield from self._knock_once(link))

    def _knock_once(self, link: Link) -> Examination[Knock]:
        reached = yield from self._try(link, "AARQ without a secret", knock())
        answer: Knock = reached.value
        self._tell(f"{link}: AARQ without a secret", answer.said)
        return answer

    # -------------------------------------------------------------- a way that answers
    def _find_link(self) -> Examination[tuple[Link, Knock]]:
        for link in links(self._known, self._profiles):
            try:
                answer = yield from self._knock(link)
            except NothingAnswersError:
                raise
            except (TransportError, RemoteProtocolError):
                continue
            return link, answer
        raise NothingAnswersError(self._attempts)

    # -------------------------------------------------------------- who it is
    def _public(self, link: Link, first: Knock) -> Examination[Opened | None]:
        """What the public client is told; None where there is none."""
        if link.client != PUBLIC_CLIENT or not first.open:
            return None
        way = Way(PUBLIC_CLIENT, Authentication.NONE, Ciphering.NONE, Protection.NONE)
        try:
            return (yield from self._visit(link, way, 0, 0))
        except AmityError:
            return None

    # -------------------------------------------------------------- which association, and with what
    def _search(self, link: Link, first: Knock, public: Opened | None) -> Examination[Opened | None]:
        """Go from client to client until one lets us in with what was given; None when none does."""
        without_secret = None
        for client in self._clients(public):
            door = yield from self._door(link.as_client(client), first if client == link.client else None, public)
            if door is None:
                continue
            self._doors.append(door)
            opened = yield from self._enter(link.as_client(client), door, public)
            if opened is not None and opened.way.needs:
                return opened
            without_secret = without_secret or opened
            if self._is_enough():
                break
        return without_secret

    def _clients(self, public: Opened | None) -> tuple[int, ...]:
        """Those that the meter itself names; without such a list those that meters usually have."""
        if public is None:
            return readers(self._known, ())
        if public.facts.clients and self._known.client is None:
            return tuple(listed.client for listed in public.facts.clients if listed.client != PUBLIC_CLIENT)
        likely = [match.profile for match in best_matches(self._profiles, public.facts, None)[:_MODELS_ASKED]]
        return readers(self._known, likely)

    def _door(self, link: Link, answer: Knock | None, public: Opened | None) -> Examination[Door | None]:
        """What a client must come with: from the meter's own object, or by knocking; None when it is unknown there."""
        for listed in () if public is None else public.facts.clients:
            if listed.client == link.client and listed.mechanism is not None:
                return Door.listed(listed)
        if answer is None:
            try:
                answer = yield from self._knock(link)
            except (TransportError, RemoteProtocolError):
                return None
        return Door.answered(link.client, answer) if answer.open or answer.wants_secret else None

    def _is_enough(self) -> bool:
        """Without secrets one closed door tells what is missing; with them a few wrong ones do."""
        return not self._secrets.held or len(self._judged) >= self._manners.clients_per_secret

    def _enter(self, link: Link, door: Door, public: Opened | None) -> Examination[Opened | None]:
        facts = None if public is None else public.facts
        for way in ways(door, self._secrets):
            if way.needs & self._judged.get(way.client, Secret.NONE):
                continue
            try:
                return (yield from self._open(link, way, facts))
            except AssociationRejectedError as refusal:
                if _was_judged(refusal):
                    self._note_judgement(way)
            except NothingAnswersError:
                return None
            except (LocalProtocolError, ConfigurationError) as unfit:  # no keys of this suite, a digest nobody trusts
                self._tell(str(way), unfit.what)
            except AmityError:
                self._note_judgement(way)
        return None

    def _open(self, link: Link, way: Way, facts: Facts | None) -> Examination[Opened]:
        """One association; where only the invocation counter is behind, once more with the one the meter expects."""
        suite = self._secrets.suite if facts is None or facts.suite is None else facts.suite
        first = self._counter_for(facts)
        try:
            return (yield from self._visit(link, way, suite, first))
        except InvocationCounterError as behind:
            if behind.expected is None:
                raise
            return (yield from self._visit(link, way, suite, max(behind.expected, first)))

    def _visit(self, link: Link, way: Way, suite: int, first_counter: int) -> Examination[Opened]:
        counter = count(first_counter)
        ports = Ports(self._random_octets, counter.__next__)
        conversation = visit(self._settings(way, suite), ports, self._counter_places())
        reached = yield from self._try(link, str(way), conversation, _farewell)
        found: Visit = reached.value
        self._tell(f"{link}: {way}", f"open: {_introduction(found.facts)}")
        following = next(counter) if Secret.KEYS in way.needs else None
        return Opened(link, way, suite, following, found.facts, bool(reached.farewell_answered))

    def _note_judgement(self, way: Way) -> None:
        """From now on this client does not see these secrets again."""
        if way.needs:
            self._judged[way.client] = self._judged.get(way.client, Secret.NONE) | way.needs

    def _settings(self, way: Way, suite: int) -> AssociationSettings:
        secrets, keyed = self._secrets, Secret.KEYS in way.needs
        titled = keyed or way.authentication.titled
        held = secrets.protector if keyed or way.authentication.hls else None
        return AssociationSettings(
            authentication=way.authentication,
            ciphering=way.ciphering,
            protection=way.protection,
            client_title=self._client_title() if titled else b"",
            server_title=secrets.server_title if titled else b"",
            password=secrets.password if way.authentication is Authentication.LLS else b"",
            protector=None if held is None else held(suite),
        )

    def _client_title(self) -> bytes:
        return self._secrets.client_title or _TITLE_MAKER + self._random_octets(_TITLE_RANDOM_OCTETS)

    def _counter_places(self) -> set[Obis]:
        return {profile.association.invocation_counter for profile in self._profiles}

    def _counter_for(self, facts: Facts | None) -> int:
        """Just above what the meter has seen: a jump ahead would shut out whoever else counts up with this key."""
        if self._secrets.counter is not None:
            return self._secrets.counter
        if facts is not None and facts.counters:
            return max(facts.counters.values()) + 1
        return self._first_counter

    # -------------------------------------------------------------- what is missing
    def _advice(self, opened: Opened | None, public: Opened | None) -> tuple[str, ...]:
        if opened is not None:
            return ()
        if self._judged:
            return tuple(
                f"client {client} does not accept the {_names(shown)} given; shown once and not again: check it"
                for client, shown in self._judged.items()
            )
        closed = [door for door in self._doors if not door.open]
        if not closed:
            return () if public else ("no client that the meter knows was found: give --client",)
        return tuple(f"client {door.client} wants {_wish(door)}" for door in closed)


_SECRET_NAMES = {Secret.PASSWORD: "password", Secret.KEYS: "keys"}


def _names(secrets: Secret) -> str:
    return " and ".join(name for secret, name in _SECRET_NAMES.items() if secret in secrets)


def _was_judged(refusal: AssociationRejectedError) -> bool:
    """False for a meter that was busy, or that proves it has not looked at the secret."""
    passing = refusal.result is AssociationResult.REJECTED_TRANSIENT
    return not passing and refusal.diagnostic not in _SECRET_NOT_LOOKED_AT


def _farewell(found: Visit) -> Conversation[bool]:
    return release(found.session)


def _introduction(facts: Facts) -> str:
    parts = [facts.name or "no logical device name"]
    parts += [f"serial {facts.serial}"] if facts.serial else []
    parts += [f"security suite {facts.suite}, policy {facts.policy}"] if facts.suite is not None else []
    parts += [f"counter {obis} at {value}" for obis, value in facts.counters.items()]
    parts += [f"{len(facts.objects)} objects"] if facts.objects else []
    return ", ".join(parts)


def _wish(door: Door) -> str:
    named = "" if door.mechanism is None else f" ({door.mechanism.name.lower().replace('_', '-')})"
    if door.ciphered:
        return f"a ciphered association{named}: give --key and --auth-key"
    return f"authentication{named}: give --password, or --key and --auth-key"
