"""A meter put together octet by octet from the standard: associations, GET, SET, ACTION, ciphered or not.

Nothing of Amity is imported here or in the modules beside it (a test watches over that): what Amity's client and this
meter agree on, two readings of the standard agree on. `Habits` says in what the meters of the field differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.interop.handmade import ciphers, tlv
from tests.interop.handmade.ciphers import Secrets
from tests.interop.handmade.habits import (
    DAY_ROWS,
    ECHO,
    METER_TITLE,
    NAME,
    NAME_TEXT,
    NOTE,
    OBJECT_UNDEFINED,
    PROFILE,
    REGISTER,
    REGISTER_COUNT,
    TWO_PASSES_MORE,
    TYPE_UNMATCHED,
    Habits,
)


def day_rows() -> list[tuple[bytes, bytes]]:
    """The time of each row of the load profile (12 octets), and the row as COSEM data."""
    rows = []
    for number in range(DAY_ROWS):
        minutes = 15 * number
        time = bytes.fromhex("07ea030107") + bytes([minutes // 60, minutes % 60, 0, 0, 0, 0, 0])
        value = b"\x06" + (100 + number).to_bytes(4, "big")
        rows.append((time, b"\x02\x02" + tlv.octet_string(time) + value))
    return rows


def _array(rows: list[bytes]) -> bytes:
    return b"\x01" + tlv.length(len(rows)) + b"".join(rows)


class RefusedError(Exception):
    """A data-access-result other than success."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class _Association:
    """What the meter remembers of the client."""

    client_title: bytes = b""
    client_challenge: bytes = b""
    own_challenge: bytes = b""
    dedicated_key: bytes = b""
    client_max_pdu: int = 0
    open: bool = False
    heard: dict[bytes, int] = field(default_factory=dict)
    waiting: list[bytes] = field(default_factory=list)
    block: int = 0
    coming: bytearray = field(default_factory=bytearray)
    meant: bytes = b""


class Meter:
    """One logical device; `answer` takes an APDU and gives the APDU back, or nothing for silence.

    `requests` and `answers` keep every APDU.
    """

    def __init__(self, habits: Habits, secrets: Secrets) -> None:
        self.habits = habits
        self.secrets = secrets
        self.note = b"\x11\x01"
        self.requests: list[bytes] = []
        self.answers: list[bytes] = []
        self._counter = habits.first_counter - 1
        self._at = _Association()

    def answer(self, apdu: bytes) -> bytes:
        """Whatever the client says."""
        self.requests.append(apdu)
        self.answers.append(self._answer(apdu))
        return self.answers[-1]

    def _answer(self, apdu: bytes) -> bytes:
        if apdu[0] == 0x60:
            return self.habits.refusal or self._aarq(apdu)
        if apdu[0] == 0x62:
            return self._rlrq(apdu)
        if apdu[0] in {0xC0, 0xC1, 0xC3}:
            return bytes([0xD8, 1, 1]) if self.habits.ciphered else self._service(apdu)
        plain = self._unsealed(apdu)
        if plain is None:
            return bytes([0xD8, 1, 5])
        return self._sealed(self._service(plain), apdu[0])

    # ------------------------------------------------------------------ association
    def _aarq(self, apdu: bytes) -> bytes:
        tag, content, end = tlv.cut(apdu)
        assert (tag, end) == (0x60, len(apdu)), "an AARQ fills its APDU"
        said = tlv.fields(content)
        self._at = _Association(heard=self._at.heard)
        if 0xA6 in said:
            self._at.client_title = tlv.fields(said[0xA6])[0x04]
        value = tlv.fields(said[0xAC])[0x80] if 0xAC in said else b""
        mechanism = said[0x8B][-1] if 0x8B in said else 0
        wanted = bytes.fromhex("060760857405080103" if self.habits.ciphered else "060760857405080101")
        if said[0xA1] != wanted:
            return self._aare(1, 2)
        if mechanism != self.habits.mechanism:
            return self._aare(1, 11)
        if mechanism == 1 and value != self.secrets.password:
            return self._aare(1, 13)
        if not self._initiated(tlv.fields(said[0xBE])[0x04]):
            return self._aare(1, 1)
        if mechanism < 2:
            self._at.open = True
            return self._aare(0, 0)
        assert 8 <= len(value) <= 64, "a challenge has 8 to 64 octets"
        self._at.client_challenge = value
        self._at.own_challenge = bytes(range(0x40, 0x40 + self.habits.challenge_octets))
        return self._aare(0, TWO_PASSES_MORE)

    def _initiated(self, information: bytes) -> bool:
        """Read the InitiateRequest; False when it cannot be opened."""
        plain = self._unsealed(information) if self.habits.ciphered else information
        if plain is None or plain[0] != 0x01:
            return False
        at = 1
        if plain[at]:
            _, self._at.dedicated_key, at = tlv.cut(plain, at)
        else:
            at += 1
        at += 2 if plain[at] else 1  # response-allowed
        at += 2 if plain[at] else 1  # quality of service
        assert plain[at] == 6, "version 6 of DLMS"
        assert plain[at + 1 : at + 5] == bytes.fromhex("5f1f0400"), "conformance, 24 bits"
        self._at.client_max_pdu = int.from_bytes(plain[at + 8 : at + 10], "big")
        assert at + 10 == len(plain), "nothing follows the PDU size"
        return True

    def _aare(self, result: int, diagnostic: int) -> bytes:
        habits, wide = self.habits, self.habits.aare_length_octets
        context = bytes.fromhex("608574050801") + bytes([3 if habits.ciphered else 1])
        source = 0xA2 if habits.provider_diagnostic and diagnostic == 0 else 0xA1
        parts = [
            (0x80, habits.protocol_version),
            (0xA1, tlv.field(0x06, context, wide)),
            (0xA2, tlv.field(0x02, bytes([result]), wide)),
            (0xA3, tlv.field(source, tlv.field(0x02, bytes([diagnostic]), wide), wide)),
            (0xA4, tlv.field(0x04, METER_TITLE, wide) if habits.shows_title else None),
            *self._challenge_fields(diagnostic == TWO_PASSES_MORE),
            (0x9D, habits.implementation_information),
            (0xBE, self._granted() if result == 0 else None),
        ]
        if habits.aare_reversed:
            parts.reverse()
        content = b"".join(tlv.field(tag, octets, wide) for tag, octets in parts if octets is not None)
        return tlv.field(0x61, content, wide)

    def _challenge_fields(self, challenges: bool) -> list[tuple[int, bytes | None]]:
        habits = self.habits
        named = challenges or habits.mechanism == 1
        return [
            (0x88, b"\x07\x80" if named and habits.shows_requirements else None),
            (0x89, bytes.fromhex("608574050802") + bytes([habits.mechanism])
             if named and habits.shows_mechanism else None),
            (0xAA, tlv.field(0x80, self._at.own_challenge, habits.aare_length_octets) if challenges else None),
        ]  # fmt: skip

    def _granted(self) -> bytes | None:
        habits = self.habits
        if not habits.user_information:
            return None
        quality = b"\x00" if habits.quality_of_service is None else bytes([1, habits.quality_of_service])
        tag = bytes.fromhex("5f0400" if habits.short_conformance_tag else "5f1f0400")
        initiate = b"\x08" + quality + b"\x06" + tag + habits.conformance.to_bytes(3, "big")
        initiate += habits.max_pdu.to_bytes(2, "big") + b"\x00\x07"
        if habits.ciphered:
            initiate = self._sealed(initiate, 0xDB if habits.initiate_general else 0x21)
        return tlv.field(0x04, initiate, habits.aare_length_octets)

    def _rlrq(self, apdu: bytes) -> bytes:
        _, content, end = tlv.cut(apdu)
        assert end == len(apdu)
        said = tlv.fields(content)
        assert said.get(0x80) == b"\x00", "release reason normal"
        assert (0xBE in said) == self.habits.ciphered, "a ciphered release proves itself with an InitiateRequest"
        if self.habits.ciphered and self._unsealed(tlv.fields(said[0xBE])[0x04]) is None:
            return bytes([0xD8, 1, 5])
        self._at.open = False
        return self.habits.release or b""

    def _proves(self, parameter: bytes) -> bytes | None:
        """Pass 3 came: the client's answer to our challenge; pass 4 is ours to its own, None if that was wrong."""
        at, mechanism = self._at, self.habits.mechanism
        tag, given, end = tlv.cut(parameter)
        counter = int.from_bytes(given[1:5], "big") if mechanism == 5 else 0
        theirs = ciphers.proof(
            mechanism, self.secrets, at.client_title, METER_TITLE, at.own_challenge, at.client_challenge, counter
        )
        if (tag, end) != (0x09, len(parameter)) or given != theirs:
            return None
        at.open = True
        return tlv.octet_string(
            ciphers.proof(
                mechanism, self.secrets, METER_TITLE, at.client_title, at.client_challenge, at.own_challenge,
                self._next_counter(),
            )
        )  # fmt: skip

    # ------------------------------------------------------------------ protection
    def _next_counter(self) -> int:
        self._counter += 1
        return self._counter

    def _key(self, tag: int) -> bytes:
        dedicated = tag == 0xDC or 0xD0 <= tag <= 0xD7
        return self._at.dedicated_key if dedicated else self.secrets.encryption

    def _unsealed(self, apdu: bytes) -> bytes | None:
        tag, at, title = apdu[0], 1, self._at.client_title
        if tag in {0xDB, 0xDC}:
            _, title, at = tlv.cut(apdu, 0)
            assert title == self._at.client_title, "the client's own title"
        _, content, end = tlv.cut(bytes([tag]) + apdu[at:])
        agreed = self.habits.control | self.secrets.suite
        stronger = agreed | (ciphers.ENCRYPTED if tag == 0x21 else 0)  # an InitiateRequest may hold a key
        if end != len(apdu) - at + 1 or content[0] not in {agreed, stronger}:
            return None
        key, counter = self._key(tag), int.from_bytes(content[1:5], "big")
        if counter <= self._at.heard.get(key, -1):
            return None
        plain = ciphers.opened(content[0], key, self.secrets.authentication, title, counter, content[5:])
        if plain is None or (tag not in {0xDB, 0xDC} and plain[0] != _PLAIN_TAGS[tag]):
            return None
        self._at.heard[key] = counter
        return plain

    def _sealed(self, plain: bytes, asked: int) -> bytes:
        """An answer in the wrapping that the question `asked` came in, unless this meter knows only one."""
        asked = {"in kind": asked, "glo": 0xC8, "general-glo": 0xDB}[self.habits.answers] if plain[0] != 0x08 else asked
        habits, counter = self.habits, self._next_counter()
        control = (habits.control if habits.answer_control is None else habits.answer_control) | habits.suite
        text = ciphers.sealed(
            control, self._key(asked), self.secrets.authentication, METER_TITLE, counter, plain
        )  # fmt: skip
        content = bytes([control]) + counter.to_bytes(4, "big") + text
        if asked in {0xDB, 0xDC}:
            title = b"" if habits.empty_title else METER_TITLE
            return tlv.field(asked, title) + tlv.length(len(content)) + content
        own = 0x28 if asked == 0x21 else plain[0] + (0x10 if 0xD0 <= asked <= 0xD7 else 0x08)
        return tlv.field(own, content)

    # ------------------------------------------------------------------ services
    def _service(self, apdu: bytes) -> bytes:
        kind, choice, invoke = apdu[0], apdu[1], apdu[2]
        if not self.habits.keeps_priority:
            invoke &= 0x0F
        if not self._at.open and kind != 0xC3:
            return bytes([0xD8, 1, 1])
        serve = _SERVICES.get((kind, choice))
        return bytes([0xD8, 2, 2]) if serve is None else serve(self, invoke, apdu[3:])

    def _get(self, invoke: int, rest: bytes) -> bytes:
        try:
            value = self._value(rest)
        except RefusedError as refused:
            return bytes([0xC4, 1, invoke, 1, refused.code])
        if len(value) <= self._piece():
            return bytes([0xC4, 1, invoke, 0]) + value
        return self._first_block(invoke, value)

    def _get_list(self, invoke: int, rest: bytes) -> bytes:
        count, rest = rest[0], rest[1:]
        outcomes = []
        for _ in range(count):
            one, rest = rest[:10], rest[10:]
            try:
                outcomes.append(b"\x00" + self._value(one))
            except RefusedError as refused:
                outcomes.append(bytes([1, refused.code]))
        whole = bytes([count]) + b"".join(outcomes)
        if len(whole) <= self._piece():
            return bytes([0xC4, 3, invoke]) + whole
        return self._first_block(invoke, whole)

    def _piece(self) -> int:
        least = min(size for size in (self.habits.block_octets, self._at.client_max_pdu, 0xFFFF) if size)
        return least - 60 if least > 120 else least // 2

    def _first_block(self, invoke: int, octets: bytes) -> bytes:
        piece = self._piece()
        self._at.waiting = [octets[at : at + piece] for at in range(0, len(octets), piece)]
        if self.habits.empty_last_block:
            self._at.waiting.append(b"")
        self._at.block = 0
        return self._next_block(invoke, bytes(4))

    def _next_block(self, invoke: int, number: bytes) -> bytes:
        if int.from_bytes(number, "big") != self._at.block or not self._at.waiting:
            return bytes([0xC4, 2, invoke, 1]) + number + bytes([1, 19])
        self._at.block += 1
        piece = self._at.waiting.pop(0)
        head = bytes([0xC4, 2, invoke, not self._at.waiting]) + self._at.block.to_bytes(4, "big")
        return head + b"\x00" + tlv.length(len(piece)) + piece

    def _value(self, reference: bytes) -> bytes:
        """Class (2), logical name (6), attribute, and the mark of a selective access with what follows it."""
        wanted, access = reference[:9], reference[10:] if reference[9] else b""
        values: dict[bytes, bytes] = {
            b"\x00\x01" + NAME + b"\x02": tlv.octet_string(NAME_TEXT),
            b"\x00\x03" + REGISTER + b"\x02": b"\x06" + REGISTER_COUNT.to_bytes(4, "big"),
            b"\x00\x03" + REGISTER + b"\x03": bytes.fromhex("02020f01161e"),
            b"\x00\x01" + NOTE + b"\x02": self.note,
            b"\x00\x07" + PROFILE + b"\x02": _array(_selected(access)),
        }
        if wanted not in values:
            raise RefusedError(OBJECT_UNDEFINED)
        return values[wanted]

    def _set(self, invoke: int, rest: bytes) -> bytes:
        return bytes([0xC5, 1, invoke, self._written(rest[:9], rest[10:])])

    def _set_first(self, invoke: int, rest: bytes) -> bytes:
        self._at.meant = rest[:9]
        self._at.coming.clear()
        return self._set_next(invoke, rest[10:])

    def _set_next(self, invoke: int, rest: bytes) -> bytes:
        last, number = rest[0], rest[1:5]
        self._at.coming += tlv.cut(b"\x09" + rest[5:])[1]
        if not last:
            return bytes([0xC5, 2, invoke]) + number
        return bytes([0xC5, 3, invoke, self._written(self._at.meant, bytes(self._at.coming))]) + number

    def _written(self, wanted: bytes, value: bytes) -> int:
        if wanted != b"\x00\x01" + NOTE + b"\x02":
            return OBJECT_UNDEFINED
        if value[0] == 0x0A:
            return TYPE_UNMATCHED
        self.note = value
        return 0

    def _act(self, invoke: int, rest: bytes) -> bytes:
        return bytes([0xC7, 1, invoke]) + self._done(rest[:9], rest[10:] if rest[9] else b"")

    def _act_first(self, invoke: int, rest: bytes) -> bytes:
        self._at.meant = rest[:9]
        self._at.coming.clear()
        return self._act_next(invoke, rest[9:])

    def _act_next(self, invoke: int, rest: bytes) -> bytes:
        last, number = rest[0], rest[1:5]
        self._at.coming += tlv.cut(b"\x09" + rest[5:])[1]
        if not last:
            return bytes([0xC7, 4, invoke]) + number
        return bytes([0xC7, 1, invoke]) + self._done(self._at.meant, bytes(self._at.coming))

    def _done(self, method: bytes, parameter: bytes) -> bytes:
        """The action-result, and what the method gives back."""
        if method == bytes.fromhex("000f0000280000ff01"):
            answer = self._proves(parameter)
            return b"\x03\x00" if answer is None else b"\x00\x01\x00" + answer
        if not self._at.open:
            return b"\x03\x00"
        if method == b"\x00\x09" + ECHO + b"\x01":
            return b"\x00\x01\x00" + parameter
        return bytes([OBJECT_UNDEFINED, 0])


def _selected(access: bytes) -> list[bytes]:
    """The rows that a selective access asks for: by range of time, by entry number, or all."""
    rows = day_rows()
    if not access:
        return [row for _, row in rows]
    if access[0] == 2:  # structure of four: first and last entry, first and last column
        assert access[1:3] == b"\x02\x04"
        first, last = int.from_bytes(access[4:8], "big"), int.from_bytes(access[9:13], "big")
        return [row for _, row in rows][first - 1 : last or None]
    clock = bytes.fromhex("02041200080906" + "0000010000ff" + "0f02120000")
    assert access[:3] == b"\x01\x02\x04", "range descriptor"
    assert access[3 : 3 + len(clock)] == clock, "restricted by the clock's time"
    _, low, at = tlv.cut(access, 3 + len(clock))
    _, high, at = tlv.cut(access, at)
    assert access[at:] == b"\x01\x00", "every column"
    return [row for time, row in rows if _instant(low) <= _instant(time) <= _instant(high)]


def _instant(time: bytes) -> bytes:
    """Year to second, without the day of the week: such octets are in the order of time."""
    return time[:4] + time[5:8]


_PLAIN_TAGS = {0x21: 0x01, 0xC8: 0xC0, 0xC9: 0xC1, 0xCB: 0xC3, 0xD0: 0xC0, 0xD1: 0xC1, 0xD3: 0xC3}
_SERVICES: dict[tuple[int, int], Callable[[Meter, int, bytes], bytes]] = {
    (0xC0, 1): Meter._get, (0xC0, 2): Meter._next_block, (0xC0, 3): Meter._get_list,
    (0xC1, 1): Meter._set, (0xC1, 2): Meter._set_first, (0xC1, 3): Meter._set_next,
    (0xC3, 1): Meter._act, (0xC3, 4): Meter._act_first, (0xC3, 6): Meter._act_next,
}  # fmt: skip
