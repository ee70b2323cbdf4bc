"""What is fuzzed: every decoder, both ends of a session, each with the one kind of error that may come out."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import NamedTuple

from amity.devices.client import AssociationSettings, Ports, associate
from amity.devices.client.conversation import Conversation
from amity.devices.doctor.facts import gather
from amity.devices.objects import ObjectTree, data_object, register
from amity.devices.push_body import read_body
from amity.devices.server import PUBLIC_CLIENT, ClientAccess, MeterServer, MeterSettings
from amity.devices.telegram_json import telegram_to_json
from amity.devices.telegrams import decode_telegram, protector_from_keys
from amity.kernel.errors import AmityError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms import acse, apdu, data
from amity.protocols.dlms.ciphered import Ciphered
from amity.protocols.dlms.ciphering import CipherKeys, unwrap
from amity.protocols.dlms.data import double_long_unsigned, octet_string
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.profile_buffer import ClockReading, decode_columns
from amity.protocols.gateway import prefix
from amity.protocols.hdlc import frame as hdlc
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.primary import Primary
from amity.protocols.hdlc.secondary import Secondary
from amity.protocols.iec62056_21 import messages
from amity.protocols.mbus import frame as mbus
from amity.protocols.wrapper import frame as wrapper

_NOW = datetime(2026, 1, 2, tzinfo=UTC)
_KEYS = bytes(range(16)), bytes(range(16, 32))
_PROTECTOR = CipherKeys(0, *_KEYS)
_PROTECTOR_FOR = protector_from_keys(*_KEYS)
_TITLE = b"XXX\x00\x00\x00\x00\x07"
_LENGTH_OCTETS = 2


class Target(NamedTuple):
    """`run` takes any octets and comes back, or raises `allowed`; whatever else comes out of it is a finding."""

    run: Callable[[bytes], object]
    allowed: type[Exception] = RemoteProtocolError


def _telegram(octets: bytes) -> object:
    return telegram_to_json(decode_telegram(octets, _PROTECTOR_FOR))


def _ciphered(octets: bytes) -> object:
    decoded = apdu.decode(octets)
    return unwrap(_PROTECTOR, None, _TITLE, decoded) if isinstance(decoded, Ciphered) else decoded


def _described_data(octets: bytes) -> object:
    return data.to_json(data.decode_all(octets))


def _profile(octets: bytes) -> object:
    return decode_columns(octets, ClockReading(0, capture_period_s=900))


def _sign_on(octets: bytes) -> object:
    messages.decode_request(octets)
    messages.decode_acknowledgement(octets)
    return messages.decode_identification(octets)


def _hdlc_client(octets: bytes) -> object:
    """A client that asks for a link and sends one request, whatever the line brings."""
    station = Primary(Address(PUBLIC_CLIENT), Address(1))
    station.connect(0.0)
    return [station.receive(octets[at : at + 64], float(at)) for at in range(0, len(octets), 64)]


def _hdlc_meter(octets: bytes) -> object:
    station = Secondary(Address(1))
    return [station.receive(octets[at : at + 64], float(at)) for at in range(0, len(octets), 64)]


# ------------------------------------------------------------------ sessions
def _records(octets: bytes) -> Iterator[bytes]:
    """Messages with two octets of length before each; the last takes what is left."""
    at = 0
    while at < len(octets):
        length = int.from_bytes(octets[at : at + _LENGTH_OCTETS], "big")
        yield octets[at + _LENGTH_OCTETS : at + _LENGTH_OCTETS + length]
        at += _LENGTH_OCTETS + length


def _meter(octets: bytes) -> object:
    """A meter takes message after message; nothing makes it raise."""
    objects = ObjectTree([
        register(Obis.parse("1.0.1.8.0.255"), double_long_unsigned(4711), 0, Unit.WATT_HOUR),
        data_object(Obis.parse("0.0.96.1.0.255"), octet_string(b"4711")),
    ])  # fmt: skip
    settings = MeterSettings("XXX0000000000007", _TITLE, (ClientAccess(PUBLIC_CLIENT),))
    server = MeterServer(settings, objects, random_octets=bytes, next_invocation_counter=count(1).__next__)
    association = server.open_association(PUBLIC_CLIENT)
    return [association.receive(one, _NOW) for one in _records(octets)]


def _client(octets: bytes) -> object:
    """A client is given message after message as answers; silence at the end."""
    conversation = _everything()
    try:
        next(conversation)
        for one in _records(octets):
            conversation.send(one)
    except StopIteration as finished:
        return finished.value
    finally:
        conversation.close()
    return None


def _everything() -> Conversation[object]:
    session = yield from associate(AssociationSettings(), Ports(bytes, count(1).__next__))
    return (yield from gather(session, ()))


TARGETS: dict[str, Target] = {
    "acse": Target(acse.decode),
    "apdu": Target(apdu.decode),
    "ciphered": Target(_ciphered),
    "client": Target(_client, AmityError),
    "data": Target(_described_data),
    "date-time": Target(lambda octets: str(CosemDateTime.from_octets(octets))),
    "gateway": Target(prefix.decode),
    "hdlc": Target(lambda octets: hdlc.Reader().feed(octets)),
    "hdlc-client": Target(_hdlc_client),
    "hdlc-meter": Target(_hdlc_meter),
    "m-bus": Target(mbus.find),
    "meter": Target(_meter),
    "profile": Target(_profile),
    "push-body": Target(read_body),
    "sign-on": Target(_sign_on),
    "telegram": Target(_telegram),
    "wrapper": Target(lambda octets: wrapper.Reader().feed(octets)),
}
