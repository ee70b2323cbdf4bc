"""What a meter pushes between a request and its answer, protected: kept, and the answer read all the same."""

import pytest

from amity.devices.client import AssociationSettings, Authentication, Ciphering, Protection, get
from amity.devices.notifications import PushSealing, data_notification, event_notification
from amity.devices.server import MeterServer
from amity.devices.settings import CLIENT_CONFORMANCE
from amity.protocols.dlms.apdu import Attribute, Conformance
from amity.protocols.dlms.data import double_long_unsigned, structure
from amity.protocols.dlms.key_ring import KeyRing
from tests.unit.devices.conversing import IMPORT, KEYS, METER_TITLE, OTHER_KEYS, Line, access, meter, settings_for

IMPORT_VALUE = Attribute(3, IMPORT, 2)
BOTH = Protection.AUTHENTICATED_ENCRYPTED
IN_BLOCKS = CLIENT_CONFORMANCE | Conformance.GENERAL_BLOCK_TRANSFER


class PushingLine(Line):
    """The meter answers every request only after it has pushed."""

    def __init__(self, server: MeterServer, protector: KeyRing = KEYS, protection: Protection = BOTH) -> None:
        super().__init__(server)
        self.pushes: list[bytes] = []
        self._sealing = PushSealing(protector, METER_TITLE, protection, self._next_counter)
        self._held = b""
        self.pushing = False

    def answer(self, request: bytes) -> bytes | None:
        if request and self.pushing:
            self._held = request
            self.pushes.append(self._push())
            return self.pushes[-1]
        held, self._held = self._held, b""
        return super().answer(request or held)

    def _push(self) -> bytes:
        if len(self.pushes) % 2:
            return event_notification(IMPORT_VALUE, double_long_unsigned(1), sealing=self._sealing)
        return data_notification(structure(), long_invoke_id=1, sealing=self._sealing)

    def _next_counter(self) -> int:
        return self.association._meter.judge.next_counter()


def read_twice(line: PushingLine, settings: AssociationSettings) -> None:
    session = line.associate(settings)
    line.pushing = True
    for _ in range(2):
        assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
    assert len(line.pushes) >= 2
    assert session.journal.unasked == line.pushes
    assert not any(one.response in line.pushes for one in session.exchanges)


@pytest.mark.parametrize("ciphering", [Ciphering.GLO, Ciphering.GENERAL_GLO])
@pytest.mark.parametrize("conformance", [CLIENT_CONFORMANCE, IN_BLOCKS])
def test_a_protected_push_does_not_end_a_ciphered_session(ciphering: Ciphering, conformance: Conformance):
    allowed = access(Authentication.HLS_GMAC, ciphering, BOTH)
    read_twice(PushingLine(meter(allowed)), settings_for(allowed, conformance=conformance))


@pytest.mark.parametrize("conformance", [CLIENT_CONFORMANCE, IN_BLOCKS])
def test_nor_a_plain_one(conformance: Conformance):
    read_twice(PushingLine(meter(access())), settings_for(access(), conformance=conformance))


@pytest.mark.parametrize(("protector", "protection"), [(OTHER_KEYS, BOTH), (KEYS, Protection.AUTHENTICATED)])
def test_a_push_that_is_not_ours_to_open_is_left_to_whoever_takes_pushes(protector: KeyRing, protection: Protection):
    allowed = access(Authentication.HLS_GMAC, Ciphering.GLO, BOTH)
    read_twice(PushingLine(meter(allowed), protector, protection), settings_for(allowed))
