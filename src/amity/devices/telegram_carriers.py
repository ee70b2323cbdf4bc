"""What carries a telegram: HDLC, M-Bus, wrapper, LLC or nothing; found by looking, noise before and after allowed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from amity.devices.telegram_blocks import Way
from amity.devices.telegram_shortfall import broken_frame
from amity.protocols.dlms import apdu
from amity.protocols.dlms.acse import AARE_TAG, AARQ_TAG, RLRE_TAG, RLRQ_TAG
from amity.protocols.hdlc import frame as hdlc
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.llc import LLC_OCTETS, LLC_REQUEST, LLC_RESPONSE
from amity.protocols.mbus import frame as mbus
from amity.protocols.wrapper import frame as wrapper

Carrier = Literal["hdlc", "mbus", "wrapper", "llc", "none"]
# A push is never a confirmation, and in noise its tag is too often that of a COSEM long.
FIRST_OCTETS = (apdu.known_tags() - {apdu.DataNotificationConfirm.TAG}) | {AARQ_TAG, AARE_TAG, RLRQ_TAG, RLRE_TAG}
_NOISE_MAX = 256
_GUESSED_OCTETS_MAX = 4096  # a bare message behind noise is short; guessing in long captures would take long
_GATEWAY = frozenset({0xE6, 0xE7})


@dataclass(frozen=True, slots=True)
class FrameReport:
    """One frame as it was found, for people: where, from whom to whom, and whether its checks hold."""

    carrier: Carrier
    offset: int
    octets: int
    source: str | None = None
    destination: str | None = None
    kind: str | None = None
    checks: tuple[tuple[str, bool | None], ...] = ()
    segmented: bool = False

    @property
    def damaged(self) -> tuple[str, ...]:
        """The checks that do not hold."""
        return tuple(name for name, holds in self.checks if holds is False)


class Payload(NamedTuple):
    """What one or several frames carried, and from whom to whom.

    `continues` marks one that may go on where the payload before it ended.
    """

    octets: bytes
    continues: bool = False
    way: Way = None


class Carried(NamedTuple):
    """The frames found, what they carried, and what was odd; `guessed` when only a good decode can prove it."""

    frames: tuple[FrameReport, ...]
    payloads: tuple[Payload, ...]
    warnings: tuple[str, ...]
    guessed: bool = False


class _Hit(NamedTuple):
    offset: int
    end: int
    frame: hdlc.Frame | mbus.Frame | wrapper.Frame


def unpackings(octets: bytes) -> Iterator[Carried]:
    """The ways to see these octets, the likeliest first; whoever asked takes the first that decodes."""
    for hits, read in ((_hdlc_hits, _from_hdlc), (_mbus_hits, _from_mbus)):
        yield from _carried(octets, list(hits(octets)), read)
    wrapped = list(_wrapper_hits(octets))
    if wrapped and wrapped[0].offset == 0:
        yield from _carried(octets, wrapped, _from_wrapper)
    yield from _behind_llc(octets)
    yield Carried((), (Payload(octets),), ())
    yield from _carried(octets, wrapped, _from_wrapper)
    for start in range(1, min(len(octets), _NOISE_MAX)) if len(octets) <= _GUESSED_OCTETS_MAX else ():
        if octets[start] in FIRST_OCTETS:
            warnings = (f"{start} octets before the message belong to no frame",)
            yield Carried((), (Payload(octets[start:]),), warnings, guessed=True)


def _carried(octets: bytes, hits: list[_Hit], read: Callable[[list[_Hit]], Carried]) -> Iterator[Carried]:
    if hits:
        carried = read(hits)
        yield carried._replace(warnings=carried.warnings + _noise(hits, octets))


def _noise(hits: list[_Hit], octets: bytes) -> tuple[str, ...]:
    """What is left over, and whether it ends in a frame that was cut off."""
    noise = len(octets) - sum(hit.end - hit.offset for hit in hits)
    if not noise:
        return ()
    cut = broken_frame(octets[hits[-1].end :])
    return (f"{noise} octets belong to no frame" + (f": {cut}" if cut else ""),)


# ------------------------------------------------------------------ HDLC
def _hdlc_hits(octets: bytes) -> Iterator[_Hit]:
    whole = hdlc.find_unflagged(octets)
    if whole is not None:
        yield _Hit(0, len(octets), whole)
        return
    offset, covered = 0, 0
    while (flag := octets.find(hdlc.FLAG, offset)) >= 0:
        found = hdlc.find(octets[flag : flag + 2 * hdlc.LENGTH_MAX], complete=True)
        end = flag + (found.end if found else 1)
        if found is not None and found.frame is not None:
            closed = end + (octets[end : end + 1] == bytes([hdlc.FLAG]))
            yield _Hit(max(flag, covered), closed, found.frame)  # one flag may close a frame and open the next
            covered = closed
        offset = end


def _from_hdlc(hits: list[_Hit]) -> Carried:
    reports = tuple(_hdlc_report(hit, hit.frame) for hit in hits if isinstance(hit.frame, hdlc.Frame))
    warnings = [
        f"frame {number + 1}: {' and '.join(report.damaged)} does not match; values may be altered"
        for number, report in enumerate(reports)
        if report.damaged
    ]
    open_segments: dict[tuple[Address, Address], bytes] = {}
    payloads: list[Payload] = []
    for hit in hits:
        if isinstance(hit.frame, hdlc.Frame) and hit.frame.kind in {hdlc.FrameKind.I, hdlc.FrameKind.UI}:
            way = (hit.frame.source, hit.frame.destination)
            joined = open_segments.pop(way, b"") + hit.frame.information
            if hit.frame.segmented:
                open_segments[way] = joined
            else:
                payloads.append(_without_llc(joined, way))
    for way, rest in open_segments.items():
        warnings.append("the last HDLC segment is missing")
        payloads.append(_without_llc(rest, way))
    return Carried(reports, tuple(one for one in payloads if one.octets), tuple(warnings))


def _hdlc_report(hit: _Hit, frame: hdlc.Frame) -> FrameReport:
    checks = (("header check", frame.hcs_ok), ("frame check", frame.fcs_ok))
    return FrameReport(
        "hdlc", hit.offset, hit.end - hit.offset, str(frame.source), str(frame.destination),
        frame.kind.value, checks, frame.segmented,
    )  # fmt: skip


def _without_llc(octets: bytes, way: Way) -> Payload:
    has_llc = octets.startswith((LLC_REQUEST, LLC_RESPONSE))
    return Payload(octets[LLC_OCTETS:] if has_llc else octets, continues=not has_llc, way=way)


# ------------------------------------------------------------------ M-Bus
def _mbus_hits(octets: bytes) -> Iterator[_Hit]:
    offset = 0
    while (start := octets.find(mbus.START, offset)) >= 0:
        found = mbus.find(octets[start : start + 0x106])
        offset = start + (found[1] if found else 1)
        if found is not None:
            yield _Hit(start, offset, found[0])


def _from_mbus(hits: list[_Hit]) -> Carried:
    frames = [hit.frame for hit in hits if isinstance(hit.frame, mbus.Frame)]
    reports = tuple(_mbus_report(hit, frame) for hit, frame in zip(hits, frames, strict=True))
    joiner = _MbusJoiner()
    payloads = [joined for number, frame in enumerate(frames, 1) if (joined := joiner.add(number, frame))]
    payloads += joiner.rest()
    return Carried(reports, tuple(payloads), tuple(joiner.warnings))


class _MbusJoiner:
    """Joins the segments of every sender and collects what was odd."""

    def __init__(self) -> None:
        self._reassemblers: dict[tuple[int, int, int], mbus.Reassembler] = {}
        self.warnings: list[str] = []

    def add(self, number: int, frame: mbus.Frame) -> Payload | None:
        """The payload that this frame completes."""
        if not frame.checksum_ok:
            self.warnings.append(f"frame {number}: checksum does not match; values may be altered")
        segment = frame.segment
        if segment is None:
            self.warnings.append(
                f"frame {number} carries no DLMS (control information {frame.control_information:#04x})"
            )
            return None
        way = (frame.address, segment.source, segment.destination)
        try:
            joined = self._reassemblers.setdefault(way, mbus.Reassembler()).add(segment)
        except mbus.MbusError as error:
            self.warnings.append(f"frame {number}: {error.what}")
            return None
        return Payload(joined, way=way) if joined else None

    def rest(self) -> list[Payload]:
        """What waits for a last segment that did not come."""
        pending = [Payload(one.rest(), way=way) for way, one in self._reassemblers.items() if one.pending]
        if pending:
            self.warnings.append("the last M-Bus segment is missing")
        return pending


def _mbus_report(hit: _Hit, frame: mbus.Frame) -> FrameReport:
    segment = frame.segment
    return FrameReport(
        "mbus", hit.offset, hit.end - hit.offset,
        source=None if segment is None else str(segment.source),
        destination=None if segment is None else str(segment.destination),
        kind=f"CI {frame.control_information:#04x}",
        checks=(("checksum", frame.checksum_ok),),
        segmented=segment is not None and not segment.final,
    )  # fmt: skip


# ------------------------------------------------------------------ wrapper
def _wrapper_hits(octets: bytes) -> Iterator[_Hit]:
    offset = 0
    while (start := octets.find(b"\x00\x01", offset)) >= 0:
        frame = _wrapper_frame(octets, start)
        offset = start + (wrapper.HEADER_OCTETS + len(frame.payload) if frame else 1)
        if frame is not None:
            yield _Hit(start, offset, frame)


def _wrapper_frame(octets: bytes, start: int) -> wrapper.Frame | None:
    first = start + wrapper.HEADER_OCTETS
    if first >= len(octets) or octets[first] not in FIRST_OCTETS | _GATEWAY:
        return None
    _, source, destination, length = wrapper.HEADER.unpack_from(octets, start)
    end = first + length
    return wrapper.Frame(source, destination, octets[first:end]) if length and end <= len(octets) else None


def _from_wrapper(hits: list[_Hit]) -> Carried:
    frames = [hit.frame for hit in hits if isinstance(hit.frame, wrapper.Frame)]
    reports = tuple(
        FrameReport("wrapper", hit.offset, hit.end - hit.offset, str(frame.source), str(frame.destination))
        for hit, frame in zip(hits, frames, strict=True)
    )
    payloads = tuple(Payload(frame.payload, way=(frame.source, frame.destination)) for frame in frames)
    return Carried(reports, payloads, ())


# ------------------------------------------------------------------ nothing
def _behind_llc(octets: bytes) -> Iterator[Carried]:
    for llc in (LLC_RESPONSE, LLC_REQUEST):
        start = octets.find(llc)
        if start >= 0 and len(octets) > start + LLC_OCTETS:
            report = FrameReport("llc", start, len(octets) - start)
            warnings = (f"{start} octets belong to no frame",) if start else ()
            yield Carried((report,), (Payload(octets[start + LLC_OCTETS :]),), warnings)
