"""Bringing an image into a meter: whole, interrupted, with lost blocks, and what the meter may refuse."""

import pytest

from amity.devices.client import MethodRefusedError
from amity.devices.client.image_transfer import (
    ImageRefusedError,
    activate_image,
    begin_image,
    read_image_info,
    read_image_progress,
    send_image_blocks,
    verify_image,
)
from amity.devices.cosem.image import Image, ImageStatus
from amity.devices.equipment.image_store import ImageStore, image_transfer
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.results import ActionResult
from tests.unit.devices.equipped import READING, EquippedMeter, Visit

IMAGE = Image(b"FW-2", bytes(number % 251 for number in range(1000)))
BLOCKS = 16


class Store(ImageStore):
    """Takes images that begin with a zero; forgets each block the first so many times it is sent."""

    def __init__(
        self, *, forgets: dict[int, int] | None = None, busy: int = 0, block_octets: int = 64, **times: int
    ) -> None:
        super().__init__(self._check, self._put_into_force, block_octets=block_octets, **times)
        self.active: list[bytes] = []
        self.sent: list[int] = []
        self._forgets = forgets or {}
        self._busy = busy

    def take(self, number: int, octets: bytes) -> ActionResult:
        self.sent.append(number)
        if self._busy:
            self._busy -= 1
            return ActionResult.TEMPORARY_FAILURE
        if self._forgets.get(number, 0):
            self._forgets[number] -= 1
            return ActionResult.SUCCESS
        return super().take(number, octets)

    def _check(self, image: Image) -> bytes | None:
        return b"ok" if image.octets[0] == 0 else None

    def _put_into_force(self, image: Image, _now: object) -> bool:
        self.active.append(image.octets)
        return True


def visited(store: Store, **limits: object) -> tuple[EquippedMeter, Visit]:
    meter = EquippedMeter([image_transfer(store)], **limits)
    return meter, meter.visit()


def test_an_image_goes_in_and_into_force():
    store = Store()
    _, visit = visited(store)
    begun = visit.lead(begin_image(visit.session, IMAGE))
    assert (begun.status, begun.first_missing, begun.block_octets) == (ImageStatus.INITIATED, 0, 64)
    assert visit.lead(send_image_blocks(visit.session, IMAGE)).first_missing == BLOCKS
    assert visit.lead(verify_image(visit.session))
    (info,) = visit.lead(read_image_info(visit.session))
    assert info == (1000, b"FW-2", b"ok")
    assert store.active == []
    assert visit.lead(activate_image(visit.session))
    assert store.active == [IMAGE.octets]
    assert store.sent == list(range(BLOCKS))


def test_a_transfer_goes_on_where_it_was_interrupted():
    store = Store()
    meter, visit = visited(store)
    visit.lead(begin_image(visit.session, IMAGE))
    assert visit.lead(send_image_blocks(visit.session, IMAGE, blocks_max=5)).first_missing == 5
    visit.leave()
    visit = meter.visit()
    assert visit.lead(send_image_blocks(visit.session, IMAGE)).first_missing == BLOCKS
    assert store.sent == list(range(BLOCKS))


@pytest.mark.parametrize("octets", [100, 900, 1100, 5000])
def test_a_transfer_of_another_image_is_not_gone_on_with(octets: int):
    store = Store()
    _, visit = visited(store)
    visit.lead(begin_image(visit.session, IMAGE))
    visit.lead(send_image_blocks(visit.session, IMAGE, blocks_max=5))
    other = Image(b"FW-3", bytes(octets))
    with pytest.raises(ImageRefusedError, match=f"{BLOCKS} blocks.* {other.block_count(64)}$") as refused:
        visit.lead(send_image_blocks(visit.session, other))
    assert "begin this one" in refused.value.next_step
    assert store.sent == [0, 1, 2, 3, 4]


def test_only_the_blocks_that_are_missing_are_sent_again():
    store = Store(forgets={3: 1, 9: 2})
    _, visit = visited(store)
    visit.lead(begin_image(visit.session, IMAGE))
    visit.lead(send_image_blocks(visit.session, IMAGE))
    assert store.sent == [*range(BLOCKS), 3, 9, 9]
    assert visit.lead(verify_image(visit.session))


def test_a_block_that_never_arrives_ends_the_transfer():
    store = Store(forgets={3: 99})
    _, visit = visited(store)
    visit.lead(begin_image(visit.session, IMAGE))
    with pytest.raises(RemoteProtocolError, match="block 3"):
        visit.lead(send_image_blocks(visit.session, IMAGE))
    assert store.sent == [*range(BLOCKS), 3, 3]


def test_a_meter_that_is_busy_for_a_moment_is_sent_the_block_again():
    store = Store(busy=2)
    _, visit = visited(store)
    visit.lead(begin_image(visit.session, IMAGE))
    visit.lead(send_image_blocks(visit.session, IMAGE))
    assert store.sent == [0, 0, *range(BLOCKS)]
    busy = Store(busy=99)
    _, visit = visited(busy)
    visit.lead(begin_image(visit.session, IMAGE))
    with pytest.raises(MethodRefusedError, match="temporary-failure"):
        visit.lead(send_image_blocks(visit.session, IMAGE))


def test_blocks_longer_than_the_meter_takes_at_once_go_in_parts():
    store = Store(block_octets=300)
    _, visit = visited(store, max_pdu_octets=128)
    visit.lead(begin_image(visit.session, IMAGE))
    visit.lead(send_image_blocks(visit.session, IMAGE))
    assert visit.lead(verify_image(visit.session))
    assert store.sent == [0, 1, 2, 3]


def test_verifying_and_activating_are_asked_for_again_until_they_are_done():
    store = Store(verification_s=30, activation_s=60)
    meter, visit = visited(store)
    visit.lead(begin_image(visit.session, IMAGE))
    visit.lead(send_image_blocks(visit.session, IMAGE))
    assert not visit.lead(verify_image(visit.session))
    assert not visit.lead(verify_image(visit.session))
    meter.wait(seconds=30)
    assert visit.lead(verify_image(visit.session))
    assert not visit.lead(activate_image(visit.session))
    meter.wait(seconds=60)
    assert visit.lead(activate_image(visit.session))
    assert len(store.active) == 1


def test_an_image_that_is_not_sound_is_refused():
    store = Store()
    _, visit = visited(store)
    wrong = Image(b"FW-2", b"\x01" * 100)
    visit.lead(begin_image(visit.session, wrong))
    visit.lead(send_image_blocks(visit.session, wrong))
    with pytest.raises(ImageRefusedError, match="sound") as refused:
        visit.lead(verify_image(visit.session))
    assert refused.value.status is ImageStatus.VERIFICATION_FAILED
    with pytest.raises(ImageRefusedError, match="does not activate"):
        visit.lead(activate_image(visit.session))
    assert store.active == []


def test_without_a_beginning_nothing_is_sent():
    store = Store()
    _, visit = visited(store)
    with pytest.raises(ImageRefusedError, match="under way"):
        visit.lead(send_image_blocks(visit.session, IMAGE))
    assert store.sent == []


def test_a_meter_whose_transfer_is_switched_off_is_left_alone():
    store = Store()
    store.enabled = False
    _, visit = visited(store)
    with pytest.raises(ImageRefusedError, match="not enabled"):
        visit.lead(begin_image(visit.session, IMAGE))


def test_a_client_that_only_reads_may_look_and_not_send():
    meter = EquippedMeter([image_transfer(Store())])
    visit = meter.visit(READING)
    assert visit.lead(read_image_progress(visit.session)).status is ImageStatus.NOT_INITIATED
    with pytest.raises(MethodRefusedError, match="read-write-denied"):
        visit.lead(begin_image(visit.session, IMAGE))
    with pytest.raises(ImageRefusedError, match="sound") as refused:
        visit.lead(verify_image(visit.session))
    assert refused.value.status is ImageStatus.NOT_INITIATED
