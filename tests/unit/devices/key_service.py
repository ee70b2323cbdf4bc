"""A key service in a process of its own: it keeps the keys, its clients hold a pipe and the numbers of key rings."""

import hashlib
import itertools
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from amity.kernel.errors import AmityError, SecurityError
from amity.protocols.dlms.certificates import Purpose
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.protector import KeyId, KeyTransfer, Protector, WrappedKey

ANSWER_TIMEOUT_S = 20


class RemoteProtector(Protector):
    """A Protector without a key: it asks the service."""

    def __init__(self, pipe: Connection, number: int, suite: int) -> None:
        self._pipe, self._number, self._suite = pipe, number, suite

    @property
    def suite(self) -> int:
        return self._suite

    def protect(
        self, security_control: int, system_title: bytes, invocation_counter: int, plaintext: bytes, header: bytes = b""
    ) -> bytes:
        return self._ask("protect", security_control, system_title, invocation_counter, plaintext, header)

    def unprotect(
        self, security_control: int, system_title: bytes, invocation_counter: int, payload: bytes, header: bytes = b""
    ) -> bytes:
        return self._ask("unprotect", security_control, system_title, invocation_counter, payload, header)

    def digest(self, mechanism: int, message: bytes) -> bytes:
        return self._ask("digest", int(mechanism), message)

    def sign(self, message: bytes) -> bytes:
        return self._ask("sign", message)

    def dedicated(self, key: bytes) -> Protector:
        return self._kept("dedicated", key)

    def dedicate(
        self,
        security_control: int,
        system_title: bytes,
        invocation_counter: int,
        around: tuple[bytes, bytes],
        random_octets: Callable[[int], bytes],
    ) -> tuple[bytes, Protector]:
        del random_octets  # the service has its own
        asked = security_control, system_title, invocation_counter, around
        payload, number = self._ask("dedicate", *asked)
        return payload, RemoteProtector(self._pipe, number, self._suite)

    def agree(self, peer_public: bytes, information: bytes, key_id: KeyId = KeyId.GLOBAL_UNICAST) -> Protector:
        return self._kept("agree", peer_public, information, key_id)

    def offer(self) -> "RemoteOffer":
        number, public = self._ask("offer")
        return RemoteOffer(RemoteProtector(self._pipe, number, self._suite), public)

    def renew(self, key_ids: Sequence[KeyId]) -> KeyTransfer:
        number, wrapped = self._ask("renew", tuple(key_ids))
        return KeyTransfer(
            tuple(WrappedKey(KeyId(key_id), octets) for key_id, octets in wrapped),
            RemoteProtector(self._pipe, number, self._suite),
        )

    def generate(self, purpose: Purpose) -> Protector:
        return self._kept("generate", purpose)

    def certificate_request(self, purpose: Purpose, system_title: bytes) -> bytes:
        return self._ask("certificate_request", purpose, system_title)

    def put_in_use(self, purpose: Purpose, public: bytes) -> Protector:
        return self._kept("put_in_use", purpose, public)

    def adopt(self, wrapped: Sequence[WrappedKey]) -> Protector:
        return self._kept("adopt", [tuple(one) for one in wrapped])

    def _kept(self, method: str, *arguments: Any) -> Protector:
        return RemoteProtector(self._pipe, self._ask(method, *arguments), self._suite)

    def _ask(self, method: str, *arguments: Any) -> Any:
        self._pipe.send((self._number, method, arguments))
        assert self._pipe.poll(ANSWER_TIMEOUT_S), "the key service does not answer"
        worked, answer = self._pipe.recv()
        if not worked:
            raise SecurityError(answer)
        return answer


class RemoteOffer:
    """An ephemeral key pair in the service."""

    def __init__(self, holder: RemoteProtector, public: bytes) -> None:
        self.public = public
        self._holder = holder

    def agree(self, peer_public: bytes, information: bytes, key_id: KeyId = KeyId.GLOBAL_UNICAST) -> Protector:
        return self._holder.agree(peer_public, information, key_id)


def serve(pipe: Connection, suite: int, keys: dict[str, bytes]) -> None:
    """The service: key rings and offers by number; it answers until its pipe is closed."""
    drawn = itertools.count()

    def chance(count: int) -> bytes:
        return hashlib.shake_128(next(drawn).to_bytes(4, "big")).digest(count)

    ring = KeyRing(suite, Keys(**keys), chance)
    held: list[Any] = [ring]
    while True:
        try:
            number, method, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer: Any = (True, _result(held, getattr(held[number], method)(*_given(method, arguments, chance))))
        except AmityError as error:
            answer = (False, error.what)
        pipe.send(answer)


def _given(method: str, arguments: tuple[Any, ...], chance: Callable[[int], bytes]) -> tuple[Any, ...]:
    if method == "dedicate":
        return *arguments, chance
    return ([WrappedKey(KeyId(key_id), octets) for key_id, octets in arguments[0]],) if method == "adopt" else arguments


def _result(held: list[Any], result: Any) -> Any:
    if isinstance(result, bytes):
        return result
    if isinstance(result, KeyTransfer):
        held.append(result.renewed)
        return len(held) - 1, [tuple(one) for one in result.wrapped]
    if isinstance(result, tuple):
        payload, dedicated = result
        held.append(dedicated)
        return payload, len(held) - 1
    held.append(result)
    return (len(held) - 1, result.public) if hasattr(result, "public") else len(held) - 1


@contextmanager
def key_service(suite: int, keys: dict[str, bytes]) -> Iterator[RemoteProtector]:
    """Run it while the block lasts."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, suite, keys), daemon=True)
    process.start()
    theirs.close()
    try:
        yield RemoteProtector(ours, 0, suite)
    finally:
        ours.close()
        process.join(ANSWER_TIMEOUT_S)
        assert process.exitcode == 0
