"""HDLC frames that others published: every frame with its checks, fed whole and octet by octet."""

from typing import Any

from amity.protocols.hdlc.frame import Frame, Reader, encode
from tests.golden.vectors import each, needs_vectors

pytestmark = needs_vectors

FILES = ("push_telegrams", "nordic_han_push", "apdus_mit", "apdus_epri_bsd3")
NO_SOURCE_ADDRESS = "the project wrote it without a source address, so it is no frame of this standard"
LENIENT_THERE = {
    "amshan/test_hdlc/TestHdlcFrameReader.test_too_short_frame_is_discarded.data_feed": "cut short: no frame",
    "amshan/test_hdlc/TestHdlcFrameReader.test_stuffed_frame_short_info.data_feed": "escaped octets, undone here",
    "epri/UnitTest-HDLC-Packet/static@277": NO_SOURCE_ADDRESS,
}


def frames_of(octets: bytes, piece: int) -> list[Frame]:
    reader = Reader()
    frames = [frame for at in range(0, len(octets), piece) for frame in reader.feed(octets[at : at + piece])]
    return frames + reader.finish()


def comparable(vector: dict[str, Any]) -> bool:
    return vector["layer"] == "hdlc" and vector["name"] not in LENIENT_THERE


def one_sound_frame(vector: dict[str, Any]) -> bool:
    """One frame with both flags and a frame check that holds."""
    frames = vector["checked_here"].get("frames", [])
    aborted = vector["hex"].endswith("7d7e")
    return comparable(vector) and len(frames) == 1 and frames[0]["fcs_ok"] and not aborted


@each(*FILES, where=comparable)
def test_frames_and_their_checks(vector: dict[str, Any]):
    octets = bytes.fromhex(vector["hex"])
    expected = [
        (one["segmented"], one["control"], one["fcs_ok"], one["hcs_ok"]) for one in vector["checked_here"]["frames"]
    ]
    frames = frames_of(octets, len(octets))
    assert [(one.segmented, f"{one.control:02x}", one.fcs_ok, one.hcs_ok) for one in frames] == expected
    assert frames_of(octets, 1) == frames


@each(*FILES, where=one_sound_frame)
def test_sound_frames_encode_to_the_same_octets(vector: dict[str, Any]):
    octets = bytes.fromhex(vector["hex"])
    (frame,) = frames_of(octets, len(octets))
    again = encode(frame.source, frame.destination, frame.control, frame.information, segmented=frame.segmented)
    assert again == octets


def test_escaped_octets_of_a_sender_that_stuffs():
    (frame,) = frames_of(bytes.fromhex("7ea00d0102011063ab7d5e7d5d7d23932d7e"), 1)
    assert (frame.information, frame.fcs_ok, frame.stuffed) == (b"~}\x03", True, True)
