"""The meter's half of high level security (IEC 62056-5-3, 5.2.3): passes 3 and 4."""

from amity.devices.server.opening import Judge, Opened
from amity.kernel.errors import AmityError
from amity.protocols.dlms.acse import Mechanism
from amity.protocols.dlms.data import Data
from amity.protocols.dlms.hls import Proof, check, prove


def answer_to_proof(parameters: Data | None, opened: Opened, judge: Judge) -> bytes | None:
    """Our own proof in return for the client's, which came as parameters of reply_to_HLS; None when that is wrong."""
    protector, mechanism = opened.access.protector, opened.access.authentication.mechanism
    given = parameters.value if parameters is not None else None
    if protector is None or not isinstance(given, bytes):
        return None
    ours, theirs = opened.our_challenge, opened.their_challenge
    client, meter = opened.client_title, judge.settings.system_title
    try:
        check(mechanism, protector, Proof(client, meter, ours, theirs), given, opened.client_keys.signing)
        counter = judge.next_counter() if mechanism is Mechanism.HLS_GMAC else 0
        return prove(mechanism, protector, Proof(meter, client, theirs, ours), counter)
    except AmityError:  # a wrong proof, or keys that cannot do what this mechanism needs: nobody comes in
        return None
