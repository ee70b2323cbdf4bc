"""The work that Amity and its peers are measured at: one day of one meter, ciphered with suite 0."""

from datetime import UTC, datetime, timedelta
from typing import Any

from amity.kernel.obis import Obis
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.apdu import Conformance, GetResponseNormal, InitiateResponse
from amity.protocols.dlms.ciphering import CipherKeys, SecurityControl, wrap_glo
from amity.protocols.dlms.data import double_long_unsigned, encode, null, octet_string, structure
from amity.protocols.dlms.datetime import CosemDateTime

CLIENT, SERVER = 1, 1
CLIENT_TITLE = bytes.fromhex("414d590000000001")
METER_TITLE = bytes.fromhex("414d5900000f4240")
GUEK, GAK = bytes(range(16)), bytes(range(0xD0, 0xE0))
CHALLENGE = bytes(range(0x40, 0x50))
MAX_PDU = 1040
"""Cuts the day's profile of 3.9 KB into four blocks."""

ROWS = 96
INTERVAL_S = 900
START = datetime(2026, 3, 1, tzinfo=UTC)
LAST = START + timedelta(seconds=INTERVAL_S * (ROWS - 1))
CLOCK, PROFILE, REGISTER = "0.0.1.0.0.255", "1.0.99.1.0.255", "1.0.1.8.0.255"
REGISTER_WH = 12_345_678
COLUMNS = [(8, CLOCK, 2), *((3, f"1.0.{c}.8.0.255", 2) for c in (1, 2, 3, 4, 9))]
DECRYPT_OCTETS = 3600


def row(number: int, *, timed: bool = True, columns: int = len(COLUMNS)) -> bytes:
    """One row of the profile: date-time (or null-data) and the registers, five unless there are fewer columns."""
    stamp = CosemDateTime.from_utc(START + timedelta(seconds=INTERVAL_S * number)).to_octets()
    values = (double_long_unsigned(1_000_000 * column + 250 * number) for column in range(1, columns))
    return encode(structure(octet_string(stamp) if timed else null(), *values))


def buffer_octets() -> bytes:
    """The profile's buffer, 96 rows."""
    return b"\x01" + bytes([ROWS]) + b"".join(row(number) for number in range(ROWS))


def compressed_octets() -> bytes:
    """The same buffer from a meter that says the time in the first row only."""
    return b"\x01" + bytes([ROWS]) + b"".join(row(number, timed=number == 0) for number in range(ROWS))


def keys() -> CipherKeys:
    """The meter's keys, as they are made for each session anew."""
    return CipherKeys(0, GUEK, GAK)


def aare() -> bytes:
    """A meter's answer to an AARQ with HLS-GMAC in a ciphered context."""
    granted = Conformance.GET | Conformance.ACTION | Conformance.SELECTIVE_ACCESS
    granted |= Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    initiate = InitiateResponse(granted, MAX_PDU).encode()
    return acse.Aare(
        acse.AssociationResult.ACCEPTED,
        acse.SourceDiagnostic.AUTHENTICATION_REQUIRED,
        wrap_glo(keys(), SecurityControl.BOTH, METER_TITLE, 100, initiate),
        acse.ApplicationContext.LN_CIPHERED,
        acse.Mechanism.HLS_GMAC,
        CHALLENGE,
        METER_TITLE,
    ).encode()


def ciphered_answer() -> bytes:
    """A GET response of 3.6 KB under the global key."""
    response = GetResponseNormal(apdu.DEFAULT_INVOKE, encode(octet_string(bytes(DECRYPT_OCTETS))))
    return wrap_glo(keys(), SecurityControl.BOTH, METER_TITLE, 101, response.encode())


def register_obis(number: int) -> Obis:
    """The logical name of a value column."""
    return Obis.parse(COLUMNS[number][1])


def for_peers(host: str, port: int, sessions: int) -> dict[str, dict[str, Any]]:
    """All of it as a JSON document."""
    association = {
        "client": CLIENT, "server": SERVER, "max_pdu": MAX_PDU, "guek": GUEK.hex(), "gak": GAK.hex(),
        "client_title": CLIENT_TITLE.hex(), "server_title": METER_TITLE.hex(),
    }  # fmt: skip
    answer = ciphered_answer()
    session = {
        **association, "host": host, "port": port, "sessions": sessions, "register": REGISTER, "profile": PROFILE,
        "columns": COLUMNS, "rows": ROWS, "range": [START.isoformat(), LAST.isoformat()],
    }  # fmt: skip
    return {
        "profile": {"octets": buffer_octets().hex(), "columns": COLUMNS, "rows": ROWS},
        "association": {**association, "aare": aare().hex()},
        "decrypt": {
            **association, "apdu": answer.hex(), "invocation_counter": 101, "plain_octets": DECRYPT_OCTETS,
            "cipher_text": apdu.decode(answer).payload.hex(),
        },
        "session": session,
        "session over TCP": session,
    }  # fmt: skip
