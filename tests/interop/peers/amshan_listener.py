"""Listens with amshan to a line that a meter pushes on; prints what each frame was (run by the peer's interpreter)."""

from __future__ import annotations

import json
import sys
from typing import Any

from han.autodecoder import AutoDecoder
from han.hdlc import HdlcFrame, HdlcFrameReader
from order import print_answer


def described(frame: HdlcFrame) -> dict[str, Any]:
    """What the peer makes of one frame; `read` is what it decoded of a push, in names of its own."""
    header, payload = frame.header, frame.payload
    return {
        "sound": frame.is_valid and frame.is_good_ffc and frame.is_expected_length,
        "octets": header.frame_length,
        "control": header.control,
        "segmented": header.segmentation,
        "source": header.source_address.hex(),
        "destination": header.destination_address.hex(),
        "payload": (payload or b"").hex(),
        "read": AutoDecoder().decode_message_payload(payload) if payload else None,
    }


def main() -> None:
    """The octets of the line, in hexadecimal, in; its frames out."""
    stream = bytes.fromhex(json.loads(sys.stdin.read())["stream"])
    print_answer({"frames": [described(frame) for frame in HdlcFrameReader().read(stream)]})


if __name__ == "__main__":
    main()
