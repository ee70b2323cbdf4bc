"""What a meter knows of its clients now: keys and policies changed since it was set up, and counters heard."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from amity.devices.message_security import Received
from amity.devices.security_policy import SecurityPolicy
from amity.devices.server.security_setup import Client
from amity.devices.server.settings import ClientAccess
from amity.devices.settings import Protection
from amity.kernel.errors import ConfigurationError
from amity.protocols.dlms.protector import Protector

_OF_CONTROL = {protection.control: protection for protection in Protection}


class ClientBook:
    """One page for each client; `peer` says who has the meter open."""

    def __init__(self, clients: Iterable[ClientAccess], peer: Callable[[], Client]) -> None:
        self._accesses = {access.client: access for access in clients}
        self._received: dict[int, Received] = {}
        self.peer = peer

    def access_of(self, client: int) -> ClientAccess | None:
        """What a client may do, with the keys valid now; None for one the meter does not know."""
        return self._accesses.get(client)

    def received(self, client: int) -> Received:
        """The highest counters that a client has used; whatever is at or below them is a replay."""
        return self._received.setdefault(client, Received())

    def forget_counters(self, client: int) -> None:
        """Take up a client as if it had never been heard: its key is new, or this meter stands in a laboratory."""
        self._received.pop(client, None)

    def change(self, access: ClientAccess) -> None:
        """From now on this is what the client may do."""
        self._accesses[access.client] = access


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
        return SecurityPolicy(access.protection, answers, access.signed, access.signed)

    @property
    def client(self) -> Client:
        """Who has the meter open now."""
        return self._book.peer()

    def take_keys(self, protector: Protector, *, new_unicast: bool) -> None:
        """These keys are valid from the next request on; under a new unicast key clients may count anew."""
        for access in self._pages():
            self._book.change(replace(access, protector=protector))
            if new_unicast:
                self._book.forget_counters(access.client)

    def take_policy(self, policy: SecurityPolicy) -> None:
        """This policy is valid from the next request on.

        Raises ConfigurationError where it asks for signatures in one direction only, or a client's key is unknown.
        """
        if policy.signed_requests is not policy.signed_responses:
            raise ConfigurationError("this meter signs and demands signatures in both directions or in none")
        pages = self._pages()
        if policy.signed_requests and not all(page.client_keys.signing or page.trust for page in pages):
            raise ConfigurationError("a client's signature could not be checked: its public key is not known")
        for access in pages:
            protection = _OF_CONTROL[access.protection.control | policy.requests.control]
            changed = replace(
                access, protection=protection, answer_protection=policy.responses, signed=policy.signed_requests
            )
            self._book.change(changed)

    def _pages(self) -> list[ClientAccess]:
        return [access for client in self.clients if (access := self._book.access_of(client)) is not None]
