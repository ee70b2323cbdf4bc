"""The real clock and the real source of chance: the only places where they enter."""

import os
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant in aware UTC."""
        return datetime.now(UTC)


def random_octets(count: int) -> bytes:
    """Octets from the operating system's cryptographic source."""
    return os.urandom(count)
