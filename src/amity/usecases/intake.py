"""Messages of the broker into the IT zone: the deliveries of one together, what cannot be stored with them alone."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from amity.domain.collection import Delivery
from amity.domain.ports import DeliveryCodec
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.time import Clock
from amity.usecases.ingest import Ingested, ingest_all
from amity.usecases.ports import Arrived, Database

OnStored = Callable[[Delivery, Ingested], None]
OnLetter = Callable[[str], None]


class Intake:
    """Takes encoded deliveries in. `subject` is where they came by.

    `on_stored` is told of each once it is committed, `on_letter` of the reason of each dead letter.
    """

    def __init__(
        self,
        database: Database,
        codec: DeliveryCodec,
        clock: Clock,
        subject: str,
        *,
        on_stored: OnStored | None = None,
        on_letter: OnLetter | None = None,
    ) -> None:
        self._database = database
        self._codec = codec
        self._clock = clock
        self._subject = subject
        self._on_stored = on_stored
        self._on_letter = on_letter

    def store(self, bodies: Sequence[bytes]) -> None:
        """Store the deliveries of one message, in one transaction if that can be.

        One that can never be stored keeps no other from it: it becomes a dead letter; where it is the only one of its
        message RemoteProtocolError is raised instead. Whatever else keeps one of them out is raised when the others are
        stored: the message is to come again, and those are known then.
        """
        if len(bodies) == 1:
            self._take(bodies)
            return
        try:
            self._take(bodies)
        except Exception:  # noqa: BLE001 - what one of them brings to light must not reach the others
            self._store_singly(bodies)

    def set_aside(self, bodies: Sequence[bytes], reason: str) -> None:
        """Keep those of a message that cannot be stored as dead letters, each by itself."""
        for body in bodies:
            if len(bodies) > 1:
                with suppress(Exception):  # the others of the message are stored, or will be
                    self._take([body])
                    continue
            self._keep_letter(body, reason)

    def _store_singly(self, bodies: Sequence[bytes]) -> None:
        worst: Exception | None = None
        for body in bodies:
            try:
                self._take([body])
            except RemoteProtocolError as error:
                self._keep_letter(body, "\n".join(error.lines()))
            except Exception as error:  # noqa: BLE001 - raised when the others are stored
                worst = worst or error
        if worst is not None:
            raise worst

    def _take(self, bodies: Sequence[bytes]) -> None:
        arrived = [Arrived(self._codec.decode(body), body) for body in bodies]
        stored = ingest_all(arrived, self._database, self._clock)
        if self._on_stored is not None:
            for one, done in zip(arrived, stored, strict=True):
                self._on_stored(one.delivery, done)

    def _keep_letter(self, body: bytes, reason: str) -> None:
        self._database.dead_letters.add(self._subject, body, reason=reason, received_at=self._clock.now())
        if self._on_letter is not None:
            self._on_letter(reason)
