"""Any captured octets of a DLMS meter to values: frames, blocks, protection, APDU and readings are found by looking."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeGuard

from amity.devices.push import normalise, normalise_event
from amity.devices.push_body import read_body
from amity.devices.push_p1 import looks_like_p1, read_p1
from amity.devices.push_reading import NormalisedReading
from amity.devices.telegram_blocks import Block, BlockTransfers, Way, joined_answer, service_name
from amity.devices.telegram_carriers import Carried, FrameReport, Payload, unpackings
from amity.devices.telegram_security import (
    ProtectorFor,
    SecurityReport,
    no_keys,
    open_message,
    protector_from_keys,
    wrong_key,
)
from amity.devices.telegram_shortfall import broken_frame
from amity.kernel.errors import RemoteProtocolError, SecurityError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import AcseApdu
from amity.protocols.dlms.apdu import (
    Apdu,
    Ciphered,
    DataNotification,
    EventNotification,
    GeneralBlockTransfer,
    GeneralCiphering,
    GetResponseNormal,
    GetResponseWithBlock,
)
from amity.protocols.dlms.data import Data, DecodeError, decode_all

__all__ = ["Message", "Telegram", "decode_telegram", "no_keys", "protector_from_keys"]

_ACSE_TAGS = frozenset({acse.AARQ_TAG, acse.AARE_TAG, acse.RLRQ_TAG, acse.RLRE_TAG})
_LAYERS_MAX = 4  # block transfer around general-glo around block transfer is as deep as the standard goes
_GATEWAY_TAGS = frozenset({0xE6, 0xE7})
_GATEWAY_HEAD_OCTETS = 3
_GIVE_ALL = "give a whole frame or APDU, and check that no octet of it was lost or altered"

Content = Apdu | AcseApdu | Data


@dataclass(frozen=True, slots=True)
class Message:
    """One message: how it was protected, what it says, and the readings in it.

    `content` is the innermost APDU that could be read, None for a text (`text`, a P1 telegram). `body` is the value of
    a notification or read response.
    """

    content: Content | None
    security: tuple[SecurityReport, ...] = ()
    body: Data | None = None
    readings: tuple[NormalisedReading, ...] = ()
    text: str | None = None
    manufacturer: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Telegram:
    """Everything that was found in a capture, in the order it was sent."""

    octets: bytes = field(repr=False)
    frames: tuple[FrameReport, ...]
    messages: tuple[Message, ...]
    warnings: tuple[str, ...]

    @property
    def readings(self) -> tuple[NormalisedReading, ...]:
        """The readings of all messages."""
        return tuple(reading for message in self.messages for reading in message.readings)


def decode_telegram(
    octets: bytes, protector_for: ProtectorFor = no_keys, *, system_title: bytes | None = None
) -> Telegram:
    """Decode whatever was captured.

    Args:
        octets: HDLC, M-Bus or wrapper frames, one or several, or a bare APDU or value; noise around is passed over.
        protector_for: gives the keys for a system title and security control, None where none are known;
            `protector_from_keys` makes one from two keys.
        system_title: of the sender, for ciphered messages that leave it out.

    Raises:
        SecurityError: the only message does not verify, or the key is wrong.
        RemoteProtocolError: there is nothing in it that decodes.
    """
    if not octets:
        raise RemoteProtocolError("there are no octets to decode", next_step="give a frame or an APDU in hexadecimal")
    refusals: list[RemoteProtocolError] = []
    for carried in unpackings(octets):
        reader = _Reader(protector_for, system_title or b"")
        messages = tuple(reader.read(carried.payloads))
        if _convinces(carried, messages, reader.errors):
            return _telegram(octets, carried, messages, reader.errors)
        refusals += [_in_its_frame(error, carried) for error in reader.errors if not (carried.guessed and refusals)]
    raise _refusal(octets, refusals)


def _in_its_frame(error: RemoteProtocolError, carried: Carried) -> RemoteProtocolError:
    """The error, which comes from the line and not from the sender or the key where the frame around it is damaged."""
    damaged = {name for frame in carried.frames for name in frame.damaged}
    if not damaged:
        return error
    kind = SecurityError if isinstance(error, SecurityError) else RemoteProtocolError
    return kind(
        f"the {' and the '.join(sorted(damaged))} of the {carried.frames[0].carrier} frame does not match,"
        " and what it carries does not decode",
        tried=error.tried,
        answer=error.what,
        next_step="capture the telegram again: its octets were altered or cut on the way",
    )


def _refusal(octets: bytes, refusals: list[RemoteProtocolError]) -> RemoteProtocolError:
    """The one error to raise: a wrong key tells more than a broken frame, and that more than what is in it."""
    chosen = next((error for error in refusals if isinstance(error, SecurityError)), refusals[0])
    if chosen.next_step is not None:
        return chosen
    cut = None if isinstance(chosen, SecurityError) else broken_frame(octets)
    if cut is not None:
        next_step = "capture the whole frame, from its first octet to its last"
        return RemoteProtocolError(cut, answer=chosen.what, next_step=next_step)
    chosen.next_step = _GIVE_ALL
    return chosen


def _convinces(carried: Carried, messages: tuple[Message, ...], errors: list[RemoteProtocolError]) -> bool:
    """True when this way to see the octets is the right one: it decodes, or its frames are sound in themselves."""
    if not errors:
        return True
    if any(isinstance(error, SecurityError) for error in errors) and not messages:
        return False
    return bool(messages and not carried.guessed) or _sound(carried)


def _sound(carried: Carried) -> bool:
    """True for frames whose checks hold: then they are what they look like, even when what they carry is unknown."""
    return any(frame.checks and not frame.damaged for frame in carried.frames)


def _telegram(
    octets: bytes, carried: Carried, messages: tuple[Message, ...], errors: list[RemoteProtocolError]
) -> Telegram:
    warnings = carried.warnings + tuple(error.what for error in errors)
    if carried.warnings and all(frame.carrier == "llc" for frame in carried.frames):
        warnings += tuple(filter(None, [broken_frame(octets)]))  # the message was found without its frame
    return Telegram(octets, carried.frames, messages, warnings + tuple(w for m in messages for w in m.warnings))


class _Within(NamedTuple):
    """Where octets stand: on their way from whom to whom, under which protection, how many layers deep."""

    way: Way = None
    security: tuple[SecurityReport, ...] = ()
    layer: int = 0

    def deeper(self, *reports: SecurityReport) -> "_Within":
        """One layer further in."""
        return _Within(self.way, self.security + reports, self.layer + 1)


class _Reader:
    """Turns payloads into messages; holds the blocks of transfers that are not complete and what went wrong."""

    def __init__(self, protector_for: ProtectorFor, system_title: bytes) -> None:
        self._protector_for = protector_for
        self._system_title = system_title
        self._transfers = BlockTransfers()
        self.errors: list[RemoteProtocolError] = []

    def read(self, payloads: tuple[Payload, ...]) -> Iterator[Message]:
        """All messages of a capture; a payload that does not decode alone is tried with the ones that continue it."""
        at = 0
        while at < len(payloads):
            used, messages = self._read_from(payloads, at)
            yield from messages
            at += used
        yield from self._incomplete()

    def _incomplete(self) -> Iterator[Message]:
        """Blocks of a GET answer are messages on their own; those of a general block transfer are nothing alone."""
        for held in self._transfers.incomplete():
            numbers = ", ".join(str(one.block.block_number) for one in held)
            self.errors.append(
                RemoteProtocolError(
                    f"only blocks {numbers} of a {service_name(held[0].block)} are here",
                    next_step="capture the whole transfer, from block 1 to the one marked as last",
                )
            )
            yield from (Message(one.block, one.security) for one in held if isinstance(one.block, GetResponseWithBlock))

    def _read_from(self, payloads: tuple[Payload, ...], at: int) -> tuple[int, list[Message]]:
        octets, first_error, way = b"", None, payloads[at].way
        for used, payload in enumerate(payloads[at:], 1):
            if used > 1 and not (payload.continues and payload.way == way):
                break
            octets += payload.octets
            try:
                return used, list(self._messages(octets, _Within(way)))
            except RemoteProtocolError as error:
                first_error = first_error or error
                if isinstance(error, SecurityError):
                    break
        if first_error is not None:
            self.errors.append(first_error)
        return 1, []

    def _messages(self, octets: bytes, within: _Within) -> Iterator[Message]:
        """The messages that follow each other in one payload."""
        while octets:
            message, end = self._open(octets, within)
            if message is not None:
                yield message
            octets = octets[end:]
            if octets and not self._starts_message(octets):
                self.errors.append(DecodeError(f"{len(octets)} octets after the message are left over", end))
                return

    def _starts_message(self, octets: bytes) -> bool:
        try:
            _read_content(octets)
        except RemoteProtocolError:
            return False
        return True

    def _open(self, octets: bytes, within: _Within) -> tuple[Message | None, int]:
        """One message with all its layers taken off; None while blocks are missing."""
        if looks_like_p1(octets):
            return _p1_message(octets, within.security), len(octets)
        content, end = _read_content(octets)
        if within.layer >= _LAYERS_MAX:
            return Message(content, within.security), end
        if isinstance(content, GeneralBlockTransfer) or _is_part(content):
            return self._collect(content, within), end
        if isinstance(content, Ciphered | GeneralCiphering):
            return self._decipher(content, within), end
        return _plain_message(content, within.security), end

    def _collect(self, block: Block, within: _Within) -> Message | None:
        joined = self._transfers.add(within.way, block, within.security)
        if joined is None:
            return None
        if isinstance(block, GeneralBlockTransfer):
            return self._open(joined, within.deeper())[0]
        try:
            return _plain_message(joined_answer(block, joined), within.security)
        except DecodeError as error:
            return Message(block, within.security, warnings=(f"the joined blocks hold no value: {error.what}",))

    def _decipher(self, ciphered: Ciphered | GeneralCiphering, within: _Within) -> Message | None:
        title = (
            ciphered.originator_system_title if isinstance(ciphered, GeneralCiphering) else ciphered.system_title
        ) or self._system_title
        plaintext, report = open_message(ciphered, title, self._protector_for)
        inside = within.deeper(report)
        notes = (report.note,) if report.note else ()
        if plaintext is None:
            return Message(ciphered, inside.security, warnings=notes)
        try:
            message, _ = self._open(plaintext, inside)
        except DecodeError:
            if report.encrypted and not report.verified:
                raise wrong_key(report) from None
            raise
        return None if message is None else replace(message, warnings=notes + message.warnings)


def _is_part(content: Content) -> TypeGuard[GetResponseWithBlock]:
    """True for a block of a GET answer; one that says why the transfer ends carries nothing to join."""
    return isinstance(content, GetResponseWithBlock) and isinstance(content.result, bytes)


# ------------------------------------------------------------------ one message
def _read_content(octets: bytes) -> tuple[Content, int]:
    """The APDU, association APDU or value at the start, and where it ends; raise DecodeError when there is none.

    A gateway's prefix (E6 or E7, network, address) may stand before it (IEC 62056-5-3, annex on gateways).
    """
    prefix = _GATEWAY_HEAD_OCTETS + octets[2] if len(octets) > _GATEWAY_HEAD_OCTETS else 0
    if not 0 < prefix < len(octets) or octets[0] not in _GATEWAY_TAGS:
        return _read_plain_content(octets)
    content, end = _read_plain_content(octets[prefix:])
    return content, prefix + end


def _read_plain_content(octets: bytes) -> tuple[Content, int]:
    if not octets:
        raise DecodeError("there is nothing inside", 0)
    if octets[0] in _ACSE_TAGS:
        return acse.decode_prefix(octets)
    try:
        return _read_apdu(octets)
    except DecodeError as no_apdu:
        try:
            return decode_all(octets), len(octets)
        except DecodeError:
            raise no_apdu from None


def _read_apdu(octets: bytes) -> tuple[Content, int]:
    content, end = apdu.decode_prefix(octets)
    if isinstance(content, DataNotification):
        body = read_body(content.raw)
        return _cut(content, len(content.raw) - body.octets), end - len(content.raw) + body.octets
    return content, end


def _cut(notification: DataNotification, octets_over: int) -> DataNotification:
    """The notification without what follows its body."""
    if not octets_over:
        return notification
    return DataNotification(
        notification.long_invoke_id_and_priority, notification.date_time, notification.raw[:-octets_over],
        tagged_date_time=notification.tagged_date_time,
    )  # fmt: skip


def _plain_message(content: Content, security: tuple[SecurityReport, ...]) -> Message:
    title = security[-1].system_title if security else b""
    if isinstance(content, DataNotification):
        body = read_body(content.raw)
        push = normalise(body.data, title)
        return Message(
            content, security, body.data, push.readings, manufacturer=push.manufacturer, warnings=body.warnings
        )
    if isinstance(content, EventNotification):
        return Message(content, security, content.value, normalise_event(content))
    if isinstance(content, Data):
        push = normalise(content, title)
        return Message(content, security, content, push.readings, manufacturer=push.manufacturer)
    body_data = content.result if isinstance(content, GetResponseNormal) and content.error is None else None
    return Message(content, security, body_data if isinstance(body_data, Data) else None)


def _p1_message(octets: bytes, security: tuple[SecurityReport, ...]) -> Message:
    text = octets.decode("latin-1")
    telegram = read_p1(text)
    warnings = ("the check at the end of the P1 telegram does not match",) if telegram.crc_ok is False else ()
    return Message(None, security, readings=telegram.readings, text=text, warnings=warnings)
