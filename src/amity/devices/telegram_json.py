"""A decoded telegram as JSON: frames with their checks, protection, the APDU as a tree, readings, warnings."""

import dataclasses
import math
import re
from decimal import Decimal
from enum import Enum
from typing import Any

from amity.devices.push_reading import NormalisedReading, ReadingValue, Scaling, unit_symbol
from amity.devices.telegram_carriers import FrameReport
from amity.devices.telegram_security import SecurityReport
from amity.devices.telegrams import Content, Message, Telegram
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.kernel.time import isoformat
from amity.protocols.dlms.acse import Aare, Aarq, Mechanism
from amity.protocols.dlms.apdu import (
    Conformance,
    DataNotification,
    EventNotification,
    GetResponseNormal,
    InitiateRequest,
    decode,
)
from amity.protocols.dlms.data import Data, DecodeError, to_json
from amity.protocols.dlms.datetime import OCTETS as DATE_TIME_OCTETS
from amity.protocols.dlms.datetime import CosemDateTime

_UNNAMED = "0.0.0.0.0.0"  # where other published decoders put values that the telegram does not name
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SECRETS = {InitiateRequest: "dedicated_key", Aarq: "authentication_value"}


def telegram_to_json(telegram: Telegram) -> dict[str, Any]:
    """Everything a person or a program wants to know about a capture; every value is JSON, numbers are exact.

    `readings` holds those of all messages. A reading's `value` has the telegram's own scaler applied (`raw` and
    `scaler` are as sent); `assumed` is the quantity by the maker's published list where the telegram names no unit.
    """
    return {
        "octets": len(telegram.octets),
        "frames": [_frame(frame) for frame in telegram.frames],
        "messages": [_message(message) for message in telegram.messages],
        "readings": [reading_to_json(reading) for reading in telegram.readings],
        "warnings": list(telegram.warnings),
    }


def _frame(frame: FrameReport) -> dict[str, Any]:
    return {
        "carrier": frame.carrier, "offset": frame.offset, "octets": frame.octets, "source": frame.source,
        "destination": frame.destination, "kind": frame.kind, "segmented": frame.segmented,
        "checks": dict(frame.checks),
    }  # fmt: skip


def _message(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "manufacturer": message.manufacturer,
        "time": _sent_at(message.content),
        "security": [_security(report) for report in message.security],
        "apdu": None if message.content is None else _content(message.content, message.body),
        "readings": len(message.readings),
        "warnings": list(message.warnings),
    }
    return shown if message.text is None else shown | {"text": message.text}


def _sent_at(content: Content | None) -> str | None:
    """When the meter says that it sent a notification."""
    if not isinstance(content, DataNotification | EventNotification) or not isinstance(content.time, CosemDateTime):
        return None
    return str(content.time)


def _security(report: SecurityReport) -> dict[str, Any]:
    return {
        "service": report.service, "system_title": report.system_title.hex(),
        "security_control": f"{report.security_control:02x}", "suite": report.suite,
        "authenticated": report.authenticated, "encrypted": report.encrypted,
        "invocation_counter": report.invocation_counter, "deciphered": report.deciphered,
        "verified": report.verified, "note": report.note,
    }  # fmt: skip


# ------------------------------------------------------------------ readings
def reading_to_json(reading: NormalisedReading) -> dict[str, Any]:
    """One reading; what is not known is left out."""
    number = reading.number
    shown: dict[str, Any] = {
        "obis": _UNNAMED if reading.obis is None else str(reading.obis),
        "value": _number(number) if number is not None else _value(reading.value),
    }
    if reading.scaling is not None:
        shown |= {"unit": unit_symbol(reading.scaling.unit), "raw": reading.value, "scaler": reading.scaling.scaler}
    elif reading.assumed is not None:
        shown["assumed"] = _assumed(reading, reading.assumed)
    shown |= _optional(reading)
    return shown


def _assumed(reading: NormalisedReading, assumed: Scaling) -> dict[str, Any]:
    quantity = reading.quantity
    value = None if quantity is None else _number(quantity)
    return {"value": value, "unit": unit_symbol(assumed.unit), "scaler": assumed.scaler}


def _optional(reading: NormalisedReading) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "type": None if reading.tag is None else reading.tag.label,
        "class_id": reading.class_id,
        "attribute": reading.attribute,
        "name": reading.name,
        "time": str(reading.time) if reading.time is not None else None,
        "utc": _utc(reading.value),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _utc(value: ReadingValue) -> str | None:
    """The instant of a date-time that says how far it is from UTC."""
    if not isinstance(value, CosemDateTime) or value.deviation_min is None:
        return None
    try:
        return isoformat(value.to_utc())
    except RemoteProtocolError:
        return None


def _number(number: Decimal) -> int | float | str:
    """A whole number, the float that prints as this decimal, or text for what JSON has no number for."""
    if not number.is_finite():
        return str(number)
    if number == number.to_integral_value():
        return int(number)
    return float(number)


def _value(value: ReadingValue) -> Any:
    if isinstance(value, Data):
        return to_json(value)
    if isinstance(value, CosemDateTime):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):  # a broken UTF-8 octet is shown as an escape
        return value.encode("utf-8", "backslashreplace").decode()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


# ------------------------------------------------------------------ the APDU as a tree
def _content(content: Content, body: Data | None) -> dict[str, Any]:
    if isinstance(content, Data):
        return to_json(content)
    return {_kebab(type(content).__name__): _fields(content, body)}


def _fields(content: Any, body: Data | None) -> dict[str, Any]:
    if isinstance(content, DataNotification):
        return {
            "long-invoke-id-and-priority": f"{content.long_invoke_id_and_priority:08x}",
            "date-time": _octets(content.date_time),
            "body": None if body is None else to_json(body),
        }
    if isinstance(content, GetResponseNormal):
        return {"invoke-id-and-priority": content.invoke_id_and_priority, "result": _result(content)}
    shown = {one.name: getattr(content, one.name) for one in dataclasses.fields(content)}
    if isinstance(content, Aarq | Aare):
        shown["user_information"] = _user_information(content.user_information)
    return {_dashed(name): _tree(value) for name, value in _masked(content, shown).items()}


def _masked(content: Any, shown: dict[str, Any]) -> dict[str, Any]:
    """Keys and passwords are octets like any other; they are counted, not shown."""
    secret = _SECRETS.get(type(content))
    if secret is None or shown.get(secret) is None:
        return shown
    if isinstance(content, Aarq) and content.mechanism not in {Mechanism.LLS, Mechanism.HLS}:
        return shown  # a challenge is no secret
    return shown | {secret: f"({len(shown[secret])} octets, not shown)"}


def _user_information(octets: bytes | None) -> Any:
    """The initiate request or response inside; octets that do not decode are counted, for they may hold a key."""
    if octets is None:
        return None
    try:
        return decode(octets)
    except DecodeError:
        return f"({len(octets)} octets that do not decode)"


def _result(response: GetResponseNormal) -> Any:
    try:
        return _tree(response.result)
    except DecodeError:
        return {"undecodable": response.raw.hex()}


def _tree(value: Any) -> Any:  # noqa: PLR0911 - one line a type
    """Any field of an APDU."""
    match value:
        case Data():
            return to_json(value)
        case CosemDateTime() | Obis():
            return str(value)
        case Conformance():
            return [_dashed(flag.name.lower()) for flag in value if flag.name]
        case Enum():
            return _dashed(value.name.lower())
        case bytes():
            return _octets(value)
        case tuple() if hasattr(value, "_fields"):
            return {_dashed(name): _tree(part) for name, part in zip(value._fields, value, strict=True)}
        case tuple():
            return [_tree(part) for part in value]
        case _ if dataclasses.is_dataclass(value):
            return (
                {_kebab(type(value).__name__): _fields(value, None)} if hasattr(value, "TAG") else _fields(value, None)
            )
        case _:
            return value


def _octets(octets: bytes) -> str | None:
    """Twelve octets that are a date-time as text, anything else as hexadecimal digits, None for nothing."""
    if len(octets) != DATE_TIME_OCTETS:
        return octets.hex() or None
    time = CosemDateTime.from_octets(octets)
    try:
        time.local()
    except RemoteProtocolError:
        return octets.hex()
    return str(time)


def _kebab(name: str) -> str:
    return _WORD_START.sub("-", name).lower()


def _dashed(name: str) -> str:
    return name.replace("_", "-")
