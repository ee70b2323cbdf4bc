"""The originals that fuzzing starts from, made by Amity's own encoders; `python -m fuzz --make-corpus` writes them.

The reading of a simulated meter gives most of them; what no reading needs is made by hand.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from amity.devices.client import AssociationSettings, Authentication, Ports, associate, release
from amity.devices.client.conversation import Conversation
from amity.devices.doctor.facts import gather
from amity.devices.profiles import Selector
from amity.devices.readout import read_profile, read_profile_layout
from amity.devices.server import PUBLIC_CLIENT
from amity.kernel.obis import Obis
from amity.protocols.dlms import apdu
from amity.protocols.dlms.access_service import AccessKind, AccessOutcome, AccessSpecification
from amity.protocols.dlms.apdu import Attribute, DataAccessResult
from amity.protocols.dlms.ciphering import CipherKeys, wrap_general_glo, wrap_glo
from amity.protocols.dlms.data import Data, Tag, array, encode, long_unsigned, octet_string, structure, unsigned
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.fields import DataBlock
from amity.protocols.dlms.key_info import AgreedKey, IdentifiedKey
from amity.protocols.gateway import prefix
from amity.protocols.hdlc import frame as hdlc
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.frame import FrameKind, control_of, information_control
from amity.protocols.hdlc.llc import LLC_REQUEST, LLC_RESPONSE
from amity.protocols.hdlc.parameters import DEFAULT_PARAMETERS
from amity.protocols.iec62056_21 import messages
from amity.protocols.mbus import frame as mbus
from amity.protocols.wrapper import frame as wrapper
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.meter import SimulatedMeter
from amity.simulation.pushes import Pusher

KEPT = Path(__file__).parent / "corpus"
KEYS = CipherKeys(0, bytes(range(16)), bytes(range(16, 32)))
TITLE = b"AMY\x00\x00\x00\x00\x01"

_METER_TITLE = b"XXX\x00\x00\x00\x00\x07"

_SEED = 11
_NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
_CLIENT, _SERVER = Address(PUBLIC_CLIENT), Address(1)
_ATTRIBUTE = Attribute(3, Obis.parse("1.0.1.8.0.255"), 2)
_INVOKE = 0xC1
_ROWS = 4


def write() -> int:
    """Write every original into the kept folder; return how many there are."""
    written = 0
    for target, originals in originals_by_target().items():
        folder = KEPT / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, octets in enumerate(originals):
            (folder / f"{number:02}").write_bytes(octets)
            written += 1
    return written


def kept(target: str) -> list[bytes]:
    """The originals in the kept folder, in the order of their names."""
    return [path.read_bytes() for path in sorted((KEPT / target).iterdir())]


def originals_by_target() -> dict[str, list[bytes]]:
    """What each target starts from; the same in every run."""
    meter = _meter()
    requests, answers, buffer = _reading(meter)
    pushed = _pushes(meter)
    apdus = [*_one_of_each_tag(requests[1:-1] + answers[1:-1]), *_rarer_apdus()]
    framed = [wrapper.encode(16, 1, one) for one in (requests[0], answers[0])]
    return {
        "acse": [requests[0], answers[0], requests[-1], answers[-1]],
        "apdu": apdus,
        "ciphered": [wrap_glo(KEYS, 0x30, TITLE, 7, requests[1]), wrap_general_glo(KEYS, 0x30, TITLE, 8, requests[1])],
        "client": [_records(answers[:4]), _records(answers)[:2000]],
        "data": [*_values(), encode(array(_values_as_data()))],
        "date-time": [CosemDateTime.from_utc(_NOW, -60).to_octets(), CosemDateTime.from_utc(_NOW, 0).to_octets()],
        "gateway": [prefix.encode(prefix.Prefixed(1, b"42", requests[0]))],
        "hdlc": _hdlc_frames(requests[0], answers[0]),
        "hdlc-client": [b"".join(_hdlc_answers(answers[:2]))],
        "hdlc-meter": [b"".join(_hdlc_requests(requests[:2]))],
        "m-bus": [_long_frame(b"\x00" + answers[0][:80])],
        "meter": [_records(requests[:4]), _records(requests)[:2000]],
        "profile": [buffer, _profile_with_nulls()],
        "push-body": [one.raw for one in map(apdu.decode, _bare(pushed)) if isinstance(one, apdu.DataNotification)],
        "sign-on": [messages.Identification("AMY", 9600, True, "AMITY1").encode(), b"\x06252\r\n"],
        "telegram": [*pushed, *_hdlc_frames(requests[0], answers[0])[-1:]],
        "wrapper": framed,
    }


# ------------------------------------------------------------------ a reading
def _meter() -> SimulatedMeter:
    (meter,) = build_fleet(FleetSettings(1, _SEED, _NOW, auth=Authentication.NONE)).meters
    return meter


def _reading(meter: SimulatedMeter) -> tuple[list[bytes], list[bytes], bytes]:
    """Requests and answers of one session from AARQ to RLRE, and the profile buffer read in it."""
    server, _ = meter_server(meter, started=_NOW, reservation=reservation_by_time(_NOW), random_octets=bytes)
    client = meter.profile.association.client
    association = server.open_association(client)
    requests, answers = [], []

    def answer(request: bytes) -> bytes:
        requests.append(request)
        answers.append(association.receive(request, _NOW) or b"")
        return answers[-1]

    buffer = _led(_session(meter), answer)
    return requests, answers, buffer


def _session(meter: SimulatedMeter) -> Conversation[bytes]:
    session = yield from associate(AssociationSettings(), Ports(bytes, count(1).__next__))
    yield from gather(session, ())
    rules, clock = meter.profile.load_profile, meter.profile.clock
    layout = yield from read_profile_layout(session, rules.obis)
    start = _NOW - timedelta(seconds=rules.capture_period_s * _ROWS)
    rows = yield from read_profile(session, layout, start, _NOW, clock=clock, access=(Selector.RANGE,), now=_NOW)
    yield from release(session)
    return rows.raw


def _led(conversation: Conversation[bytes], answer: Callable[[bytes], bytes]) -> bytes:
    try:
        request = next(conversation)
        while True:
            request = conversation.send(answer(request))
    except StopIteration as finished:
        return bytes(finished.value)


def _records(messages_of_a_session: list[bytes]) -> bytes:
    """Messages one after the other, each with its length before it, as the session targets take them."""
    return b"".join(len(one).to_bytes(2, "big") + one for one in messages_of_a_session)


def _one_of_each_tag(apdus: list[bytes]) -> Iterator[bytes]:
    """The first of each kind (tag and choice), cut out of a session."""
    seen = set()
    for one in apdus:
        if one[:2] not in seen:
            seen.add(one[:2])
            yield one


def _pushes(meter: SimulatedMeter) -> list[bytes]:
    pusher = Pusher(meter, MeterCounter(reservation_by_time(_NOW)))
    midnight_s = int(_NOW.replace(hour=0).timestamp())
    happening = next(iter(meter.happenings.until(midnight_s)), None)
    frames = [pusher.interval(midnight_s, _NOW), None if happening is None else pusher.alarm(happening)]
    return [frame for frame in frames if frame is not None]


def _bare(frames: list[bytes]) -> list[bytes]:
    return [frame.payload for octets in frames for frame in wrapper.Reader().feed(octets)]


# ------------------------------------------------------------------ by hand
def _rarer_apdus() -> list[bytes]:
    value, time = long_unsigned(7), CosemDateTime.from_utc(_NOW, 0).to_octets()
    method = apdu.Method(70, Obis.parse("0.0.96.3.10.255"), 1)
    get = AccessSpecification(AccessKind.GET, _ATTRIBUTE)
    ciphered = apdu.GeneralCiphering(b"\x01" * 8, TITLE, _METER_TITLE, b"", b"", IdentifiedKey(0), 0x30, 9, b"x" * 20)
    agreed = apdu.GeneralCiphering(b"", TITLE, b"", time, b"?", AgreedKey(b"\x01", bytes(64)), 0x31, 9, b"x" * 20)
    some: list[apdu.Apdu] = [
        apdu.SetRequestNormal(_INVOKE, _ATTRIBUTE, None, value),
        apdu.SetRequestWithFirstDataBlock(_INVOKE, _ATTRIBUTE, None, DataBlock(False, 1, b"\x09\x04ab")),
        apdu.SetRequestWithDataBlock(_INVOKE, DataBlock(True, 2, b"cd")),
        apdu.SetRequestWithList(_INVOKE, ((_ATTRIBUTE, None),), (value,)),
        apdu.SetResponseNormal(_INVOKE, DataAccessResult.READ_WRITE_DENIED),
        apdu.SetResponseWithList(_INVOKE, (DataAccessResult.SUCCESS, DataAccessResult.OTHER_REASON)),
        apdu.ActionRequestNormal(_INVOKE, method, value),
        apdu.ActionRequestWithList(_INVOKE, (method, method), (value, value)),
        apdu.ActionResponseNormal(_INVOKE, apdu.ActionResult.SUCCESS, value),
        apdu.GeneralBlockTransfer(False, True, 3, 1, 0, b"\xc4\x01\xc1\x00\x12\x00\x07"),
        apdu.AccessRequest(1 << 30, time, (get, AccessSpecification(AccessKind.ACTION, method)), (value, value)),
        apdu.AccessResponse(1, time, (get,), (value,), (AccessOutcome(AccessKind.GET, DataAccessResult.SUCCESS),)),
        apdu.ExceptionResponse(apdu.StateError.SERVICE_NOT_ALLOWED, apdu.ServiceError.INVOCATION_COUNTER_ERROR, 9),
        apdu.ConfirmedServiceError(1, 6, 1),
        apdu.DataNotification(1, time, structure(octet_string(b"list"), value)),
        apdu.EventNotification(time, _ATTRIBUTE, value),
        ciphered,
        agreed,
        apdu.GeneralSigning(b"", TITLE, b"", b"", b"", b"\xc0\x01\xc1", bytes(64)),
    ]
    return [one.encode() for one in some]


def _values_as_data() -> list[Data]:
    return [
        long_unsigned(7),
        octet_string(b"AMITY"),
        structure(unsigned(1), array((long_unsigned(1), long_unsigned(2)))),
        Data(Tag.NULL, None),
    ]


def _values() -> list[bytes]:
    """Values with the lengths that go wrong most: nested, compact, bits, floats, text."""
    compact = bytes.fromhex("13120400010002")
    described = bytes.fromhex("130202121606000101000202")
    bits, real, text = bytes.fromhex("040aaac0"), bytes.fromhex("173f800000"), bytes.fromhex("0c03c3a92e")
    nested = bytes.fromhex("0101" * 12) + b"\x00"
    return [*map(encode, _values_as_data()), compact, described, bits, real, text, nested]


def _profile_with_nulls() -> bytes:
    first = octet_string(CosemDateTime.from_utc(_NOW, 0).to_octets())
    rows = [structure(first, long_unsigned(1)), *(structure(Data(Tag.NULL, None), long_unsigned(n)) for n in range(3))]
    return encode(array(rows))


# ------------------------------------------------------------------ framings
def _hdlc_requests(apdus: list[bytes]) -> list[bytes]:
    set_up = hdlc.encode(_CLIENT, _SERVER, control_of(FrameKind.SNRM), DEFAULT_PARAMETERS.encode())
    frames = [
        hdlc.encode(_CLIENT, _SERVER, information_control(number, number), LLC_REQUEST + one)
        for number, one in enumerate(apdus)
    ]
    return [set_up, *frames, hdlc.encode(_CLIENT, _SERVER, control_of(FrameKind.DISC))]


def _hdlc_answers(apdus: list[bytes]) -> list[bytes]:
    set_up = hdlc.encode(_SERVER, _CLIENT, control_of(FrameKind.UA), DEFAULT_PARAMETERS.encode())
    frames = [
        hdlc.encode(_SERVER, _CLIENT, information_control(number, number + 1), LLC_RESPONSE + one)
        for number, one in enumerate(apdus)
    ]
    return [set_up, *frames]


def _hdlc_frames(request: bytes, answer: bytes) -> list[bytes]:
    segment = hdlc.encode(_SERVER, Address(1, 17), information_control(0, 0), answer[:10], segmented=True)
    pushed = hdlc.encode_ui(_SERVER, _CLIENT, LLC_REQUEST + apdu.DataNotification(1, b"", long_unsigned(7)).encode())
    return [*_hdlc_requests([request]), *_hdlc_answers([answer]), segment, pushed]


def _long_frame(data: bytes) -> bytes:
    return mbus.encode(0x53, 0xFF, 0x10, data)
