"""HDLC framing on one core: megabytes of APDU a second, out of a segmenting sender and into a joining receiver.

Beside it the check sequence as it is computed octet by octet with a table, which is what Python stacks do; ours goes
through `binascii.crc_hqx` (see `amity.protocols.hdlc.checksum`). Run: `python -m benchmarks.hdlc [--json]`.

What bounds it: the check itself runs at some 350 MB/s (two passes in C, mirror and divide); everything else is a cost
per frame, about 1 us to send and 1.3 us to receive, so that the standard's 128 octets stay below 100 MB/s when
received.
"""

import argparse
import json
import os
from dataclasses import asdict, dataclass

from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.checksum import check_sequence
from amity.protocols.hdlc.frame import Reader, encode, information_control
from amity.protocols.hdlc.sequence import Incoming, Outgoing
from benchmarks.measure import cpu_seconds

SIZES = (128, 512, 1024, 2030)
JUDGED = 1024
"""The size that the bar is for: what meters with a fast line agree to."""

BAR_MB_PER_S = 100
APDU_OCTETS = 64_000
WINDOW = 7
CLIENT, METER = Address(16), Address(1, 17)


@dataclass(frozen=True, slots=True)
class Measured:
    """Megabytes a second with information fields of `octets`."""

    octets: int
    send_mb_per_s: float
    receive_mb_per_s: float

    @property
    def slower(self) -> float:
        """The worse of the two directions."""
        return min(self.send_mb_per_s, self.receive_mb_per_s)


def framed(apdu: bytes, octets: int) -> list[bytes]:
    """An APDU as the frames of a meter, a window at a time, each window acknowledged."""
    outgoing, frames = Outgoing(), []
    outgoing.load(apdu, octets)
    while outgoing.unfinished:
        segments = outgoing.burst(WINDOW)
        for segment in segments:
            control = information_control(segment.number, 0, final=segment is segments[-1])
            frames.append(encode(METER, CLIENT, control, segment.information, segmented=segment.more))
        outgoing.acknowledge(outgoing.next_number)
    return frames


def joined(windows: list[bytes]) -> bytes:
    """The APDU out of the octets of its frames, as they come window by window."""
    reader, incoming = Reader(), Incoming()
    for octets in windows:
        for frame in reader.feed(octets):
            assert frame.fcs_ok  # noqa: S101
            incoming.accept(frame)
    (apdu,) = incoming.take()
    return apdu


def measure(octets: int) -> Measured:
    """Both directions with one size of information field."""
    apdu = os.urandom(APDU_OCTETS)
    frames = framed(apdu, octets)
    windows = [b"".join(frames[at : at + WINDOW]) for at in range(0, len(frames), WINDOW)]
    assert joined(windows) == apdu  # noqa: S101
    megabytes = len(apdu) / 1e6
    return Measured(
        octets,
        megabytes / cpu_seconds(lambda: framed(apdu, octets)),
        megabytes / cpu_seconds(lambda: joined(windows)),
    )


_TABLE = [0] * 256
for _octet in range(256):
    _value = _octet
    for _ in range(8):
        _value = _value >> 1 ^ 0x8408 if _value & 1 else _value >> 1
    _TABLE[_octet] = _value


def octet_by_octet(octets: bytes) -> bytes:
    """The same check sequence with a table of 256 entries."""
    register = 0xFFFF
    for octet in octets:
        register = register >> 8 ^ _TABLE[(register ^ octet) & 0xFF]
    return (register ^ 0xFFFF).to_bytes(2, "little")


def check_ratio() -> float:
    """How many times faster our check sequence is than the table, at the judged size."""
    octets = os.urandom(JUDGED)
    assert octet_by_octet(octets) == check_sequence(octets)  # noqa: S101
    return cpu_seconds(lambda: octet_by_octet(octets)) / cpu_seconds(lambda: check_sequence(octets))


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hdlc", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    results, ratio = [measure(octets) for octets in SIZES], check_ratio()
    if as_json:
        print(json.dumps({"results": [asdict(result) for result in results], "check_ratio": ratio}))
        return
    print("information  send MB/s  receive MB/s")
    for result in results:
        print(f"{result.octets:>11}  {result.send_mb_per_s:>9.0f}  {result.receive_mb_per_s:>12.0f}")
    print(f"check sequence: {ratio:.0f} x less CPU than octet by octet")


if __name__ == "__main__":
    main()
