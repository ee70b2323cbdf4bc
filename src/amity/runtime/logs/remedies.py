"""The four messages of the field and what an administrator does about each, in the files and tools of this machine."""

from pathlib import Path
from typing import Final, NamedTuple

from amity.headend.outcomes import Failure
from amity.runtime.folder import Folder


class Remedy(NamedTuple):
    """Why it happens, and what to do; `{port}`, `{config}` and `{certs}` are filled in."""

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


def remedy_for(failure: Failure, folder: Folder) -> Remedy:
    """The remedy of one of the four messages, with this installation's paths; the failure's own words otherwise."""
    for words, remedy in REMEDIES.items():
        if failure.what.startswith(words):
            return Remedy(remedy.cause, remedy.step.format(port=_port(failure.address), **_paths(folder)))
    return Remedy(failure.answer, failure.next_step)


def _port(address: str) -> str:
    return address.rpartition(":")[2] or "4059"


def _paths(folder: Folder) -> dict[str, Path]:
    configured = folder.configuration
    config = folder.settings if configured is None else configured / "dlms_config.yaml"
    return {"config": config, "certs": folder.certificates}
