"""`amity decode`: any captured frame or APDU to JSON with normalised readings."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from amity.cli.options import hex_octets
from amity.devices.telegram_json import telegram_to_json
from amity.devices.telegrams import decode_telegram, no_keys, protector_from_keys
from amity.kernel.errors import ConfigurationError

_NOT_HEX = re.compile(r"[^0-9a-fA-F]")
_SEPARATORS = re.compile(r"(?:0x|[\s:,;-])+", re.IGNORECASE)
_CAPTURE_OCTETS_MAX = 16 << 20


def decode(
    capture: Annotated[
        str, typer.Argument(help="The octets in hexadecimal, a file that holds them (as text or raw), or -.")
    ],
    key: Annotated[str | None, typer.Option(help="Global unicast encryption key, hexadecimal.")] = None,
    auth_key: Annotated[str | None, typer.Option(help="Authentication key, hexadecimal.")] = None,
    system_title: Annotated[str | None, typer.Option(help="Sender's title where the message leaves it out.")] = None,
    compact: Annotated[bool, typer.Option(help="One line of JSON.")] = False,
    _as_json: Annotated[
        bool, typer.Option("--json", help="Always JSON; accepted so that every command has it.")
    ] = True,
) -> None:
    """Decode HDLC, wrapper or M-Bus frames, or a bare APDU, push telegrams included.

    Exit status 5 means that nothing in it decodes, or that the key does not fit.
    """
    guek, gak = hex_octets("--key", key), hex_octets("--auth-key", auth_key)
    if gak and not guek:
        raise ConfigurationError("--auth-key needs --key", next_step="give both, or --key alone")
    protector_for = protector_from_keys(guek, gak or None) if guek else no_keys
    telegram = decode_telegram(
        captured(capture), protector_for, system_title=hex_octets("--system-title", system_title)
    )
    print(json.dumps(telegram_to_json(telegram), indent=None if compact else 2, ensure_ascii=False))


def captured(source: str) -> bytes:
    """The octets of a capture: hexadecimal on the command line, on standard input or in a file, or a raw file."""
    if source == "-":
        return _from_content(sys.stdin.buffer.read(_CAPTURE_OCTETS_MAX), "standard input")
    if (octets := _from_text(source)) is not None:
        return octets
    try:
        return _from_content(Path(source).read_bytes()[:_CAPTURE_OCTETS_MAX], source)
    except OSError as error:
        shown = source if len(source) <= 60 else f"{source[:60]}…"  # noqa: PLR2004 - a line of a terminal
        raise ConfigurationError(
            f"{shown!r} is neither hexadecimal nor a file that can be read",
            answer=error.strerror,
            next_step="give an even number of hexadecimal digits (blanks, colons and 0x are passed over), a file, or -",
        ) from error


def _from_content(content: bytes, name: str) -> bytes:
    if not content.strip():
        raise ConfigurationError(f"{name} is empty", next_step="give the octets of a frame or an APDU in hexadecimal")
    text = content.decode("ascii", errors="replace")
    return _from_text(text) or content


def _from_text(text: str) -> bytes | None:
    digits = _SEPARATORS.sub("", text)
    if not digits or _NOT_HEX.search(digits) or len(digits) % 2:
        return None
    return bytes.fromhex(digits)
