"""`amity decode`: any captured frame or APDU to JSON with normalised readings."""

import json
import re
import string
import sys
from pathlib import Path
from typing import Annotated

import typer

from amity.cli.options import hex_octets
from amity.devices.telegram_json import telegram_to_json
from amity.devices.telegrams import Telegram, decode_telegram, no_keys, protector_from_keys
from amity.kernel.errors import ConfigurationError, RemoteProtocolError, SecurityError
from amity.protocols.dlms.data import Data

_HEX_RUN = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}[\s:,;-]*)+(?![0-9a-fA-F])")
_SEPARATORS = re.compile(r"(?:0x|[\s:,;-])+", re.IGNORECASE)
_CAPTURE_OCTETS_MAX = 16 << 20
_RUN_OCTETS_MIN = 4
_P1_START = b"/"  # a P1 telegram (IEC 62056-21) is itself a text
_LINE_SHOWN = 60
_WHAT_TO_GIVE = "give hexadecimal digits, a file that holds them (as text or raw), or - for standard input"


def decode(
    capture: Annotated[
        str, typer.Argument(metavar="[HEX|FILE|-]", help="The octets in hexadecimal, a file that holds them, or -.")
    ] = "-",
    key: Annotated[
        str | None, typer.Option(help="Global unicast encryption key, hexadecimal.", envvar="AMITY_KEY")
    ] = None,
    auth_key: Annotated[
        str | None, typer.Option(help="Authentication key, hexadecimal.", envvar="AMITY_AUTH_KEY")
    ] = None,
    system_title: Annotated[str | None, typer.Option(help="Sender's title where the message leaves it out.")] = None,
    compact: Annotated[bool, typer.Option(help="One line of JSON.")] = False,
    _as_json: Annotated[
        bool, typer.Option("--json", help="Always JSON; accepted so that every command has it.")
    ] = True,
) -> None:
    """Decode HDLC, wrapper or M-Bus frames, or a bare APDU, push telegrams included.

    Text around the octets is passed over line by line: times, words, comments after #. Exit status 5 means that
    nothing decodes, that the key does not fit, or that a message is encrypted and no key was given.
    """
    guek, gak = hex_octets("--key", key), hex_octets("--auth-key", auth_key)
    if gak and not guek:
        raise ConfigurationError("--auth-key needs --key", next_step="give both, or --key alone")
    protector_for = protector_from_keys(guek, gak or None) if guek else no_keys
    telegram = decode_telegram(
        captured(capture), protector_for, system_title=hex_octets("--system-title", system_title)
    )
    _refuse_what_says_nothing(telegram)
    print(json.dumps(telegram_to_json(telegram), indent=None if compact else 2, ensure_ascii=False))
    _tell_what_stayed_closed(telegram)


def captured(source: str) -> bytes:
    """The octets of a capture: hexadecimal on the command line, on standard input or in a file, or a raw file."""
    if source == "-":
        if sys.stdin.isatty():
            raise ConfigurationError("there is nothing to decode", next_step=_WHAT_TO_GIVE)
        return _from_content(sys.stdin.buffer.read(_CAPTURE_OCTETS_MAX + 1), "standard input")
    if (octets := _from_digits(source)) is not None:
        return octets
    try:
        with Path(source).open("rb") as file:
            return _from_content(file.read(_CAPTURE_OCTETS_MAX + 1), source)
    except OSError as error:
        shown = source if len(source) <= _LINE_SHOWN else f"{source[:_LINE_SHOWN]}…"
        raise ConfigurationError(
            f"{shown!r} is neither hexadecimal nor a file that can be read",
            answer=error.strerror,
            next_step=f"{_WHAT_TO_GIVE}; an even number of digits (blanks, colons and 0x are passed over)",
        ) from error


def _from_content(content: bytes, name: str) -> bytes:
    if len(content) > _CAPTURE_OCTETS_MAX:
        raise ConfigurationError(
            f"{name} holds more than {_CAPTURE_OCTETS_MAX >> 20} MiB", next_step="cut the capture into pieces"
        )
    if not content.strip():
        raise ConfigurationError(f"{name} is empty", next_step=_WHAT_TO_GIVE)
    if not _is_text(content) or content.lstrip().startswith(_P1_START):
        return content
    octets = _from_text(content.decode("utf-8", errors="replace"))
    if not octets:
        raise ConfigurationError(f"{name} is a text without hexadecimal octets", next_step=_WHAT_TO_GIVE)
    return octets


def _is_text(content: bytes) -> bool:
    """Captures hold octets that no text has: most frames carry a zero or another control character."""
    return not any(octet < 0x20 and octet not in b"\t\n\r" for octet in content)  # noqa: PLR2004 - the first blank


def _from_text(text: str) -> bytes:
    """All of it where it is nothing but digits; else the longest run of octets of each line, comments passed over."""
    whole = _from_digits(text)
    return whole if whole is not None else b"".join(_longest_run(line.partition("#")[0]) for line in text.splitlines())


def _longest_run(line: str) -> bytes:
    runs = [_SEPARATORS.sub("", run) for run in _HEX_RUN.findall(line)]
    longest = max(runs, key=len, default="")
    return bytes.fromhex(longest) if len(longest) >= 2 * _RUN_OCTETS_MIN else b""


def _from_digits(text: str) -> bytes | None:
    digits = _SEPARATORS.sub("", text)
    if not digits or len(digits) % 2 or not all(digit in string.hexdigits for digit in digits):
        return None
    return bytes.fromhex(digits)


def _refuse_what_says_nothing(telegram: Telegram) -> None:
    """A lone null is a value, and no telegram."""
    contents = [message.content for message in telegram.messages]
    if not telegram.frames and all(isinstance(one, Data) and one.value is None for one in contents if one is not None):
        if any(message.text for message in telegram.messages):
            return
        raise RemoteProtocolError(
            f"nothing in {len(telegram.octets)} octets decodes", next_step="give a whole frame or APDU"
        )


def _tell_what_stayed_closed(telegram: Telegram) -> None:
    closed = [report for message in telegram.messages for report in message.security if not report.deciphered]
    if closed:
        raise SecurityError(
            f"a message of {closed[0].system_title.hex() or 'an unnamed sender'} is encrypted and stayed closed",
            next_step="give --key, and --auth-key where the message carries a tag",
        )
