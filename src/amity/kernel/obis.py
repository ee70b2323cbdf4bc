"""OBIS codes (IEC 62056-6-1): six value groups A-B:C.D.E*F that name what a value measures."""

import re
from functools import lru_cache
from typing import Self

from amity.kernel.errors import ConfigurationError

_DOTTED = re.compile(r"\d{1,3}(?:\.\d{1,3}){5}")
_LENGTH = 6


class Obis(bytes):
    """Six octets, hashable and ordered; `str()` gives the dotted form `1.0.1.8.0.255`."""

    __slots__ = ()

    def __new__(cls, octets: bytes) -> Self:
        """Raise ConfigurationError when there are not exactly six octets."""
        if len(octets) != _LENGTH:
            raise ConfigurationError(
                f"an OBIS code has 6 octets, not {len(octets)}: {octets.hex()}",
                next_step="write it as six numbers with dots, for example 1.0.1.8.0.255",
            )
        return super().__new__(cls, octets)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1.0.1.8.0.255` (also `1-0:1.8.0*255`); raise ConfigurationError when it is not one."""
        dotted = re.sub(r"[-:*]", ".", text.strip())
        groups = [int(group) for group in dotted.split(".")] if _DOTTED.fullmatch(dotted) else []
        if not groups or max(groups) > 0xFF:  # noqa: PLR2004 - an octet
            raise ConfigurationError(
                f"{text!r} is not an OBIS code",
                next_step="write it as six numbers from 0 to 255 with dots, for example 1.0.1.8.0.255",
            )
        return cls(bytes(groups))

    def __str__(self) -> str:
        """The dotted form."""
        return _dotted(bytes(self))

    def __repr__(self) -> str:
        """`Obis(1.0.1.8.0.255)`."""
        return f"Obis({self})"


@lru_cache(maxsize=4096)
def _dotted(octets: bytes) -> str:
    return ".".join(map(str, octets))
