"""What the hand-made meter is and has, and in what the meters of the field differ."""

from __future__ import annotations

from dataclasses import dataclass

from tests.interop.handmade import ciphers

CLIENT_TITLE, METER_TITLE = bytes.fromhex("414d590000000001"), bytes.fromhex("5858580000000007")
NAME, REGISTER, NOTE, PROFILE, ECHO = (
    bytes.fromhex(code) for code in ("00002a0000ff", "0100010800ff", "0000603200ff", "0100630100ff", "00000a0064ff")
)
NAME_TEXT, REGISTER_COUNT = b"XXX0000000000007", 7_654_321
DAY_ROWS = 96
GENERAL_PROTECTION, GET_BLOCKS, SET_BLOCKS, ACTION_BLOCKS, LISTS = 0x40_0000, 0x1000, 0x0800, 0x0400, 0x0200
GET, SET, SELECTIVE_ACCESS, ACTION = 0x10, 0x08, 0x04, 0x01
FULL_CONFORMANCE = (
    GENERAL_PROTECTION | GET_BLOCKS | SET_BLOCKS | ACTION_BLOCKS | LISTS | GET | SET | SELECTIVE_ACCESS | ACTION
)
TWO_PASSES_MORE = 14  # diagnostic authentication-required: passes 3 and 4 are still to come
OBJECT_UNDEFINED, TYPE_UNMATCHED = 4, 12


@dataclass(frozen=True)
class Habits:
    """What one make of meter does in its own way; the defaults are the plainest reading of the standard.

    `control` is the security control without the suite, `answer_control` that of answers where it is another.
    `aare_length_octets` writes every BER length in so many octets. `answers` is "in kind", or the one wrapping of every
    answer. `refusal` is what answers an AARQ, None for an association; `release` is the RLRE, None for silence.
    """

    mechanism: int = 0
    ciphered: bool = False
    control: int = ciphers.AUTHENTICATED | ciphers.ENCRYPTED
    answer_control: int | None = None
    suite: int = 0
    protocol_version: bytes | None = None
    shows_title: bool = True
    shows_requirements: bool = True
    shows_mechanism: bool = True
    provider_diagnostic: bool = False
    user_information: bool = True
    implementation_information: bytes | None = None
    aare_length_octets: int = 0
    aare_reversed: bool = False
    quality_of_service: int | None = None
    short_conformance_tag: bool = False
    initiate_general: bool = False
    conformance: int = FULL_CONFORMANCE
    max_pdu: int = 1024
    block_octets: int = 0
    challenge_octets: int = 16
    first_counter: int = 1
    answers: str = "in kind"
    empty_title: bool = False
    keeps_priority: bool = True
    empty_last_block: bool = False
    release: bytes | None = bytes.fromhex("6303800100")
    refusal: bytes | None = None
