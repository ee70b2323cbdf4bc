"""The meter's end of an HDLC link, put together from the standard (IEC 62056-46) octet by octet, with field habits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FLAG = 0x7E
RR, RNR, SNRM, DISC, UA, DM, UI = 0x01, 0x05, 0x83, 0x43, 0x63, 0x0F, 0x03
FINAL = 0x10
UA_FULL = bytes.fromhex("818014050200ef060200ef070400000001080400000001")
LLC_ANSWER = b"\xe6\xe7\x00"


@dataclass(frozen=True)
class LinkHabits:
    """How one make of meter behaves on the line.

    `ua` is the information field of its UA; `send_octets` what it puts in a frame at most; `window` how many frames it
    sends before it gives the turn back. `not_yet` is how many polls it answers with RR (`not_yet_kind`: or RNR) before
    the answer. `acknowledges` has it answer every frame with RR and wait for a poll. `goodbye` answers DISC, None is
    silence. `idle` goes out before every frame, `pushes` before every answer, as UI frames.
    """

    ua: bytes = b""
    send_octets: int = 128
    window: int = 1
    not_yet: int = 0
    not_yet_kind: int = RR
    acknowledges: bool = False
    goodbye: int | None = UA
    llc: bytes = LLC_ANSWER
    idle: bytes = b""
    shared_flag: bool = False
    announces_rr: bool = False
    pushes: tuple[bytes, ...] = ()


def check(octets: bytes) -> bytes:
    """The frame check sequence, bit by bit."""
    register = 0xFFFF
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    return (register ^ 0xFFFF).to_bytes(2, "little")


def frame(destination: bytes, source: bytes, control: int, information: bytes = b"", *, more: bool = False) -> bytes:
    """One frame between flags."""
    octet_count = 2 + len(destination) + len(source) + 1 + 2 + (len(information) + 2 if information else 0)
    head = (0xA000 | (0x0800 if more else 0) | octet_count).to_bytes(2, "big") + destination + source + bytes([control])
    head += check(head)
    return bytes([FLAG]) + head + (information + check(head + information) if information else b"") + bytes([FLAG])


def _address(octets: bytes) -> bytes:
    """The address at the start: it ends with the first odd octet."""
    return octets[: next(place for place, octet in enumerate(octets) if octet & 1) + 1]


class Link:
    """`receive` takes what the line brought and gives back what is to be sent; `answer` is the meter behind."""

    def __init__(self, habits: LinkHabits, answer: Callable[[bytes], bytes]) -> None:
        self.habits = habits
        self.controls: list[int] = []
        self._answer = answer
        self._held = b""
        self._connected = False
        self._start()

    def _start(self) -> None:
        self._sent, self._expected = 0, 0
        self._coming = b""
        self._going: list[tuple[bytes, bool]] = []
        self._unconfirmed: list[tuple[bytes, bool]] = []
        self._ready: bytes | None = None
        self._postponed = 0

    def receive(self, octets: bytes) -> bytes:
        """Octets in, octets out."""
        self._held += octets
        out = b""
        while (whole := self._next_frame()) is not None:
            out += self._on_frame(whole)
        return out

    def _next_frame(self) -> bytes | None:
        self._held = self._held[max(self._held.find(FLAG), 0) :]
        while self._held[:2] == bytes([FLAG, FLAG]):
            self._held = self._held[1:]
        if len(self._held) < 3:
            return None
        octet_count = int.from_bytes(self._held[1:3], "big") & 0x07FF
        if len(self._held) < octet_count + 2:
            return None
        whole, self._held = self._held[1 : octet_count + 1], self._held[octet_count + 1 :]
        assert whole[0] & 0xF0 == 0xA0, "format type 3"
        assert self._held[0] == FLAG, "a frame ends with a flag"
        assert check(whole[:-2]) == whole[-2:], "frame check sequence"
        return whole

    def _on_frame(self, whole: bytes) -> bytes:
        server = _address(whole[2:])
        client = _address(whole[2 + len(server) :])
        at = 2 + len(server) + len(client)
        control, information = whole[at], whole[at + 3 : -2]
        if information:
            assert check(whole[: at + 1]) == whole[at + 1 : at + 3], "header check sequence"
        self.controls.append(control)
        out = [self._framed(client, server, *one) for one in self._replies(control, information, bool(whole[0] & 0x08))]
        joined = b"".join(out)
        return joined.replace(bytes([FLAG, FLAG]), bytes([FLAG])) if self.habits.shared_flag else joined

    def _framed(self, client: bytes, server: bytes, control: int, information: bytes, more: bool) -> bytes:
        return self.habits.idle + frame(client, server, control, information, more=more)

    def _replies(self, control: int, information: bytes, more: bool) -> list[tuple[int, bytes, bool]]:
        """Control, information and segmentation of every frame of the answer."""
        command = control & ~FINAL
        if command == SNRM:
            self._connected = True
            self._start()
            return [(UA | FINAL, self.habits.ua, False)]
        if command == DISC:
            known, self._connected = self._connected, False
            goodbye = self.habits.goodbye if known else DM
            return [] if goodbye is None else [(goodbye | FINAL, b"", False)]
        if not self._connected:
            return [(DM | FINAL, b"", False)]
        self._confirm(control >> 5)
        if not control & 1:
            assert control >> 1 & 7 == self._expected, "frames come in order"
            self._expected = (self._expected + 1) % 8
            self._coming += information
            if more or not control & FINAL:
                return [self._here(RR)] if control & FINAL else []
            self._serve()
            if self.habits.acknowledges:
                return [self._here(RR)]
        return self._speak() if control & FINAL else []

    def _serve(self) -> None:
        apdu, self._coming = self._coming, b""
        assert apdu[:3] == b"\xe6\xe6\x00", "LLC of a request"
        self._ready = self._answer(apdu[3:]) or None
        self._postponed = self.habits.not_yet

    def _confirm(self, number: int) -> None:
        confirmed = (number - self._sent) % 8
        assert confirmed <= len(self._unconfirmed), "only what was sent is confirmed"
        self._sent, again = number, self._unconfirmed[confirmed:]
        self._going, self._unconfirmed = again + self._going, []

    def _here(self, kind: int) -> tuple[int, bytes, bool]:
        return kind | FINAL | self._expected << 5, b"", False

    def _speak(self) -> list[tuple[int, bytes, bool]]:
        if self._postponed:
            self._postponed -= 1
            return [self._here(self.habits.not_yet_kind)]
        pushes: list[tuple[int, bytes, bool]] = []
        if self._ready is not None:
            self._load(self._ready)
            self._ready = None
            pushes = [(UI, LLC_ANSWER + push, False) for push in self.habits.pushes]
        if not self._going:
            return [self._here(RR)]
        window, self._going = self._going[: self.habits.window], self._going[self.habits.window :]
        self._unconfirmed = window
        frames = [
            self._information(place, octets, more, last=place == len(window) - 1)
            for place, (octets, more) in enumerate(window)
        ]
        before = [(RR | self._expected << 5, b"", False)] if self.habits.announces_rr else []
        return pushes + before + frames

    def _load(self, apdu: bytes) -> None:
        whole, size = self.habits.llc + apdu, self.habits.send_octets
        starts = range(0, len(whole), size)
        self._going = [(whole[at : at + size], at != starts[-1]) for at in starts]

    def _information(self, place: int, octets: bytes, more: bool, *, last: bool) -> tuple[int, bytes, bool]:
        final = FINAL if last else 0
        return self._expected << 5 | final | (self._sent + place) % 8 << 1, octets, more
