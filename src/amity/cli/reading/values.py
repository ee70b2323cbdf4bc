"""Values of a meter as a person reads them: text, times, numbers with their scaler; nothing that moves a terminal."""

from decimal import Decimal
from typing import Any

from amity.devices.readout import ScalerUnit
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.units import Unit
from amity.protocols.dlms.data import Data, to_json
from amity.protocols.dlms.datetime import OCTETS as DATE_TIME_OCTETS
from amity.protocols.dlms.datetime import CosemDateTime


def printable(text: str) -> str:
    """Text from a meter without what a terminal would obey: control characters become their escapes."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def shown(data: Data) -> Any:
    """Text where octets are text, a time where they are one, otherwise JSON with the types' names."""
    value = data.value
    if isinstance(value, bytes):
        return shown_octets(value)
    if isinstance(value, str):
        return printable(value)
    return value if isinstance(value, int | float | None) else to_json(data)


def shown_octets(value: bytes) -> str:
    """A date-time, a text, or hexadecimal."""
    if len(value) == DATE_TIME_OCTETS:
        try:
            return str(CosemDateTime.from_octets(value))
        except RemoteProtocolError:
            return value.hex()
    return value.decode() if value.isascii() and value.decode().isprintable() else value.hex()


def scaled(raw: int, scale: ScalerUnit) -> int | float | str:
    """The number in its unit; as text where neither an integer nor a float of a sensible size holds it."""
    number = Decimal(raw).scaleb(scale.scaler)
    if abs(scale.scaler) > 30:  # noqa: PLR2004 - quetta and quecto: beyond that no quantity is meant
        return f"{raw} x 10^{scale.scaler}"
    return int(number) if number == number.to_integral_value() else float(number)


def symbol(scale: ScalerUnit) -> str:
    """The unit's symbol, its code where we know none."""
    try:
        return Unit(scale.unit).symbol
    except ValueError:
        return f"unit {scale.unit}"
