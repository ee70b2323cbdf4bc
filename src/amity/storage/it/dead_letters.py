"""The DeadLetters: messages that nobody could decode, kept with the reason, never in the way of the others."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

from sqlalchemy import select

from amity.storage.dialect import insert_or_ignore
from amity.storage.it import tables
from amity.storage.transactions import Transactions
from amity.usecases.ports import DeadLetter

_ID_OCTETS = 16


class SqlDeadLetters:
    """Undecodable messages in the table `dead_letter`, keyed by content: the same message twice is one letter."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(self, subject: str, body: bytes, *, reason: str, received_at: datetime) -> bool:
        """Keep the message as it came; False when the same one is there already."""
        letter_id = blake2b(subject.encode() + b"\0" + body, digest_size=_ID_OCTETS).digest()
        letter = {
            "letter_id": letter_id,
            "subject": subject,
            "reason": reason,
            "body": body,
            "received_at": received_at,
        }
        with self._transactions.write() as connection:
            return connection.execute(insert_or_ignore(connection, tables.dead_letter), letter).rowcount > 0

    def all(self, *, limit: int = 200) -> Sequence[DeadLetter]:
        """Dead letters, newest first."""
        letter = tables.dead_letter.c
        wanted = select(letter.subject, letter.body, letter.reason, letter.received_at)
        newest_first = wanted.order_by(letter.received_at.desc(), letter.letter_id).limit(limit)
        with self._transactions.read() as connection:
            return [DeadLetter(**row._asdict()) for row in connection.execute(newest_first)]
