"""tshark as a reader that nobody here wrote: octets into a capture file, what it makes of them out as JSON."""

import json
import shutil
import struct
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_MAGIC, _SNAP = 0xA1B2C3D4, 1 << 18
USER_0, PPP_HDLC = 147, 50
"""Link types: one that we say the meaning of, and HDLC frames as PPP has them (its check sequence is ours)."""


def needed() -> str:
    """The path of tshark; skips the test when it is not there."""
    found = shutil.which("tshark")
    if found is None:
        pytest.skip("tshark is not installed; apt-get install tshark")
    return found


@cache
def version() -> str:
    """`TShark (Wireshark) 4.0.17 …`."""
    return _run(["-v"]).splitlines()[0]


@cache
def protocols() -> frozenset[str]:
    """The short names of every protocol it knows."""
    return frozenset(line.split("\t")[2] for line in _run(["-G", "protocols"]).splitlines() if line.count("\t") >= 2)


def read(packets: Iterable[bytes], folder: Path, *, link: int, payload: str = "", **preferences: str) -> list[Any]:
    """The protocol layers of each packet; `payload` is the protocol that a packet of USER_0 begins with."""
    capture = folder / "traffic.pcap"
    capture.write_bytes(_capture(packets, link))
    words = ["-r", str(capture), "-T", "json", "-x"]
    if payload:
        words += ["-o", f'uat:user_dlts:"User 0 (DLT=147)","{payload}","0","","0",""']
    for name, value in preferences.items():
        words += ["-o", f"{name.replace('__', '.')}:{value}"]
    return [packet["_source"]["layers"] for packet in json.loads(_run(words))]


def _capture(packets: Iterable[bytes], link: int) -> bytes:
    """A capture file (libpcap 2.4)."""
    head = struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAP, link)
    records = (struct.pack("<IIII", 0, number, len(one), len(one)) + one for number, one in enumerate(packets))
    return head + b"".join(records)


def _run(words: list[str]) -> str:
    return subprocess.run([needed(), *words], capture_output=True, text=True, timeout=120, check=True).stdout  # noqa: S603
