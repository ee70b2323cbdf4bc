"""What a meter has said before, so that no recorded session is ever taken for a new one, also after a restart."""

from hashlib import sha256
from typing import Final

from amity.devices.freshness import Received
from amity.headend.ports import Heard

_NAME_OCTETS: Final = 8


class Hearing:
    """The highest invocation counter that one meter used under the key valid now; a new key has it start anew.

    Numbers of other keys and of signatures only rise, and last as long as this program runs.
    """

    def __init__(self) -> None:
        self.received = Received()
        self._key_name = b""
        self._kept: Heard | None = None

    def resume(self, kept: Heard | None) -> None:
        """Go on where the disk says that earlier sessions ended, if they were under this key; never goes back."""
        self._kept = kept
        self._catch_up()

    def under(self, key: bytes) -> None:
        """From now on the meter speaks under this encryption key; empty where it has none."""
        name = key_name(key)
        if name != self._key_name:
            self.received.counter, self._key_name = -1, name
        self._catch_up()

    @property
    def heard(self) -> Heard | None:
        """What the disk is to keep; None where nothing came under a key."""
        counter = self.received.counter
        return Heard(self._key_name, counter) if self._key_name and counter >= 0 else None

    def _catch_up(self) -> None:
        if self._kept is not None and self._kept.key_name == self._key_name:
            self.received.counter = max(self.received.counter, self._kept.counter)


def key_name(key: bytes) -> bytes:
    """What tells keys apart and gives nothing of them away: keys are random, and this is far shorter than they are."""
    return sha256(b"amity key name" + key).digest()[:_NAME_OCTETS] if key else b""
