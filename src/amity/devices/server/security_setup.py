"""The meter's Security setup object (class 64, versions 0 and 1): policy, new keys, and (version 1) certificates."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Protocol

from amity.devices.interface_classes import INTERFACE_CLASSES, LOGICAL_NAME
from amity.devices.key_parameters import keyed_data, keyed_octets
from amity.devices.objects import Answer
from amity.devices.security_policy import SecurityPolicy
from amity.devices.server.certificates import MeterCertificates, Owner
from amity.kernel.errors import AmityError, RemoteProtocolError, SecurityError
from amity.kernel.obis import Obis
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.action_service import ActionOutcome
from amity.protocols.dlms.certificates import Trust
from amity.protocols.dlms.data import Data, enum, octet_string
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.key_agreement import agreed_information
from amity.protocols.dlms.protector import KeyId, WrappedKey
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from amity.protocols.dlms.selective_access import Access
from amity.protocols.dlms.suites import suite_of

_CLASS_ID = 64
_ACTIVATE, _KEY_TRANSFER, _KEY_AGREEMENT = 1, 2, 3
_NOBODY = Trust(())


class Client(NamedTuple):
    """Who has the meter open now."""

    system_title: bytes
    keys: PublicKeys


class Keeper(Owner, Protocol):
    """What the object needs of its meter: the keys and the policy of those clients that it is about."""

    @property
    def policy(self) -> SecurityPolicy:
        """The policy valid now."""
        ...

    @property
    def clients(self) -> tuple[int, ...]:
        """The clients whose associations refer to it."""
        ...

    @property
    def client(self) -> Client:
        """Who has the meter open now; empty where nobody has."""
        ...

    def take_policy(self, policy: SecurityPolicy) -> None:
        """This policy is valid from the next request on; raise an AmityError when the meter cannot hold to it."""
        ...


class SecuritySetup:
    """One set of keys, for the associations that refer to it.

    `certificate` is the meter's own to begin with, empty without one; `trust` holds the anchors it came with.
    """

    def __init__(
        self,
        version: int,
        obis: Obis,
        keeper: Keeper,
        server_title: bytes,
        *,
        certificate: bytes = b"",
        trust: Trust = _NOBODY,
    ) -> None:
        self.interface = INTERFACE_CLASSES[_CLASS_ID, version]
        self.obis = obis
        self._keeper = keeper
        self._server_title = server_title
        self._certificates = MeterCertificates(keeper, server_title, trust, filter(None, (certificate,)))
        self._methods: dict[int, Callable[[Data, datetime], Data | None]] = {
            _ACTIVATE: self._activate,
            _KEY_TRANSFER: self._transfer,
        }
        if version and keeper.protector.suite:
            self._methods |= {_KEY_AGREEMENT: self._agree, **self._certificates.methods}
        self.offered_methods = frozenset(self._methods)

    @property
    def clients(self) -> tuple[int, ...]:
        """The clients whose associations refer to it: nobody else may call its methods."""
        return self._keeper.clients

    def attribute(self, index: int, access: Access | None, now: datetime) -> Answer:
        """Policy, suite, the two titles and (version 1) certificates."""
        del now
        if access is not None:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        return (
            enum(self._keeper.policy.number(self.interface.version)),
            enum(self._keeper.protector.suite),
            octet_string(self._keeper.client.system_title),
            octet_string(self._server_title),
            self._certificates.infos(),
        )[index - LOGICAL_NAME - 1]

    def act(self, index: int, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Do it wholly or not at all; whoever wraps or signs with the wrong key learns no more than other-reason."""
        method = self._methods.get(index)
        if method is None:
            return ActionOutcome(ActionResult.READ_WRITE_DENIED)
        if parameters is None or parameters.tag is not self.interface.methods[index - 1].parameter:
            return ActionOutcome(ActionResult.TYPE_UNMATCHED)
        try:
            return ActionOutcome(ActionResult.SUCCESS, method(parameters, now))
        except SecurityError:
            return ActionOutcome(ActionResult.OTHER_REASON)
        except RemoteProtocolError:  # the parameters have another shape than the class says
            return ActionOutcome(ActionResult.TYPE_UNMATCHED)
        except AmityError:
            return ActionOutcome(ActionResult.OTHER_REASON)

    def _activate(self, parameters: Data, _now: datetime) -> None:
        policy = SecurityPolicy.from_number(int(str(parameters.value)), self.interface.version)
        if not policy.holds_all_of(self._keeper.policy):
            raise SecurityError("a security policy can only be strengthened")
        self._keeper.take_policy(policy)

    def _transfer(self, parameters: Data, _now: datetime) -> None:
        wrapped = [WrappedKey(key_id, octets) for key_id, octets in keyed_octets(parameters)]
        adopted = self._keeper.protector.adopt(wrapped)
        self._keeper.take_keys(adopted, new_unicast=any(one.key_id is KeyId.GLOBAL_UNICAST for one in wrapped))

    def _agree(self, parameters: Data, _now: datetime) -> Data:
        """C(2e,0s): both sides sign the key's number with their ephemeral point."""
        client, first = self._keeper.client, self._keeper.protector
        protector, suite, answers = first, suite_of(first.suite), []
        agreed = keyed_octets(parameters)
        for key_id, octets in agreed:
            point, signature = octets[: suite.public_key_octets], octets[suite.public_key_octets :]
            elliptic.verify(client.keys.signing, suite, bytes([key_id]) + point, signature)
            offer = protector.offer()
            information = agreed_information(suite, client.system_title, self._server_title, key_id)
            protector = offer.agree(point, information, key_id)
            answers.append((key_id, offer.public + first.sign(bytes([key_id]) + offer.public)))
        self._keeper.take_keys(protector, new_unicast=any(key_id is KeyId.GLOBAL_UNICAST for key_id, _ in agreed))
        return keyed_data(answers)
