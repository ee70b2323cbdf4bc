"""Challenges of high level security, and the watch over the chance they come from (IEC 62056-5-3, 5.2.3)."""

from collections.abc import Callable

from amity.kernel.errors import LocalProtocolError
from amity.protocols.dlms.hls import reads_as_apdu


def fresh_challenge(random_octets: Callable[[int], bytes], octet_count: int) -> bytes:
    """A challenge that nobody could foresee, as far as one can tell from two draws.

    Raises LocalProtocolError when the source gives the same octets twice, or few different ones: somebody who has
    seen one answer to such a challenge could give it again. A sound source fails this less than once in 10**11 times.
    A draw that happens to be a message is passed over: whoever is asked must not answer such a challenge.
    """
    challenge, following = random_octets(octet_count), random_octets(octet_count)
    if challenge == following or len(challenge) != octet_count or len(set(challenge)) < octet_count // 2:
        raise LocalProtocolError(
            "the source of chance repeats itself: its challenges could be foreseen",
            next_step="give a cryptographic source, such as the system's own",
        )
    return following if reads_as_apdu(challenge) else challenge
