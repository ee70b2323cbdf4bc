"""The four messages of the field and what an administrator does about each, in the files and tools of this machine."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from amity.domain.collection import Delivery, Outcome
from amity.headend.outcomes import read_told
from amity.runtime.folder import Folder


class Remedy(NamedTuple):
    """Why it happens, and what to do; `{port}`, `{where}`, `{config}` and `{certs}` are filled in."""

    cause: str
    step: str


REMEDIES: Final = {
    "Connection Refused (Error 111)": Remedy(
        "the meter's listening port is closed, or the address is another machine's, or a firewall refuses",
        "check power and address of the meter; then iptables -L -n (or nft list ruleset): port {port}"
        " (DLMS/COSEM: 4059) must not be dropped or rejected",
    ),
    "DLMS Association Rejected": Remedy(
        "security keys, authentication_level, client_address or logical_device_id are not those of the meter",
        "compare client_address, logical_device_id and authentication_level in {config}, the meter's keys, and the"
        " certificates in {certs}; amity meter probe finds out what the meter takes",
    ),
    "Partial Frame Received": Remedy(
        "high attenuation, noise or interference on the line or radio cut a frame short",
        "measure the line (multimeter, spectrum analyser) and look for new sources of noise or obstructions, then"
        " amity meter ping",
    ),
    "Timer T1 Timeout": Remedy(
        "the meter took longer to answer than request_timeout",
        "amity meter ping; if it is only slow, raise request_timeout in {config} and restart ami-collector",
    ),
}
"""By the words with which the failure begins (seed 003, Section C)."""

_NEVER_A_WORD: Final = Remedy(
    "the meter took longer to answer than request_timeout, or client_address, logical_device_id or framing (wrapper,"
    " HDLC) are not its own: many a meter answers that with silence",
    "amity meter ping; if it never answered, compare client_address and logical_device_id in {config} and the meter's"
    " framing (amity meter add --hdlc): amity meter probe {where} finds them; if it is only slow, raise request_timeout"
    " in {config} and restart ami-collector",
)
"""Of Timer T1, where not one octet came in the whole session."""

_OTHERWISE: Final = {
    Outcome.REFUSED: "nobody takes a connection there",
    Outcome.SILENT: "there is no way to the meter now, or nobody answers on it",
    Outcome.BROKEN: "what answers at this address does not keep to DLMS/COSEM: another service, another framing, a"
    " fault of the meter, or noise",
    Outcome.REJECTED: "the meter does not allow it, or the settings of the head-end do not fit the meter",
    Outcome.WRONG_KEY: "keys or password are not those of the meter",
}
"""Causes by whose failure it was, for all other words."""


_AS_TYPED: Final = re.compile(r"[^\s]+:\d+|/dev/\S+")
"""An address that a command takes; a meter that calls in has none."""


def remedy_for(delivery: Delivery, folder: Folder) -> Remedy:
    """The remedy of one of the four messages, with this installation's paths; else the failure's own next step."""
    failure = read_told(delivery.detail)
    for words, remedy in REMEDIES.items():
        if failure.what.startswith(words):
            silent = remedy is REMEDIES["Timer T1 Timeout"] and not any(one.response for one in delivery.exchanges)
            chosen = _NEVER_A_WORD if silent else remedy
            return Remedy(chosen.cause, chosen.step.format(**_places(failure.address, folder)))
    return Remedy(_OTHERWISE.get(delivery.outcome, failure.what), failure.next_step or "amity meter ping")


def _places(address: str, folder: Folder) -> dict[str, Path | str]:
    configured = folder.configuration
    return {
        "port": address.rpartition(":")[2] or "4059",
        "where": address if _AS_TYPED.fullmatch(address) else "HOST:PORT",
        "config": folder.settings if configured is None else configured / "dlms_config.yaml",
        "certs": folder.certificates,
    }
