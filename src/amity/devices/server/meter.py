"""The meter side of DLMS/COSEM without I/O: one logical device, one association at a time."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import chain

from amity.devices.objects import Answer, CosemObject, ObjectModel, ObjectTree
from amity.devices.server.association import MeterAssociation
from amity.devices.server.opening import Judge
from amity.devices.server.own_objects import own_objects
from amity.devices.server.settings import ClientAccess, MeterSettings
from amity.devices.settings import Authentication
from amity.protocols.dlms.apdu import Attribute, DataAccessResult
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
        self.judge = Judge(settings, random_octets, next_invocation_counter)
        self._received_counters: dict[int, int] = {}
        self._own = ObjectTree(own_objects(settings, self._received_counters))
        self._objects = objects
        self._holder: MeterAssociation | None = None

    def open_association(self, client: int) -> MeterAssociation:
        """What a new connection from a client talks to; the association itself opens with the AARQ."""
        if not self.settings.remembers_counters and self._proves_itself_anew(client):
            self._received_counters.pop(client, None)
        return MeterAssociation(self, client)

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
        answer = self._own.attribute(attribute, selected, now)
        if answer is DataAccessResult.OBJECT_UNDEFINED:
            return self._objects.attribute(attribute, selected, now)
        return answer

    def objects_for(self, access: ClientAccess) -> Iterable[CosemObject]:
        """The objects that a client may see."""
        everything = {cosem.obis: cosem for cosem in chain(self._objects.objects(), self._own.objects())}
        return (cosem for cosem in everything.values() if access.visible is None or cosem.obis in access.visible)

    def received_counter(self, client: int) -> int:
        """The highest invocation counter a client has used, -1 before the first."""
        return self._received_counters.get(client, -1)

    def note_counter(self, client: int, counter: int) -> None:
        """Remember the highest counter of a client; one at or below it is a replay from now on."""
        self._received_counters[client] = max(counter, self.received_counter(client))

    def _proves_itself_anew(self, client: int) -> bool:
        """True for a client with HLS: a recorded session of it fails at the fresh challenge, whatever its counters."""
        return any(
            access.client == client and access.authentication is Authentication.HLS_GMAC
            for access in self.settings.clients
        )

    def _has_fallen_silent(self, holder: MeterAssociation, now: datetime) -> bool:
        timeout = timedelta(seconds=self.settings.inactivity_timeout_s)
        return holder.heard_at is None or now - holder.heard_at > timeout
