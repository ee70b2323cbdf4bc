"""A meter that collects an image: blocks in any order, verification and activation that take their time."""

from datetime import timedelta

import pytest

from amity.devices.cosem.image import Image, ImageStatus
from amity.devices.equipment.image_store import ImageStore, image_transfer
from amity.kernel.errors import ConfigurationError
from amity.protocols.dlms.data import (
    Data,
    array,
    bit_string,
    boolean,
    double_long_unsigned,
    enum,
    integer,
    natural,
    octet_string,
    structure,
)
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from tests.unit.devices.conversing import NOW

IMAGE = Image(b"FW-2", bytes(range(10)))
GOOD, OTHER, LATER = ActionResult.SUCCESS, ActionResult.OTHER_REASON, ActionResult.TEMPORARY_FAILURE


class Firmware:
    """Takes images that begin with a zero; remembers what was put into force."""

    def __init__(self, *, starts: bool = True) -> None:
        self.active: Image | None = None
        self.starts = starts

    def verify(self, image: Image) -> bytes | None:
        return b"sound" if image.octets[0] == 0 else None

    def activate(self, image: Image, _now: object) -> bool:
        self.active = image if self.starts else None
        return self.starts

    def store(self, **times: int) -> ImageStore:
        return ImageStore(self.verify, self.activate, block_octets=4, **times)


def fill(store: ImageStore, image: Image = IMAGE) -> None:
    assert store.initiate(image.identifier, len(image.octets), NOW) is GOOD
    for number in range(image.block_count(4)):
        assert store.take(number, image.block(number, 4)) is GOOD


def test_an_image_is_collected_verified_and_activated():
    firmware = Firmware()
    store = firmware.store()
    fill(store)
    assert store.verify(NOW) is GOOD
    assert [(info.size_octets, info.identification, info.signature) for info in store.info] == [(10, b"FW-2", b"sound")]
    assert firmware.active is None
    assert store.activate(NOW) is GOOD
    assert firmware.active == IMAGE
    assert store.status is ImageStatus.ACTIVATION_SUCCESSFUL


def test_it_knows_which_blocks_it_misses():
    store = Firmware().store()
    store.initiate(b"FW", 10, NOW)
    assert (store.first_missing, store.arrived) == (0, "000")
    store.take(0, bytes(4))
    store.take(2, bytes(2))
    assert (store.first_missing, store.arrived) == (1, "101")
    assert store.verify(NOW) is OTHER
    assert store.status is ImageStatus.INITIATED
    store.take(1, bytes(4))
    assert (store.first_missing, store.arrived) == (3, "111")


@pytest.mark.parametrize(
    ("number", "octets", "result"),
    [
        (3, bytes(4), OTHER),
        (-1, bytes(4), OTHER),
        (0, bytes(3), ActionResult.TYPE_UNMATCHED),
        (2, bytes(4), ActionResult.TYPE_UNMATCHED),
    ],
)
def test_a_block_that_does_not_belong_changes_nothing(number: int, octets: bytes, result: ActionResult):
    store = Firmware().store()
    store.initiate(b"FW", 10, NOW)
    assert store.take(number, octets) is result
    assert store.arrived == "000"


def test_an_image_that_is_not_sound_is_never_activated():
    firmware = Firmware()
    store = firmware.store()
    fill(store, Image(b"BAD", b"\x01" * 10))
    assert store.verify(NOW) is OTHER
    assert store.status is ImageStatus.VERIFICATION_FAILED
    assert store.activate(NOW) is OTHER
    assert firmware.active is None
    assert store.info == ()


def test_verifying_and_activating_take_their_time():
    firmware = Firmware()
    store = firmware.store(verification_s=30, activation_s=60)
    fill(store)
    assert store.verify(NOW) is LATER
    assert store.verify(NOW + timedelta(seconds=29)) is LATER
    assert store.verify(NOW + timedelta(seconds=30)) is GOOD
    begun = NOW + timedelta(seconds=40)
    assert store.activate(begun) is LATER
    store.advance(begun + timedelta(seconds=59))
    assert firmware.active is None
    store.advance(begun + timedelta(seconds=60))
    assert firmware.active == IMAGE


def test_an_image_that_does_not_start_is_reported():
    store = Firmware(starts=False).store()
    fill(store)
    store.verify(NOW)
    assert store.activate(NOW) is OTHER
    assert store.status is ImageStatus.ACTIVATION_FAILED


def test_beginning_anew_forgets_everything():
    store = Firmware().store()
    fill(store)
    store.verify(NOW)
    store.initiate(b"FW-3", 4, NOW)
    assert (store.status, store.arrived, store.info) == (ImageStatus.INITIATED, "0", ())


def test_another_image_waits_until_this_one_is_verified_or_activated():
    firmware = Firmware()
    store = firmware.store(verification_s=30, activation_s=60)
    fill(store)
    store.verify(NOW)
    assert store.initiate(b"FW-3", 4, NOW + timedelta(seconds=29)) is LATER
    assert store.status is ImageStatus.VERIFICATION_INITIATED
    activated = NOW + timedelta(seconds=30)
    assert store.activate(activated) is OTHER
    assert store.verify(activated) is GOOD
    assert store.activate(activated) is LATER
    assert store.initiate(b"FW-3", 4, activated + timedelta(seconds=59)) is LATER
    assert firmware.active is None
    assert store.initiate(b"FW-3", 4, activated + timedelta(seconds=60)) is GOOD
    assert firmware.active == IMAGE
    assert store.status is ImageStatus.INITIATED


@pytest.mark.parametrize("size_octets", [0, 1 << 30])
def test_no_image_is_that_large(size_octets: int):
    assert Firmware().store().initiate(b"FW", size_octets, NOW) is OTHER


def test_an_image_has_octets():
    with pytest.raises(ConfigurationError):
        Image(b"FW", b"")


def test_the_object_shows_and_fills_the_store():
    shown = image_transfer(Firmware().store())
    assert shown.act(1, structure(octet_string(b"FW-2"), double_long_unsigned(6)), NOW).result is GOOD
    block = structure(double_long_unsigned(1), octet_string(b"ab"))
    assert shown.act(2, block, NOW).result is GOOD
    values = [shown.attribute(index, None, NOW) for index in range(2, 8)]
    assert values == [
        double_long_unsigned(4), bit_string("01"), double_long_unsigned(0), boolean(True), enum(1), array(()),
    ]  # fmt: skip
    assert shown.act(2, structure(double_long_unsigned(0), octet_string(bytes(4))), NOW).result is GOOD
    assert [shown.act(index, integer(0), NOW).result for index in (3, 4)] == [GOOD, GOOD]
    assert natural(shown.attribute(7, None, NOW)) == [[6, b"FW-2", b"sound"]]


@pytest.mark.parametrize(
    ("method", "parameter", "result"),
    [
        (1, structure(octet_string(b"FW")), OTHER),
        (1, structure(octet_string(b"FW"), octet_string(b"6")), OTHER),
        (2, structure(octet_string(b"0"), octet_string(b"")), OTHER),
        (2, array(()), ActionResult.TYPE_UNMATCHED),
        (2, None, ActionResult.TYPE_UNMATCHED),
    ],
)
def test_a_parameter_that_means_nothing_is_refused(method: int, parameter: Data | None, result: ActionResult):
    assert image_transfer(Firmware().store()).act(method, parameter, NOW).result is result


def test_a_store_that_is_switched_off_takes_nothing_and_stays_on_while_it_works():
    store = Firmware().store(verification_s=30)
    shown = image_transfer(store)
    assert shown.set_attribute(5, None, boolean(False), NOW) is DataAccessResult.SUCCESS
    assert store.initiate(b"FW", 10, NOW) is OTHER
    shown.set_attribute(5, None, boolean(True), NOW)
    fill(store)
    store.verify(NOW)
    assert shown.set_attribute(5, None, boolean(False), NOW) is DataAccessResult.OTHER_REASON
