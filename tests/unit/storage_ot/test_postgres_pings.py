"""A connection that the server has closed is found out by the pool, whatever the driver says to it."""

import struct

import pytest
from pg8000.exceptions import InterfaceError

from amity.storage.postgres import open_postgres


class Lost:
    """What is left of a connection when its server is gone."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def cursor(self) -> "Lost":
        return self

    def execute(self, _statement: str) -> None:
        raise self._error

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "error", [ConnectionResetError(104, "Connection reset by peer"), struct.error("unpack requires 5 bytes")]
)
def test_a_reset_connection_is_told_as_the_drivers_own_error(error: Exception) -> None:
    """The pool connects anew only for those; anything else once ended a head-end when its server was restarted."""
    engine = open_postgres("postgresql://amity@127.0.0.1:1/amity")
    with pytest.raises(InterfaceError):
        engine.dialect.do_ping(Lost(error))
