"""The connection doctor: how to reach a meter nobody has described, found out by asking it politely.

Order: a way that answers (framing, addresses, line), who the meter is (public client), which clients it has and what
they must come with, one association with the secrets at hand, the profile that fits. Polite means: a bounded number of
attempts with a pause before each, and no secret shown twice to a client that may have judged it, so nothing locks out.
"""

from collections.abc import Callable
from dataclasses import dataclass

from amity.devices.client.association import release
from amity.devices.client.conversation import Conversation, Ports
from amity.devices.client.counters import RisingCounter
from amity.devices.client.journal import TraceLine
from amity.devices.client.refusals import InvocationCounterError
from amity.devices.doctor.candidates import PUBLIC_CLIENT, Known, links, readers
from amity.devices.doctor.closed import Closed
from amity.devices.doctor.counters import CounterChoice, choose_counter
from amity.devices.doctor.doors import Door, Way, ways
from amity.devices.doctor.facts import Facts, Visit, visit
from amity.devices.doctor.findings import Finding, Opened
from amity.devices.doctor.given import Secret, Secrets
from amity.devices.doctor.knock import UNANSWERED, Knock, knock, leave
from amity.devices.doctor.matching import best_matches
from amity.devices.doctor.steps import Attempt, Examination, Link, Pause, Reached, Result
from amity.devices.profiles import Catalogue, DeviceProfile
from amity.devices.settings import AssociationSettings, Authentication, Ciphering, Protection
from amity.kernel.errors import AmityError, ConfigurationError, LocalProtocolError, RemoteProtocolError, TransportError
from amity.kernel.obis import Obis

Tell = Callable[[str, str], None]
"""Told what was tried and what the meter answered, line by line as it happens."""

_TITLE_MAKER = b"AMI"
_TITLE_RANDOM_OCTETS = 5
_NO_CLIENT = "the meter says of no client what it wants: give --client, and what this client comes with"
_MODELS_ASKED = 2
_AS_PUBLIC = Way(PUBLIC_CLIENT, Authentication.NONE, Ciphering.NONE, Protection.NONE)


@dataclass(frozen=True, slots=True)
class Manners:
    """How the meter is treated: pause before each attempt, a longer one when it is busy, and a bound for everything.

    No client is shown a secret twice (keys: in one suite), and no more than `clients_per_secret` clients are shown
    wrong ones.
    """

    pause_s: float = 1.0
    busy_pause_s: float = 10.0
    attempts_max: int = 60
    clients_per_secret: int = 3


class NothingAnswersError(TransportError):
    """No way of all those tried brought an answer that is DLMS."""

    def __init__(self, attempts: int, unused: str = "") -> None:
        super().__init__(
            "nothing that speaks DLMS answers here",
            tried="; ".join((f"{attempts} combinations of framing and addresses", *filter(None, [unused]))),
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
        self._closed: dict[int, Closed] = {}
        self._heard_in_clear: int | None = None  # the client that was told the password by LLS
        self._several_counters = 0
        self._requests = 0  # of the association that was tried last
        self._used = Secret.NONE  # the secrets that some attempt rested on
        self._counter = None if secrets.counter is None else RisingCounter(secrets.counter)
        self._attempts = 0

    def examine(self) -> Examination[Finding]:
        """Lead the whole examination; raise NothingAnswersError when there is nobody to examine."""
        link, first = yield from self._find_link()
        public = yield from self._public(link, first)
        opened = yield from self._search(link, first, public)
        best = opened or public
        if best is None and first is UNANSWERED:
            raise self._nothing_answers()
        settings = None if best is None else self._settings(best.way)
        matches = () if best is None else best_matches(self._profiles, best.facts, settings)
        fitting = (match.profile for match in matches if not match.lacks_load_profile)
        profile = next(fitting, None) or self._catalogue.profile("generic")
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
            raise self._nothing_answers()
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
        reached = yield from self._try(link, "AARQ without a secret", knock(), leave)
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
        named = [link for link in links(self._known, self._profiles) if link.client == self._known.client]
        if len(named) == 1 and self._secrets.held:  # silence for strangers: what was given is tried all the same
            return named[0], UNANSWERED
        raise self._nothing_answers()

    def _nothing_answers(self) -> NothingAnswersError:
        return NothingAnswersError(self._attempts, self._unused())

    # -------------------------------------------------------------- who it is
    def _public(self, link: Link, first: Knock) -> Examination[Opened | None]:
        """What the public client is told; None where there is none."""
        if link.client != PUBLIC_CLIENT or not first.open:
            return None
        try:
            return (yield from self._visit(link, _AS_PUBLIC, RisingCounter(), None))
        except AmityError:
            return None

    # -------------------------------------------------------------- which association, and with what
    def _search(self, link: Link, first: Knock, public: Opened | None) -> Examination[Opened | None]:
        """Go from client to client until one lets us in with what was given; None when none does."""
        without_secret, mute = None, list[int]()
        for client in self._clients(public):
            door = yield from self._door(link.as_client(client), first if client == link.client else None, public)
            if door is None:
                mute.append(client)
                continue
            opened = yield from self._enter(link.as_client(client), door, public)
            if opened is not None and opened.way.needs:
                return opened
            without_secret = without_secret or opened
            if self._is_enough():
                break
        if self._secrets.held and mute and not self._closed:
            return (yield from self._enter(link.as_client(mute[0]), Door.unexplained(mute[0]), public))
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
        judged = sum(bool(closed.judged) for closed in self._closed.values())
        return not self._secrets.held or judged >= self._manners.clients_per_secret

    def _enter(self, link: Link, door: Door, public: Opened | None) -> Examination[Opened | None]:
        facts = None if public is None else public.facts
        closed = self._closed[door.client] = Closed(door)
        for way in ways(door, self._secrets, None if facts is None else facts.suite):
            if not closed.is_worth(way) or not self._may_show(way):
                continue
            if way.authentication is Authentication.LLS:
                self._heard_in_clear = way.client
            try:
                return (yield from self._open(link, way, facts))
            except NothingAnswersError:
                return None
            except (LocalProtocolError, ConfigurationError) as unfit:  # no keys of this suite, a digest nobody trusts
                self._tell(str(way), unfit.what)
            except AmityError as error:
                closed.learn(way, error, self._requests)
        return None

    def _may_show(self, way: Way) -> bool:
        """Without a word that it may, the password is not said in the clear to one client after the other."""
        if way.authentication is not Authentication.LLS or self._secrets.clear_password:
            return True
        return self._heard_in_clear in {None, way.client}

    def _open(self, link: Link, way: Way, facts: Facts | None) -> Examination[Opened]:
        """One association; where only the invocation counter is behind, once more with the one the meter expects."""
        self._requests = 0
        choice = self._choice(way.client, facts) if way.counts else None
        counter = self._begun(choice)
        first = counter.next
        try:
            return (yield from self._visit(link, way, counter, choice))
        except InvocationCounterError as behind:
            if behind.expected is None or behind.expected <= first:
                raise
            counter.raise_to(behind.expected)
            expected = CounterChoice(behind.expected, None, "the meter said which one it expects")
        return (yield from self._visit(link, way, counter, expected))

    def _visit(self, link: Link, way: Way, counter: RisingCounter, choice: CounterChoice | None) -> Examination[Opened]:
        self._requests = 0
        ports = Ports(self._random_octets, counter, self._count_requests)
        conversation = visit(self._settings(way), ports, self._counter_places())
        self._used |= way.needs
        reached = yield from self._try(link, str(way), conversation, _farewell)
        found: Visit = reached.value
        self._tell(f"{link}: {way}", f"open: {_introduction(found.facts)}")
        following = counter.next if way.counts else None
        return Opened(link, way, following, found.facts, bool(reached.farewell_answered), choice)

    def _count_requests(self, line: TraceLine) -> None:
        self._requests += line.direction == "->"

    def _settings(self, way: Way) -> AssociationSettings:
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
            protector=None if held is None else held(way.suite),
            server_keys=secrets.server_keys,
            broken_digests_allowed=secrets.broken_digests_allowed,
            bare_acceptance=secrets.bare_acceptance,
        )

    def _client_title(self) -> bytes:
        return self._secrets.client_title or _TITLE_MAKER + self._random_octets(_TITLE_RANDOM_OCTETS)

    # -------------------------------------------------------------- invocation counters
    def _counter_places(self) -> set[Obis]:
        return {profile.association.invocation_counter for profile in self._profiles}

    def _choice(self, client: int, facts: Facts | None) -> CounterChoice:
        """Just above what the meter has seen: a jump ahead would shut out whoever else counts up with this key."""
        if self._counter is not None:
            return CounterChoice(self._counter.next, None, "as it was given")
        chosen = None if facts is None else choose_counter(client, facts, self._recognised(facts))
        if chosen is None:
            return CounterChoice(self._first_counter, None, "the meter tells of none: by the time of day")
        self._several_counters = chosen.doubtful
        if not self._closed[client].tried:
            self._tell(f"client {client} counts on from {chosen.place}", chosen.why)
        return chosen

    def _begun(self, choice: CounterChoice | None) -> RisingCounter:
        """What was given counts through the whole examination: under a title that stays no number comes twice."""
        if self._counter is not None:
            return self._counter
        counter = RisingCounter()
        if choice is not None:
            counter.raise_to(choice.first)
        return counter

    def _recognised(self, facts: Facts) -> list[DeviceProfile]:
        return [match.profile for match in best_matches(self._profiles, facts, None) if match.recognised]

    # -------------------------------------------------------------- what is missing
    def _advice(self, opened: Opened | None, public: Opened | None) -> tuple[str, ...]:
        if opened is not None and opened.way.needs:
            return ()
        missing = () if opened is not None else self._missing(public)
        unused = self._unused()
        return (*missing, unused) if unused else missing

    def _missing(self, public: Opened | None) -> tuple[str, ...]:
        closed = [one for one in self._closed.values() if not one.door.open]
        if not closed:
            return () if public and public.facts.measures else (_NO_CLIENT,)
        tried = [one for one in closed if one.tried]
        return tuple(one.advice(self._secrets, self._several_counters) for one in tried or closed)

    def _unused(self) -> str:
        """Which of the secrets given no attempt rested on, as a sentence; empty when there is none."""
        unused = self._secrets.held & ~self._used
        return f"not used: the {unused.words} given" if unused else ""


def _farewell(found: Visit) -> Conversation[bool]:
    return release(found.session)


def _introduction(facts: Facts) -> str:
    parts = [facts.name or "no logical device name"]
    parts += [f"serial {facts.serial}"] if facts.serial else []
    parts += [f"security suite {facts.suite}, policy {facts.policy}"] if facts.suite is not None else []
    parts += [f"counter {obis} at {value}" for obis, value in facts.counters.items()]
    parts += [f"{len(facts.objects)} objects"] if facts.objects else []
    return ", ".join(parts)
