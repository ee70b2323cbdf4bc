"""What a meter knows of its clients now: keys and policies changed since it was set up, and counters heard."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from amity.devices.freshness import Received
from amity.devices.security_policy import SecurityPolicy
from amity.devices.server.security_setup import Client
from amity.devices.server.settings import ClientAccess
from amity.devices.settings import Protection
from amity.kernel.errors import ConfigurationError
from amity.protocols.dlms.certificates import Purpose, Trust
from amity.protocols.dlms.protector import Protector, same_unicast_key

_OF_CONTROL = {protection.control: protection for protection in Protection}
_PLACES = {Purpose.SIGNING: "signing", Purpose.AGREEMENT: "agreement"}


class ClientBook:
    """One page for each client; `peer` says who has the meter open, `certificate` is what all are shown at first."""

    def __init__(self, clients: Iterable[ClientAccess], peer: Callable[[], Client], certificate: bytes = b"") -> None:
        self._accesses = {access.client: access for access in clients}
        self._shown = dict.fromkeys(self._accesses, certificate)
        self._received: dict[int, Received] = {}
        self.peer = peer

    def access_of(self, client: int) -> ClientAccess | None:
        """What a client may do, with the keys valid now; None for one the meter does not know."""
        return self._accesses.get(client)

    def received(self, client: int) -> Received:
        """The highest counters that a client has used; whatever is at or below them is a replay."""
        return self._received.setdefault(client, Received())

    def forget(self, client: int) -> None:
        """Take up a client as if it had never been heard: this meter stands in a laboratory."""
        self._received.pop(client, None)

    def count_anew(self, client: int) -> None:
        """Its unicast key is new; an association that goes on counts in the same place. Other keys count on."""
        self.received(client).counter = -1

    def change(self, access: ClientAccess) -> None:
        """From now on this is what the client may do."""
        self._accesses[access.client] = access

    def shown_to(self, client: int) -> bytes:
        """The certificate that a client is shown as the meter's own; empty without one."""
        return self._shown.get(client, b"")

    def show(self, client: int, certificate: bytes) -> None:
        """From now on a client is shown this one."""
        self._shown[client] = certificate


class SharedKeys:
    """The keys of some clients and the policy of their associations: what one Security setup object is about."""

    def __init__(self, book: ClientBook, clients: tuple[int, ...]) -> None:
        self.clients = clients
        self._book = book

    @property
    def protector(self) -> Protector:
        """The keys valid now."""
        protector = self._pages()[0].protector
        if protector is None:
            raise ConfigurationError("a ciphered client has no keys")
        return protector

    @property
    def policy(self) -> SecurityPolicy:
        """The policy valid now; answers are protected as the requests are, and more where that is demanded."""
        access = self._pages()[0]
        answers = _OF_CONTROL[access.protection.control | access.answer_protection.control]
        return SecurityPolicy(access.protection, answers, access.signed, access.signs_answers)

    @property
    def client(self) -> Client:
        """Who has the meter open now."""
        return self._book.peer()

    def take_keys(self, protector: Protector, *, new_unicast: bool) -> None:
        """These keys are valid from the next request on; under another unicast key than before clients count anew."""
        new_unicast = new_unicast and not same_unicast_key(self.protector, protector)
        for access in self._pages():
            self._book.change(replace(access, protector=protector))
            if new_unicast:
                self._book.count_anew(access.client)

    def take_policy(self, policy: SecurityPolicy) -> None:
        """This policy is valid from the next request on.

        Raises ConfigurationError where it asks for signatures of a client whose key is unknown, SecurityError where it
        asks for the meter's own and no key for it is here.
        """
        if policy.signed_responses:
            self.protector.sign(b"")  # better refused now than unable to answer afterwards
        pages = self._pages()
        if policy.signed_requests and not all(page.client_keys.signing or page.trust for page in pages):
            raise ConfigurationError("a client's signature could not be checked: its public key is not known")
        for access in pages:
            protection = _OF_CONTROL[access.protection.control | policy.requests.control]
            changed = replace(
                access,
                protection=protection,
                answer_protection=policy.responses,
                signed=policy.signed_requests,
                answers_signed=policy.signed_responses,
            )
            self._book.change(changed)

    def take_client_key(self, system_title: bytes, purpose: Purpose, public: bytes) -> None:
        """A client of this title is known by this point from its next association on; by none where it is empty.

        A client whose title the meter was not told is known while it has the meter open, and alone has these keys.
        """
        pages = self._pages()
        named = [page for page in pages if page.client_title == system_title]
        if not named and len(pages) == 1 and not pages[0].client_title and self.client.system_title == system_title:
            named = pages
        for page in named:
            keys = page.client_keys._replace(**{_PLACES[purpose]: public})
            self._book.change(replace(page, client_keys=keys))

    def show(self, certificate: bytes) -> None:
        """Associations that begin from now on are shown this as the meter's own; none where it is empty."""
        for client in self.clients:
            self._book.show(client, certificate)

    @property
    def trust(self) -> Trust:
        """The anchors that the meter came with."""
        trust = self._pages()[0].trust
        return Trust(()) if trust is None else trust.anchors

    def _pages(self) -> list[ClientAccess]:
        return [access for client in self.clients if (access := self._book.access_of(client)) is not None]
