"""P1 telegrams in text (DSMR 5.0, IEC 62056-21), bare or as a meter pushes them inside a ciphered APDU."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from amity.devices.push_reading import NormalisedReading, Scaling
from amity.kernel.obis import Obis
from amity.kernel.units import Unit

_LINE = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[.*](\d{1,3}))?((?:\([^()\r\n]*\))+)")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_TIME = re.compile(r"\d{12}[SW]?")
_END = re.compile(r"!([0-9A-Fa-f]{4})?")
_CRC_POLYNOMIAL = 0xA001
_OBIS_OCTET_MAX = 0xFF
_UNITS = {
    "Wh": (0, Unit.WATT_HOUR), "kWh": (3, Unit.WATT_HOUR), "MWh": (6, Unit.WATT_HOUR), "varh": (0, Unit.VAR_HOUR),
    "kvarh": (3, Unit.VAR_HOUR), "VAh": (0, Unit.VOLT_AMPERE_HOUR), "kVAh": (3, Unit.VOLT_AMPERE_HOUR),
    "W": (0, Unit.WATT), "kW": (3, Unit.WATT), "var": (0, Unit.VAR), "kvar": (3, Unit.VAR),
    "VA": (0, Unit.VOLT_AMPERE), "kVA": (3, Unit.VOLT_AMPERE), "V": (0, Unit.VOLT), "A": (0, Unit.AMPERE),
    "Hz": (0, Unit.HERTZ), "m3": (0, Unit.CUBIC_METRE), "GJ": (9, Unit.JOULE), "s": (0, Unit.SECOND),
}  # fmt: skip


class P1Telegram(NamedTuple):
    """Identification, readings, and whether the check at the end holds (None when there is none)."""

    identification: str
    readings: tuple[NormalisedReading, ...]
    crc_ok: bool | None


def looks_like_p1(octets: bytes) -> bool:
    """True for octets that begin as a P1 telegram does: a slash, three letters, a digit or letter, printable."""
    head = octets.lstrip(b"\r\n")[:64]
    return bool(re.match(rb"/[A-Za-z]{3}[0-9A-Za-z][\x20-\x7e]*(\r?\n|$)", head)) and b":" in octets


def read_p1(text: str) -> P1Telegram:
    """Every line that has an OBIS code; other lines (and noise between them) are passed over."""
    start = max(text.find("/"), 0)
    identification = text[start + 1 :].split("\n", 1)[0].strip()
    readings = tuple(reading for line in text[start:].splitlines() for reading in _line(line.strip()))
    return P1Telegram(identification, readings, _crc_ok(text[start:]))


def _line(line: str) -> Iterator[NormalisedReading]:
    match = _LINE.match(line)
    if match is None:
        return
    groups = [int(group or _OBIS_OCTET_MAX) for group in match.groups()[:6]]
    if max(groups) > _OBIS_OCTET_MAX:
        return
    brackets = _BRACKETS.findall(match[7])
    time = brackets[0] if len(brackets) > 1 and _TIME.fullmatch(brackets[0]) else None
    yield _reading(Obis(bytes(groups)), brackets[-1], time)


def _reading(obis: Obis, content: str, time: str | None) -> NormalisedReading:
    number, _, unit = content.partition("*")
    if unit not in _UNITS or not _NUMBER.fullmatch(number):
        return NormalisedReading(obis, content, time=time)
    shift, named = _UNITS[unit]
    # `000123.456` kWh becomes the whole number 123456 with scaler 0 Wh: nothing is rounded.
    whole, _, fraction = number.partition(".")
    return NormalisedReading(obis, int(whole + fraction), scaling=Scaling(shift - len(fraction), named), time=time)


def _crc_ok(text: str) -> bool | None:
    match = _END.search(text)
    if match is None or match[1] is None:
        return None
    return _crc16(text[: match.start() + 1].encode("latin-1", "replace")) == int(match[1], 16)


def _crc16(octets: bytes) -> int:
    value = 0
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = (value >> 1) ^ (_CRC_POLYNOMIAL if value & 1 else 0)
    return value
