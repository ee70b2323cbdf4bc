"""A broker that cannot write says nothing itself: the error tells how its disk is."""

import shutil
from pathlib import Path
from typing import NamedTuple

import nats.errors
import nats.js.errors
import pytest

from amity.kernel.errors import AmityError, LocalProtocolError
from amity.messaging.access import OT, SUBJECT, Access
from amity.messaging.broker import JetStreamPublisher
from amity.messaging.nats_server import BrokerFolder


class Usage(NamedTuple):
    total: int
    used: int
    free: int


async def refused(monkeypatch: pytest.MonkeyPatch, folder: BrokerFolder, refusal: Exception) -> AmityError:
    """What a publisher raises when the library raises this for each message."""

    async def publish_once(*_: object) -> None:
        raise refusal

    publisher = JetStreamPublisher(
        Access(folder.url, OT, ""), give_up_s=0.01, chance=lambda: 0.0, disk_words=folder.disk_words
    )
    monkeypatch.setattr(publisher, "_publish_once", publish_once)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10_000, 9_488, 512))
    with pytest.raises(AmityError) as caught:
        await publisher.publish(SUBJECT, "a", b"a")
    return caught.value


@pytest.mark.parametrize(
    "refusal", [nats.errors.TimeoutError(), nats.js.errors.APIError(code=500, err_code=10077, description="store")]
)
async def test_a_full_disk_is_told_with_its_free_octets_and_the_last_complaint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refusal: Exception
) -> None:
    (tmp_path / "nats-server.log").write_text(
        "[1] [INF] Server is ready\n[1] [ERR] failed to store a msg: no space left on device\n[1] [INF] bye\n"
    )
    error = await refused(monkeypatch, BrokerFolder(tmp_path, 4222), refusal)
    assert f"the disk of {tmp_path} has 512 octets free" in str(error.answer)
    assert "no space left on device" in str(error.answer)
    assert "bye" not in str(error.answer)
    assert "disk" in str(error.what) + str(error.next_step)


async def test_a_message_that_is_too_large_has_nothing_to_do_with_the_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = await refused(monkeypatch, BrokerFolder(tmp_path, 4222), nats.errors.MaxPayloadError())
    assert isinstance(error, LocalProtocolError)
    assert error.answer is None


def test_a_folder_that_is_gone_is_told_too(tmp_path: Path) -> None:
    assert "No such file" in BrokerFolder(tmp_path / "gone", 4222).disk_words()
