"""Bringing an image into a meter, in steps that may be far apart (class 18; IEC 62056-6-2, 4.4.6).

Each step is a conversation of its own, so that readings can come between them and a lost connection costs one block:

    begin_image          once; the meter forgets what it had
    send_image_blocks    as often as needed; each run starts at the first block that the meter misses
    verify_image         until the meter has an answer
    activate_image       until the meter has an answer
"""

from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.reading import get_list
from amity.devices.client.refusals import MethodRefusedError
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.image import IMAGE_TRANSFER_OBIS, Image, ImageInfo, ImageStatus
from amity.devices.interface_classes import IMAGE_TRANSFER
from amity.kernel.errors import RemoteProtocolError, RemoteRefusalError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import ActionResult, DataAccessResult
from amity.protocols.dlms.data import double_long_unsigned, octet_string, structure

_SENDINGS_MAX = 3  # of one block that the meter reports as taken and then as missing
_DONE_VERIFYING = frozenset({ImageStatus.VERIFICATION_SUCCESSFUL, ImageStatus.ACTIVATION_SUCCESSFUL})


class ImageRefusedError(RemoteRefusalError):
    """The meter does not take, does not verify or does not activate an image; `status` is what it says of it."""

    def __init__(self, what: str, status: ImageStatus, *, next_step: str) -> None:
        answer = f"image transfer status {status.name.lower().replace('_', ' ')}"
        super().__init__(what, tried="image transfer", answer=answer, next_step=next_step)
        self.status = status


class ImageProgress(NamedTuple):
    """How far a transfer has come; `first_missing` is `block_count` when everything has arrived."""

    status: ImageStatus
    enabled: bool
    block_octets: int
    first_missing: int


def read_image_progress(session: Session, obis: Obis = IMAGE_TRANSFER_OBIS) -> Conversation[ImageProgress]:
    """How far the transfer has come, as the meter sees it."""
    status, enabled, size, missing = yield from named.read(
        session, IMAGE_TRANSFER, obis,
        "image_transfer_status", "image_transfer_enabled", "image_block_size",
        "image_first_not_transferred_block_number",
    )  # fmt: skip
    block_octets = fields.number(size, "image block size")
    if block_octets < 1:
        raise RemoteProtocolError("the meter says that image blocks have no octets", tried="GET image_block_size")
    return ImageProgress(
        fields.member(ImageStatus, status, "image transfer status"),
        fields.flag(enabled, "image_transfer_enabled"),
        block_octets,
        fields.number(missing, "block number"),
    )


def read_image_info(session: Session, obis: Obis = IMAGE_TRANSFER_OBIS) -> Conversation[tuple[ImageInfo, ...]]:
    """What a verified image holds, as the meter understands it; empty before it is verified."""
    (listed,) = yield from named.read(session, IMAGE_TRANSFER, obis, "image_to_activate_info")
    return fields.elements(listed, ImageInfo.from_data, "image_to_activate_info")


def begin_image(session: Session, image: Image, obis: Obis = IMAGE_TRANSFER_OBIS) -> Conversation[ImageProgress]:
    """Announce an image; the meter forgets one that was begun before.

    Raises:
        ImageRefusedError: image transfer is switched off in this meter.
        MethodRefusedError: the meter does not want this image.
    """
    progress = yield from read_image_progress(session, obis)
    if not progress.enabled:
        raise ImageRefusedError(
            "image transfer is not enabled in this meter",
            progress.status,
            next_step=f"write true to {named.attribute(IMAGE_TRANSFER, obis, 'image_transfer_enabled')}",
        )
    announced = structure(octet_string(image.identifier), double_long_unsigned(len(image.octets)))
    yield from named.call(session, IMAGE_TRANSFER, obis, "image_transfer_initiate", announced)
    return (yield from read_image_progress(session, obis))


def send_image_blocks(
    session: Session, image: Image, *, blocks_max: int | None = None, obis: Obis = IMAGE_TRANSFER_OBIS
) -> Conversation[ImageProgress]:
    """Send blocks that the meter misses, from the first one on, `blocks_max` of them or all; say how far it came.

    It may be called again after any interruption, also in another association. Until it has verified an image a meter
    does not say which one it is taking: one of another number of blocks is found out here, one of the same number by
    `verify_image`.

    Raises:
        ImageRefusedError: no transfer is under way, or one of another image.
        RemoteProtocolError: a block never arrives though the meter takes it.
    """
    progress = yield from read_image_progress(session, obis)
    if progress.status is not ImageStatus.INITIATED:
        raise ImageRefusedError("no image transfer is under way", progress.status, next_step="begin the image anew")
    count, left = image.block_count(progress.block_octets), blocks_max
    for _ in range(_SENDINGS_MAX):
        missing = yield from _missing_blocks(session, progress, count, obis)
        for number in missing[:left]:
            yield from _send(session, image, number, progress.block_octets, obis)
        left = None if left is None else left - len(missing[:left])
        progress = yield from read_image_progress(session, obis)
        if progress.first_missing >= count or left == 0:
            return progress
    raise RemoteProtocolError(
        f"the meter took block {progress.first_missing} {_SENDINGS_MAX} times and still misses it",
        tried="image_block_transfer",
        next_step="begin the image anew",
    )


def verify_image(session: Session, obis: Obis = IMAGE_TRANSFER_OBIS) -> Conversation[bool]:
    """Have the image verified; True when it is sound, False while the meter is still at it: ask again later.

    Raises ImageRefusedError when the image is not sound, or is not complete.
    """
    status = yield from _step(session, "image_verify", obis, ImageStatus.INITIATED)
    if status in _DONE_VERIFYING:
        return True
    if status is ImageStatus.VERIFICATION_INITIATED:
        return False
    raise ImageRefusedError(
        "the meter holds no image that it finds sound",
        status,
        next_step="check that the image is meant for this model, then begin it anew",
    )


def activate_image(session: Session, obis: Obis = IMAGE_TRANSFER_OBIS) -> Conversation[bool]:
    """Put a verified image into force; True when it is, False while the meter is still at it: ask again later.

    Many meters restart and close the association; ask in a new one. Raises ImageRefusedError when it does not start.
    """
    status = yield from _step(session, "image_activate", obis, ImageStatus.VERIFICATION_SUCCESSFUL)
    if status is ImageStatus.ACTIVATION_SUCCESSFUL:
        return True
    if status is ImageStatus.ACTIVATION_INITIATED:
        return False
    raise ImageRefusedError("the meter does not activate the image", status, next_step="verify the image first")


# ------------------------------------------------------------------ steps
def _missing_blocks(session: Session, progress: ImageProgress, count: int, obis: Obis) -> Conversation[list[int]]:
    """The blocks from the first missing one on that have not arrived; a meter without a map of them is sent all."""
    status = named.attribute(IMAGE_TRANSFER, obis, "image_transferred_blocks_status")
    (answer,) = yield from get_list(session, [status])
    arrived = "" if isinstance(answer, DataAccessResult) else fields.bits(answer, "image_transferred_blocks_status")
    expected = len(arrived) or max(progress.first_missing, count)
    if expected != count:
        raise ImageRefusedError(
            f"the meter is taking another image: it wants {expected} blocks of {progress.block_octets} octets, "
            f"this one makes {count}",
            progress.status,
            next_step="go on with the image that was begun, or begin this one",
        )
    return [number for number in range(progress.first_missing, count) if arrived[number : number + 1] != "1"]


def _send(session: Session, image: Image, number: int, block_octets: int, obis: Obis) -> Conversation[None]:
    block = structure(double_long_unsigned(number), octet_string(image.block(number, block_octets)))
    for sending in range(1, _SENDINGS_MAX + 1):
        try:
            yield from named.call(session, IMAGE_TRANSFER, obis, "image_block_transfer", block)
        except MethodRefusedError as refusal:
            if refusal.result is not ActionResult.TEMPORARY_FAILURE or sending == _SENDINGS_MAX:
                raise
        else:
            return


def _step(session: Session, method: str, obis: Obis, start: ImageStatus) -> Conversation[ImageStatus]:
    """Ask for a step where it begins, otherwise see how far it has come: the status says how it went."""
    progress = yield from read_image_progress(session, obis)
    if progress.status is start:
        try:
            yield from named.call(session, IMAGE_TRANSFER, obis, method)
        except MethodRefusedError as refusal:
            if refusal.result in {ActionResult.READ_WRITE_DENIED, ActionResult.OBJECT_UNDEFINED}:
                raise
        progress = yield from read_image_progress(session, obis)
    return progress.status
