"""Column types that both databases hold alike: instants as microseconds, OBIS codes as octets, tuples as JSON."""

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, LargeBinary, String, TypeDecorator

from amity.kernel.obis import Obis
from amity.kernel.time import EPOCH

MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00Z; raise TypeError (from datetime) for a naive instant."""
    return (instant - EPOCH) // MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware instant as int64 microseconds since 1970-01-01T00:00Z: exact, ordered, the same in every dialect."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - its signature
        """Raise TypeError (from datetime) for a naive instant."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        """The instant in UTC."""
        return None if value is None else EPOCH + value * MICROSECOND


class ObisCode(TypeDecorator[Obis]):
    """An OBIS code as its six octets."""

    impl = LargeBinary(6)
    cache_ok = True

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Obis | None:  # noqa: ARG002 - its signature
        """The code."""
        return None if value is None else Obis(value)


class JsonTuple(TypeDecorator[tuple[Any, ...]]):
    """A short tuple of texts or numbers as JSON."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: tuple[Any, ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - its signature
        """As a JSON array."""
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Any, ...] | None:  # noqa: ARG002 - its signature
        """As a tuple again."""
        return None if value is None else tuple(json.loads(value))
