"""The meter side of DLMS/COSEM without I/O: one logical device, one association at a time."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import chain

from amity.devices.freshness import Received
from amity.devices.interface_classes import Right
from amity.devices.objects import Answer, CosemObject, ObjectModel, ObjectTree
from amity.devices.server.access_rights import attribute_rights, may_call
from amity.devices.server.association import MeterAssociation
from amity.devices.server.client_book import ClientBook
from amity.devices.server.defects import contained
from amity.devices.server.gateway import GatewayAssociation, Neighbour
from amity.devices.server.opening import Judge
from amity.devices.server.own_objects import own_objects
from amity.devices.server.security_setup import Client
from amity.devices.server.settings import ClientAccess, MeterSettings
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import ActionOutcome, ActionResult, Attribute, DataAccessResult, Method
from amity.protocols.dlms.data import Data
from amity.protocols.dlms.general_protection import UNKNOWN_KEYS
from amity.protocols.dlms.selective_access import Access


class MeterServer:
    """A logical device: its settings, its objects, and what it remembers between associations.

    Args:
        settings: who the meter is and who may read what.
        objects: the measured objects; name, association, counters and security setup the server has itself.
        random_octets: gives n octets from a cryptographic source (challenges).
        next_invocation_counter: gives numbers never given before for this meter's key.
    """

    def __init__(
        self,
        settings: MeterSettings,
        objects: ObjectModel,
        *,
        random_octets: Callable[[int], bytes],
        next_invocation_counter: Callable[[], int],
    ) -> None:
        self.settings = settings
        self._clients = ClientBook(settings.clients, self._peer, settings.certificate)
        self.judge = Judge(settings, random_octets, next_invocation_counter, self._clients.shown_to)
        self._own = ObjectTree(own_objects(settings, self._clients))
        self._objects = objects
        self._holder: MeterAssociation | None = None
        self._neighbours: dict[Neighbour, MeterServer] = {}

    def open_association(self, client: int) -> MeterAssociation:
        """What a new connection from a client talks to; the association itself opens with the AARQ."""
        if self._neighbours:
            return GatewayAssociation(self, client, self._neighbours)
        return MeterAssociation(self, client)

    def hand_on_to(self, neighbours: Mapping[Neighbour, "MeterServer"]) -> None:
        """Be the gateway of these meters too: what comes with a gateway prefix is for them."""
        self._neighbours = dict(neighbours)

    # -------------------------------------------------------------- for the associations of this meter
    def take(self, association: MeterAssociation, now: datetime) -> bool:
        """Lend the meter to an association; False while another one holds it and has not fallen silent."""
        holder = self._holder
        if holder is not None and holder is not association and not self._has_fallen_silent(holder, now):
            return False
        self._holder = association
        return True

    def let_go(self, association: MeterAssociation) -> None:
        """Take the meter back."""
        if self._holder is association:
            self._holder = None

    def read(self, access: ClientAccess, attribute: Attribute, selected: Access | None, now: datetime) -> Answer:
        """An attribute as a client may see it."""
        if access.visible is not None and attribute.obis not in access.visible:
            return DataAccessResult.OBJECT_UNDEFINED
        return contained(lambda: self._value(attribute, selected, now), attribute, DataAccessResult.HARDWARE_FAULT)

    def write(
        self, access: ClientAccess, attribute: Attribute, selected: Access | None, value: Data, now: datetime
    ) -> DataAccessResult:
        """Give an attribute a value, if the client's role may."""
        model, cosem = self._found(access, attribute.obis)
        if cosem is None:
            return DataAccessResult.OBJECT_UNDEFINED
        if cosem.interface.class_id != attribute.class_id:
            return DataAccessResult.OBJECT_CLASS_INCONSISTENT
        known = 1 <= attribute.index <= len(cosem.interface.attributes)
        if not known or Right.WRITE not in attribute_rights(cosem, attribute.index, access.role):
            return DataAccessResult.READ_WRITE_DENIED
        return contained(
            lambda: model.set_attribute(attribute, selected, value, now), attribute, DataAccessResult.HARDWARE_FAULT
        )

    def act(self, access: ClientAccess, method: Method, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Call a method, if the client's role may."""
        model, cosem = self._found(access, method.obis)
        if cosem is None:
            return ActionOutcome(ActionResult.OBJECT_UNDEFINED)
        if cosem.interface.class_id != method.class_id:
            return ActionOutcome(ActionResult.OBJECT_CLASS_INCONSISTENT)
        if not may_call(cosem, method.index, access):
            return ActionOutcome(ActionResult.READ_WRITE_DENIED)
        return contained(lambda: model.act(method, parameters, now), method, ActionOutcome(ActionResult.HARDWARE_FAULT))

    def objects_for(self, access: ClientAccess) -> Iterable[CosemObject]:
        """The objects that a client may see."""
        everything = {cosem.obis: cosem for cosem in chain(self._objects.objects(), self._own.objects())}
        return (cosem for cosem in everything.values() if access.visible is None or cosem.obis in access.visible)

    def access_of(self, client: int) -> ClientAccess | None:
        """What a client may do now, with the keys that are valid now; None for one the meter does not know."""
        return self._clients.access_of(client)

    def received(self, client: int) -> Received:
        """The highest counters that a client has used, for an association that begins."""
        if not self.settings.remembers_counters and self._proves_itself_anew(client):
            self._clients.forget(client)
        return self._clients.received(client)

    def received_counter(self, client: int) -> int:
        """The highest invocation counter a client has used, -1 before the first."""
        return self._clients.received(client).counter

    def _peer(self) -> Client:
        return Client(b"", UNKNOWN_KEYS) if self._holder is None else self._holder.peer

    def _value(self, attribute: Attribute, selected: Access | None, now: datetime) -> Answer:
        answer = self._own.attribute(attribute, selected, now)
        if answer is DataAccessResult.OBJECT_UNDEFINED:
            return self._objects.attribute(attribute, selected, now)
        return answer

    def _found(self, access: ClientAccess, obis: Obis) -> tuple[ObjectModel, CosemObject | None]:
        """An object that the client can see, and the model it belongs to."""
        if access.visible is not None and obis not in access.visible:
            return self._objects, None
        own = self._own.find(obis)
        return (self._objects, self._objects.find(obis)) if own is None else (self._own, own)

    def _proves_itself_anew(self, client: int) -> bool:
        """True for a client with HLS: a recorded session of it fails at the fresh challenge, whatever its counters."""
        access = self.settings.access_of(client)
        return access is not None and access.authentication.hls

    def _has_fallen_silent(self, holder: MeterAssociation, now: datetime) -> bool:
        timeout = timedelta(seconds=self.settings.inactivity_timeout_s)
        return holder.heard_at is None or now - holder.heard_at > timeout
