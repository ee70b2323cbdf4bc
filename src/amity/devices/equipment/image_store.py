"""Where a meter collects an image block by block, verifies and activates it (class 18)."""

from collections.abc import Callable
from datetime import datetime, timedelta

from amity.devices.cosem import fields
from amity.devices.cosem.image import IMAGE_TRANSFER_OBIS, Image, ImageInfo, ImageStatus
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import IMAGE_TRANSFER
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, bit_string, boolean, double_long_unsigned, enum
from amity.protocols.dlms.results import ActionResult

Verify = Callable[[Image], bytes | None]
"""The signature of an image that is sound and meant for this meter, None for any other."""

Activate = Callable[[Image, datetime], bool]
"""Puts an image into force; False when it does not start."""

_BLOCKS_MAX = 1 << 16
_TRANSFERABLE = frozenset({ImageStatus.INITIATED})
_VERIFIABLE = frozenset({ImageStatus.INITIATED, ImageStatus.VERIFICATION_FAILED})
_ACTIVATABLE = frozenset({ImageStatus.VERIFICATION_SUCCESSFUL})


class ImageStore:
    """One image on its way in.

    Args:
        verify: says whether an image may be used.
        activate: puts a verified image into force.
        block_octets: the size of every block but the last.
        verification_s: how long verifying takes; while it does, asking again is a temporary failure.
        activation_s: how long activating takes.
    """

    def __init__(
        self,
        verify: Verify,
        activate: Activate,
        *,
        block_octets: int = 256,
        verification_s: int = 0,
        activation_s: int = 0,
    ) -> None:
        self.block_octets = block_octets
        self.enabled = True
        self.status = ImageStatus.NOT_INITIATED
        self.info: tuple[ImageInfo, ...] = ()
        self._verify = verify
        self._activate = activate
        self._lasts = {
            ImageStatus.VERIFICATION_INITIATED: timedelta(seconds=verification_s),
            ImageStatus.ACTIVATION_INITIATED: timedelta(seconds=activation_s),
        }
        self._begun_at: datetime | None = None
        self._identifier = b""
        self._octets = bytearray()
        self._arrived: list[bool] = []

    @property
    def busy(self) -> bool:
        """True while an image is being verified or activated."""
        return self._begun_at is not None

    @property
    def first_missing(self) -> int:
        """The first block that has not arrived, the number of blocks when all have."""
        return next((number for number, here in enumerate(self._arrived) if not here), len(self._arrived))

    @property
    def arrived(self) -> str:
        """One `1` for each block that has arrived, `0` for each that has not."""
        return "".join("1" if here else "0" for here in self._arrived)

    def initiate(self, identifier: bytes, size_octets: int, now: datetime) -> ActionResult:
        """Begin anew; whatever was there before is gone. Temporary-failure while an image is verified or activated."""
        self.advance(now)
        if self.busy:
            return ActionResult.TEMPORARY_FAILURE
        if not self.enabled or not 0 < size_octets <= self.block_octets * _BLOCKS_MAX:
            return ActionResult.OTHER_REASON
        self._identifier, self._octets = identifier, bytearray(size_octets)
        self._arrived = [False] * -(-size_octets // self.block_octets)
        self.info = ()
        self.status = ImageStatus.INITIATED
        return ActionResult.SUCCESS

    def take(self, number: int, octets: bytes) -> ActionResult:
        """Keep a block; one that came before is written again."""
        if not self.enabled or self.status not in _TRANSFERABLE or not 0 <= number < len(self._arrived):
            return ActionResult.OTHER_REASON
        start = number * self.block_octets
        if len(octets) != min(self.block_octets, len(self._octets) - start):
            return ActionResult.TYPE_UNMATCHED
        self._octets[start : start + len(octets)] = octets
        self._arrived[number] = True
        return ActionResult.SUCCESS

    def verify(self, now: datetime) -> ActionResult:
        """Begin to verify, or say how it went; temporary-failure while it lasts."""
        if self.status in _VERIFIABLE and all(self._arrived):
            self._begin(ImageStatus.VERIFICATION_INITIATED, now)
        self.advance(now)
        return self._answer(ImageStatus.VERIFICATION_INITIATED, ImageStatus.VERIFICATION_SUCCESSFUL)

    def activate(self, now: datetime) -> ActionResult:
        """Begin to activate a verified image, or say how it went; temporary-failure while it lasts."""
        if self.status in _ACTIVATABLE:
            self._begin(ImageStatus.ACTIVATION_INITIATED, now)
        self.advance(now)
        return self._answer(ImageStatus.ACTIVATION_INITIATED, ImageStatus.ACTIVATION_SUCCESSFUL)

    def advance(self, now: datetime) -> None:
        """Finish what was begun and has lasted long enough."""
        if self._begun_at is None or now < self._begun_at + self._lasts[self.status]:
            return
        self._begun_at = None
        image = Image(self._identifier, bytes(self._octets))
        if self.status is ImageStatus.VERIFICATION_INITIATED:
            self._verified(image, self._verify(image))
        else:
            done = self._activate(image, now)
            self.status = ImageStatus.ACTIVATION_SUCCESSFUL if done else ImageStatus.ACTIVATION_FAILED

    def _begin(self, status: ImageStatus, now: datetime) -> None:
        self.status, self._begun_at = status, now

    def _verified(self, image: Image, signature: bytes | None) -> None:
        if signature is None:
            self.status = ImageStatus.VERIFICATION_FAILED
            return
        self.info = (ImageInfo(len(image.octets), image.identifier, signature),)
        self.status = ImageStatus.VERIFICATION_SUCCESSFUL

    def _answer(self, lasting: ImageStatus, done: ImageStatus) -> ActionResult:
        if self.status is lasting:
            return ActionResult.TEMPORARY_FAILURE
        return ActionResult.SUCCESS if self.status is done else ActionResult.OTHER_REASON


def image_transfer(store: ImageStore, obis: Obis = IMAGE_TRANSFER_OBIS) -> StoredObject:
    """Class 18: the store as the head-end sees and fills it."""

    def initiate(value: Data, now: datetime) -> ActionResult:
        identifier, size = fields.parts(value, 2, "image_transfer_initiate")
        return store.initiate(fields.octets(identifier, "image identifier"), fields.number(size, "image size"), now)

    def take(value: Data, _now: datetime) -> ActionResult:
        number, octets = fields.parts(value, 2, "image_block_transfer")
        return store.take(fields.number(number, "block number"), fields.octets(octets, "block"))

    def enable(value: Data, _now: datetime) -> None:
        if store.busy:
            raise RemoteProtocolError("the image is being verified or activated")
        store.enabled = fields.flag(value, "image_transfer_enabled")

    def status(now: datetime) -> Data:
        store.advance(now)
        return enum(store.status)

    def info(now: datetime) -> Data:
        store.advance(now)
        return array(entry.to_data() for entry in store.info)

    return StoredObject(
        IMAGE_TRANSFER,
        obis,
        {
            "image_block_size": double_long_unsigned(store.block_octets),
            "image_transferred_blocks_status": lambda _now: bit_string(store.arrived),
            "image_first_not_transferred_block_number": lambda _now: double_long_unsigned(store.first_missing),
            "image_transfer_enabled": lambda _now: boolean(store.enabled),
            "image_transfer_status": status,
            "image_to_activate_info": info,
        },
        accept={"image_transfer_enabled": enable},
        methods={
            "image_transfer_initiate": initiate,
            "image_block_transfer": take,
            "image_verify": lambda _, now: store.verify(now),
            "image_activate": lambda _, now: store.activate(now),
        },
    )
