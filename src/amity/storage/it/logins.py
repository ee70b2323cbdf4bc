"""The LoginStore: one-time tokens and sessions as hashes; nothing in it opens a door."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from amity.storage.dialect import insert_or_ignore
from amity.storage.it import tables
from amity.storage.transactions import Transactions


class SqlLoginStore:
    """Tokens and sessions in the tables `login_token` and `login_session`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add_token(self, token_hash: bytes, person: str, expires_at: datetime) -> None:
        """Remember a token that was handed out."""
        token = {"token_hash": token_hash, "person": person, "expires_at": expires_at}
        with self._transactions.write() as connection:
            connection.execute(insert_or_ignore(connection, tables.login_token), token)

    def use_token(self, token_hash: bytes, now: datetime) -> str | None:
        """Spend the token; return its person, or None when unknown, spent or expired.

        Spending deletes, in one statement: of two who hold the same token, one gets in.
        """
        token = tables.login_token.c
        with self._transactions.write() as connection:
            _forget_expired(connection, now)
            spent = delete(tables.login_token).where(token.token_hash == token_hash).returning(token.person)
            return connection.execute(spent).scalar_one_or_none()

    def add_session(self, session_hash: bytes, person: str, expires_at: datetime) -> None:
        """Remember a session."""
        session = {"session_hash": session_hash, "person": person, "expires_at": expires_at}
        with self._transactions.write() as connection:
            connection.execute(insert_or_ignore(connection, tables.login_session), session)

    def session(self, session_hash: bytes, now: datetime) -> str | None:
        """The person of a live session."""
        session = tables.login_session.c
        live = select(session.person).where(session.session_hash == session_hash, session.expires_at > now)
        with self._transactions.read() as connection:
            return connection.execute(live).scalar_one_or_none()

    def end_session(self, session_hash: bytes) -> None:
        """Forget a session: its secret opens nothing from now on."""
        session = tables.login_session.c
        with self._transactions.write() as connection:
            connection.execute(delete(tables.login_session).where(session.session_hash == session_hash))


def _forget_expired(connection: Connection, now: datetime) -> None:
    for table in (tables.login_token, tables.login_session):
        connection.execute(delete(table).where(table.c.expires_at <= now))
